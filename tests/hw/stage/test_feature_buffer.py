"""Feature buffer: order, data and every cycle, for all kinds of windows, under stalls."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec import geometry
from xnorflow_hw.stage.feature_buffer import FeatureBuffer

from ..convert import STYLE, to_verilog
from ..harness import Drive, Source, Watch, run, stalls
from ..verilog import lint

OUTPUTS = ["o_data", "o_pad", "o_first", "o_last", "o_row"]


def walk(dut, frames):
    """Walk through the windows in nested loops.

    Yields per beat the number of the word that it reads (None if padded), how many words have been
    freed by then (None if that has not changed), and the pulse.
    """
    (rows, cols), (kernel_rows, kernel_cols) = dut.output, dut.kernel
    (sy, sx), (dy, dx), (top, left, _, _) = dut.stride, dut.dilation, dut.pads
    classes_y, patterns_y = [], []
    classes_x, patterns_x = [], []
    for classes, patterns, out, kernel, s, d, before, size in (
        (classes_y, patterns_y, rows, kernel_rows, sy, dy, top, dut.height),
        (classes_x, patterns_x, cols, kernel_cols, sx, dx, left, dut.width),
    ):
        for o in range(out):
            pattern = [not 0 <= o * s + k * d - before < size for k in range(kernel)]
            if pattern not in patterns:
                patterns.append(pattern)
            classes.append(patterns.index(pattern))
    for f, frame in enumerate(frames):
        for oy, ox, rep in itertools.product(range(rows), range(cols), range(dut.repeat)):
            inner = dut.words // dut.groups
            group = rep // (dut.repeat // dut.groups)
            words = range(group * inner, (group + 1) * inner)
            taps = list(itertools.product(range(kernel_rows), range(kernel_cols), words))
            for n, (ky, kx, word) in enumerate(taps):
                iy, ix = oy * sy + ky * dy - top, ox * sx + kx * dx - left
                pad = not (0 <= iy < dut.height and 0 <= ix < dut.width)
                fill = dut.pad_word_last if word == dut.words - 1 else dut.pad_word
                border = classes_y[oy] * len(patterns_x) + classes_x[ox] if dut.classes else 0
                number = ((f * dut.height + iy) * dut.width + ix) * dut.words + word
                last = n == len(taps) - 1
                freed = None
                if last and ox == cols - 1 and rep == dut.repeat - 1:
                    above = min(dut.height, max(0, (oy + 1) * sy - top))
                    above = dut.height if oy == rows - 1 else above
                    freed = (f * dut.height + above) * dut.width * dut.words
                yield (
                    None if pad else number,
                    freed,
                    {
                        "o_data": fill if pad else int(frame[iy][ix][word]),
                        "o_pad": int(pad),
                        "o_first": int(n == 0),
                        "o_last": int(last),
                        "o_row": border * dut.repeat + rep,
                    },
                )


def predict(dut, beats, words, i_stall, permit):
    """Simulate the rules of docs/hardware.md cycle by cycle; return accepts and issues."""
    accepts, issues, freed, offered, cycle = [], [], 0, False, 0
    while len(accepts) < words or len(issues) < len(beats):
        ready = len(accepts) - freed < dut.depth
        written = len(accepts)
        offered = len(accepts) < words and (offered or not i_stall(cycle))
        if offered and ready:
            accepts.append(cycle)
            offered = False
        if len(issues) < len(beats):
            number, frees, pulse = beats[len(issues)]
            there = number is None or number < written
            if there and (not pulse["o_last"] or permit(cycle)):
                issues.append(cycle)
                freed = freed if frees is None else frees
        cycle += 1
        assert cycle < 20_000
    return accepts, issues


def make(rng, *, height, width, words, kernel, stride, dilation, pads, extra=0, **kwargs):
    depth = FeatureBuffer.minimum_depth(height, width, words, kernel, stride, dilation, pads)
    shape = {
        "word_bits": 6,
        "words": words,
        "height": height,
        "width": width,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "pads": pads,
        "repeat": 1,
        "groups": 1,
        "classes": True,
        "pad_word": int(rng.integers(64)),
        "depth": depth + extra,
    }
    return FeatureBuffer(**shape | kwargs)


def check(dut, rng, frames=3, seed=0, i_stalled=0.0, blocked=0.0):
    data = rng.integers(0, 64, (frames, dut.height, dut.width, dut.words))
    beats = list(walk(dut, data.tolist()))
    i_stall, block = stalls(seed, i_stalled), stalls(seed + 1, blocked)
    accepts, issues = predict(dut, beats, data.size, i_stall, lambda cycle: not block(cycle))
    source = Source(dut.i, data.ravel().tolist(), i_stall)
    pulses = Watch(dut, OUTPUTS)
    issued = Watch(dut, [], valid="o_issued")

    class Enough:
        """Done when the words of all frames have been accepted and their beats have been seen."""

        def drive(self, ctx, cycle):
            pass

        def sample(self, ctx, cycle):
            pass

        def progress(self):
            return f"{len(pulses.events)} of {len(beats)} pulses seen"

        @property
        def done(self):
            return len(pulses.events) >= len(beats)

    permit = Drive(dut.permit, lambda cycle: not block(cycle))
    run(dut, source, permit, pulses, issued, Enough(), timeout=20_000, drain=0)
    assert source.cycles == accepts
    # Windows of padding alone may be issued before their frame begins; at the end of the test
    # these belong to no frame.
    events = pulses.events[: len(beats)]
    assert [values for _, values in events] == [pulse for _, _, pulse in beats]
    assert [cycle - dut.latency for cycle, _ in events] == issues
    lasts = [cycle for cycle, (_, _, pulse) in zip(issues, beats, strict=True) if pulse["o_last"]]
    assert [cycle for cycle, _ in issued.events][: len(lasts)] == lasts
    model = dut.model(data)
    for key, values in model.items():
        assert values.astype(int).tolist() == [pulse[f"o_{key}"] for _, _, pulse in beats]


def pair(strategy):
    return st.tuples(strategy, strategy)


@st.composite
def windows(draw):
    """Draw a geometry with at least one tap inside the frame."""
    shape = {
        "height": draw(st.integers(1, 6)),
        "width": draw(st.integers(1, 6)),
        "words": draw(st.integers(1, 3)),
        "kernel": draw(pair(st.integers(1, 5))),
        "stride": draw(pair(st.integers(1, 4))),
        "dilation": draw(pair(st.integers(1, 3))),
        "pads": draw(
            st.one_of(
                st.just((0, 0, 0, 0)),
                st.tuples(*[st.integers(0, 3)] * 4),
                st.tuples(*[st.integers(0, 7)] * 4),
            )
        ),
    }
    out = [
        geometry.output_size(
            shape[size],
            *(shape[key][axis] for key in ("kernel", "stride", "dilation")),
            shape["pads"][axis],
            shape["pads"][axis + 2],
        )
        for axis, size in enumerate(("height", "width"))
    ]
    assume(min(out) > 0 and FeatureBuffer.minimum_depth(**shape) > 0)
    groups = draw(st.integers(1, 3))
    repeat = groups * draw(st.integers(1, 3))
    per_frame = out[0] * out[1] * repeat * shape["kernel"][0] * shape["kernel"][1]
    assume(per_frame * shape["words"] < 400)
    shape["words"] *= groups
    size = shape["height"] * shape["width"] * shape["words"]
    return shape | {
        "groups": groups,
        "repeat": repeat,
        "classes": draw(st.booleans()),
        "extra": draw(st.sampled_from([0, 0, 1, 3, size, 2 * size])),
        "pad_word_last": draw(st.sampled_from([None, 5])),
    }


@settings(max_examples=80, deadline=None)
@given(
    shape=windows(),
    seed=st.integers(0, 9999),
    i_stalled=st.sampled_from([0.0, 0.3, 0.8]),
    blocked=st.sampled_from([0.0, 0.3, 0.8]),
)
def test_any_window(shape, seed, i_stalled, blocked):
    rng = np.random.default_rng(seed)
    check(make(rng, **shape), rng, seed=seed, i_stalled=i_stalled, blocked=blocked)


PLAIN = {
    "height": 5,
    "width": 6,
    "words": 2,
    "kernel": (3, 3),
    "stride": (1, 1),
    "dilation": (1, 1),
    "pads": (0, 0, 0, 0),
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pads": (1, 1, 1, 1), "repeat": 2},
        {"kernel": (2, 2), "stride": (2, 2), "groups": 2, "repeat": 2},
        {"pads": (1, 1, 1, 1), "groups": 2, "repeat": 6, "pad_word_last": 1},
        {"words": 6, "pads": (1, 1, 1, 1), "groups": 3, "repeat": 3, "pad_word_last": 1},
        {"words": 6, "kernel": (2, 2), "pads": (1, 0, 0, 1), "groups": 2, "repeat": 4},
        {"kernel": (1, 1), "stride": (3, 3)},
        {"dilation": (2, 2), "pads": (2, 2, 2, 2)},
        {"stride": (4, 5), "kernel": (1, 2)},
        {"pads": (4, 4, 4, 4)},
        {"height": 1, "width": 1, "words": 7, "kernel": (1, 1), "repeat": 5},
        {"height": 1, "width": 1, "words": 1, "kernel": (1, 1)},
        {"height": 1, "width": 1, "words": 1, "kernel": (1, 1), "repeat": 4, "extra": 1},
        {"height": 1, "width": 1, "kernel": (5, 5), "pads": (2, 2, 2, 2), "stride": (2, 2)},
    ],
)
@pytest.mark.parametrize("stalled", [0.0, 0.5])
def test_window(change, stalled):
    rng = np.random.default_rng(1)
    dut = make(rng, **PLAIN | change)
    check(dut, rng, frames=4, seed=3, i_stalled=stalled, blocked=stalled)


def test_full_speed_has_no_bubble():
    """With room for two frames, beats follow each other without a gap once the words are there."""
    rng = np.random.default_rng(1)
    dut = make(rng, **PLAIN, repeat=4, extra=2 * 5 * 6 * 2)
    data = rng.integers(0, 64, (4, 5, 6, 2))
    source, pulses = Source(dut.i, data.ravel().tolist()), Watch(dut, ["o_first"])
    run(dut, source, pulses, Drive(dut.permit, lambda cycle: 1), drain=4 * 1000)
    cycles = [cycle for cycle, _ in pulses.events][1 * 9 * 2 :]
    per_frame = 3 * 4 * 4 * 9 * 2
    assert len(cycles) == 4 * per_frame - 18
    assert cycles[per_frame:] == list(range(cycles[per_frame], cycles[-1] + 1))


def test_words_wider_than_64_bits():
    rng = np.random.default_rng(1)
    dut = make(rng, **PLAIN | {"pads": (1, 0, 0, 1)}, word_bits=100, pad_word=1 << 99)
    data = np.array([i << 60 for i in range(60)], object).reshape(1, 5, 6, 2)
    expected = dut.model(data)["data"].tolist()
    source = Source(dut.i, data.ravel().tolist())
    pulses = Watch(dut, ["o_data"], count=len(expected))
    run(dut, source, pulses, Drive(dut.permit, lambda cycle: 1), drain=0)
    assert [values["o_data"] for _, values in pulses.events] == expected


@settings(max_examples=80, deadline=None)
@given(shape=windows())
def test_minimum_depth_is_the_least(shape):
    """With one word less the documented rules deadlock; with that depth they never do."""
    rng = np.random.default_rng(0)
    dut = make(rng, **shape | {"extra": 0, "repeat": shape["groups"]})
    beats = list(walk(dut, np.zeros((2, dut.height, dut.width, dut.words), int).tolist()))
    for depth in (dut.depth, dut.depth - 1):
        written = freed = 0
        stuck = False
        for number, frees, _ in beats:
            if number is not None and number >= written:
                stuck |= number + 1 - freed > depth
                written = number + 1
            freed = freed if frees is None else frees
        assert stuck == (depth < dut.depth)


GOOD = PLAIN | {
    "word_bits": 4,
    "pad_word": 0,
    "repeat": 1,
    "groups": 1,
    "classes": False,
    "depth": 60,
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"word_bits": 0}, "word_bits"),
        ({"kernel": (0, 3)}, "kernel"),
        ({"kernel": (6, 1)}, "does not fit the padded frame"),
        ({"pads": (0, 0, -1, 0)}, "pads"),
        ({"pad_word": 16}, "4 bits"),
        ({"pad_word_last": 16}, "4 bits"),
        ({"groups": 0}, "groups is 0"),
        ({"groups": 2, "repeat": 3}, "repeat, which is 3"),
        ({"groups": 3, "repeat": 3}, "words, which is 2"),
        ({"depth": 29}, "windows need 36 words"),
        ({"ram": "flash"}, "flash"),
        (
            {"height": 1, "width": 1, "kernel": (1, 1), "stride": (2, 2), "pads": (1,) * 4},
            "no window has a tap inside",
        ),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        FeatureBuffer(**GOOD | wrong)


@pytest.mark.rtl
@pytest.mark.parametrize(
    "change",
    [
        {"pads": (1, 1, 1, 1), "repeat": 3, "pad_word_last": 1},
        {"kernel": (2, 2), "stride": (2, 2), "groups": 2, "repeat": 2},
        {"words": 6, "pads": (1, 1, 1, 1), "groups": 2, "repeat": 6, "pad_word_last": 1},
        {"height": 1, "width": 1, "words": 7, "kernel": (1, 1), "repeat": 5, "extra": 7},
        {"height": 1, "width": 1, "words": 1, "kernel": (1, 1)},
    ],
)
def test_verilog_is_clean(tmp_path, change):
    dut = make(np.random.default_rng(1), **PLAIN | change)
    lint(to_verilog(dut), tmp_path, *STYLE)
