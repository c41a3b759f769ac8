"""Banked feature buffer: order, data and every cycle, for all kinds of windows, under stalls."""

import itertools
from math import gcd

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.stage.banked_buffer import BankedBuffer

from ..convert import STYLE, to_verilog
from ..harness import Drive, Source, Watch, run, stalls, unpack
from ..verilog import lint

BITS = 6
OUTPUTS = ["o_data", "o_first", "o_last", "o_turn", "o_row"]


def numbered(patterns):
    """Return the number of each pattern, as they first appear; None agrees with anything."""
    known, numbers = [], []
    for pattern in patterns:
        alike = (
            all(None in pair or len(set(pair)) == 1 for pair in zip(k, pattern, strict=True))
            for k in known
        )
        numbers.append(next((n for n, same in enumerate(alike) if same), len(known)))
        known += [pattern] * (numbers[-1] == len(known))
    return numbers, len(known)


def border_numbers(dut):
    """Return the class of each output row and of each group of columns, from their padded taps."""
    if not dut.classes:
        return [0] * dut.output[0], [0] * dut.output[1]

    def taps(at, axis):
        first = at * dut.stride[axis] - dut.pads[axis]
        size = (dut.height, dut.width)[axis]
        return [not 0 <= first + k * dut.dilation[axis] < size for k in range(dut.kernel[axis])]

    rows, _ = numbered([taps(oy, 0) for oy in range(dut.output[0])])
    columns = [tuple(taps(ox, 1)) for ox in range(dut.output[1])]
    starts = range(0, len(columns), dut.pixels)
    columns += [None] * dut.pixels
    groups, number = numbered([columns[start:][: dut.pixels] for start in starts])
    return [row * number for row in rows], groups


def walk(dut, frames):
    """Walk through the windows in nested loops.

    Yields per beat the number of the word that it waits for (None if there is none), how many slots
    have been freed by then (None if that has not changed), the words that the windows in the row
    read, by bank, and the pulse.
    """
    (rows, cols), (kernel_rows, kernel_cols), m = dut.output, dut.kernel, dut.pixels
    (sy, sx), (dy, dx), (top, left, _, _) = dut.stride, dut.dilation, dut.pads
    slots = -(-dut.width // m)
    row_class, group_class = border_numbers(dut)
    for f, frame in enumerate(frames):
        for oy, group, rep in itertools.product(range(rows), range(0, cols, m), range(dut.repeat)):
            windows = range(group, min(group + m, cols))
            right = max(ox * sx + kx * dx - left for ox in windows for kx in range(kernel_cols))
            right = min(max(right, 0), dut.width - 1)
            inner = dut.words // dut.groups
            start = rep // (dut.repeat // dut.groups) * inner
            words = range(start, start + inner)
            taps = list(itertools.product(range(kernel_cols), range(kernel_rows), words))
            for n, (kx, ky, word) in enumerate(taps):
                iy = oy * sy + ky * dy - top
                inside = 0 <= iy < dut.height
                fill = dut.pad_word_last if word == dut.words - 1 else dut.pad_word
                data = {}
                for ox in windows:
                    ix = ox * sx + kx * dx - left
                    assert ix % m not in data
                    real = inside and 0 <= ix < dut.width
                    data[ix % m] = int(frame[iy][ix][word]) if real else fill
                number = ((f * dut.height + iy) * dut.width + right) * dut.words + word
                last = n == len(taps) - 1
                freed = None
                if last and windows[-1] == cols - 1 and rep == dut.repeat - 1:
                    above = min(dut.height, max(0, (oy + 1) * sy - top))
                    above = dut.height if oy == rows - 1 else above
                    freed = (f * dut.height + above) * slots
                yield (
                    number if inside else None,
                    freed,
                    data,
                    {
                        "o_first": int(n == 0),
                        "o_last": int(last),
                        "o_turn": int(kx > 0 and ky == 0 and word == start),
                        "o_row": (row_class[oy] + group_class[group // m]) * dut.repeat + rep,
                    },
                )


def slot_of(dut, number):
    """Return the number of the slot in which a word lies, through all rows and frames."""
    row, column = divmod(number // dut.words, dut.width)
    return row * -(-dut.width // dut.pixels) + column // dut.pixels


def predict(dut, beats, words, i_stall, permit):
    """Simulate the rules of docs/hardware.md cycle by cycle; return accepts and issues."""
    accepts, issues, freed, offered, cycle = [], [], 0, False, 0
    while len(accepts) < words or len(issues) < len(beats):
        written = len(accepts)
        ready = slot_of(dut, written) - freed < dut.depth // dut.words
        offered = written < words and (offered or not i_stall(cycle))
        if offered and ready:
            accepts.append(cycle)
            offered = False
        if len(issues) < len(beats):
            number, frees, _, pulse = beats[len(issues)]
            if (number is None or number < written) and (not pulse["o_last"] or permit(cycle)):
                issues.append(cycle)
                freed = freed if frees is None else frees
        cycle += 1
        assert cycle < 20_000
    return accepts, issues


def least(*, height, width, words, kernel, stride, dilation, pads, pixels):
    banks = Banks(pixels, width, kernel[1], stride[1], dilation[1], pads[1], pads[3])
    return words * banks.minimum_slots(height, kernel[0], stride[0], dilation[0], pads[0], pads[2])


def make(rng, *, extra=0, **kwargs):
    geometry_of = {
        key: kwargs[key]
        for key in ("height", "width", "words", "kernel", "stride", "dilation", "pads", "pixels")
    }
    shape = {
        "word_bits": BITS,
        "repeat": 1,
        "groups": 1,
        "pad_word": int(rng.integers(64)),
        "depth": least(**geometry_of) + extra,
    }
    return BankedBuffer(**shape | kwargs)


def lanes(dut, pulse, data):
    """Return the values of the banks that the windows of the row read."""
    values = unpack(pulse["o_data"], BITS, dut.pixels)
    return {bank: values[bank] for bank in data}


class AtLeast(Watch):
    """Waits for a number of pulses but allows more."""

    def __init__(self, dut, names, count):
        super().__init__(dut, names)
        self.least = count

    @property
    def done(self):
        return len(self.events) >= self.least

    def progress(self):
        return f"{len(self.events)} of {self.least} pulses seen"


def check(dut, rng, frames=3, seed=0, i_stalled=0.0, blocked=0.0):
    data = rng.integers(0, 64, (frames, dut.height, dut.width, dut.words))
    beats = list(walk(dut, data.tolist()))
    i_stall, block = stalls(seed, i_stalled), stalls(seed + 1, blocked)
    accepts, issues = predict(dut, beats, data.size, i_stall, lambda cycle: not block(cycle))
    source = Source(dut.i, data.ravel().tolist(), i_stall)
    pulses = AtLeast(dut, OUTPUTS, count=len(beats))
    issued = Watch(dut, [], valid="o_issued")
    permit = Drive(dut.permit, lambda cycle: not block(cycle))
    run(dut, source, permit, pulses, issued, timeout=20_000, drain=0)
    # Padded taps of the next frame need no words, so they may be issued.
    del pulses.events[len(beats) :]
    assert source.cycles == accepts
    assert [cycle - dut.latency for cycle, _ in pulses.events] == issues
    ends = [at for at, (_, _, _, p) in zip(issues, beats, strict=True) if p["o_last"]]
    assert [cycle for cycle, _ in issued.events][: len(ends)] == ends
    for (_, seen), (_, _, words, pulse) in zip(pulses.events, beats, strict=True):
        assert lanes(dut, seen, words) == words
        assert {name: seen[name] for name in pulse} == pulse
    model = dut.model(data)
    for key in ("first", "last", "turn", "row"):
        assert model[key].astype(int).tolist() == [pulse[f"o_{key}"] for *_, pulse in beats]
    for got, real, (_, _, words, _) in zip(model["data"], model["real"], beats, strict=True):
        assert {b: int(got[b]) for b in np.flatnonzero(real)} == words


def pair(strategy):
    return st.tuples(strategy, strategy)


@st.composite
def windows(draw):
    """Draw a geometry with at least one tap inside the frame."""
    shape = {
        "height": draw(st.integers(1, 6)),
        "width": draw(st.integers(1, 9)),
        "words": draw(st.integers(1, 4)),
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
    assume(min(out) > 0 and geometry.minimum_depth(**shape) > 0)
    pixels = draw(st.integers(2, 6))
    assume(gcd(pixels, shape["stride"][1]) == 1)
    groups = draw(st.integers(1, 3))
    repeat = groups * draw(st.integers(1, 3))
    per_frame = out[0] * -(-out[1] // pixels) * repeat * shape["kernel"][0] * shape["kernel"][1]
    assume(per_frame * shape["words"] < 400)
    shape["words"] *= groups
    size = shape["height"] * shape["width"] * shape["words"]
    return shape | {
        "pixels": pixels,
        "repeat": repeat,
        "groups": groups,
        "extra": draw(st.sampled_from([0, 0, 1, shape["words"], size, 2 * size])),
        "pad_word_last": draw(st.sampled_from([None, 5])),
        "classes": draw(st.booleans()),
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
    "pixels": 2,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pads": (1, 1, 1, 1), "repeat": 2},
        {"pixels": 4, "width": 9, "words": 1},
        {"pixels": 3, "words": 3, "pads": (2, 2, 0, 3)},
        {"kernel": (2, 2), "stride": (2, 2), "pixels": 3, "repeat": 2},
        {"dilation": (2, 2), "pads": (2, 2, 2, 2)},
        {"dilation": (1, 3), "width": 12, "pixels": 4},
        {"pads": (1, 1, 1, 1), "groups": 2, "repeat": 2, "pad_word_last": 1},
        {"words": 6, "pads": (1, 1, 1, 1), "groups": 3, "repeat": 6, "pad_word_last": 1},
        {"words": 6, "kernel": (2, 2), "pixels": 3, "groups": 2, "repeat": 2},
        {"pads": (4, 4, 4, 4), "pixels": 3},
        {"pads": (1, 1, 1, 1), "classes": True, "repeat": 2},
        {"pads": (1, 1, 1, 1), "classes": True, "pixels": 4, "width": 9, "words": 1},
        {"pads": (2, 3, 0, 1), "classes": True, "pixels": 5, "dilation": (1, 2), "words": 1},
        {"height": 1, "width": 1, "words": 1, "kernel": (1, 1)},
        {"height": 1, "width": 2, "words": 7, "kernel": (1, 1), "repeat": 5},
        {"height": 1, "width": 1, "kernel": (5, 5), "pads": (2, 2, 2, 2), "stride": (2, 1)},
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
    dut = make(rng, **PLAIN, repeat=4, extra=2 * 5 * 3 * 2)
    data = rng.integers(0, 64, (4, 5, 6, 2))
    per_frame = 3 * 2 * 4 * 9 * 2
    source = Source(dut.i, data.ravel().tolist())
    pulses = Watch(dut, ["o_first"], count=4 * per_frame)
    run(dut, source, pulses, Drive(dut.permit, lambda cycle: 1))
    cycles = [cycle for cycle, _ in pulses.events][per_frame:]
    assert cycles == list(range(cycles[0], cycles[-1] + 1))


@settings(max_examples=80, deadline=None)
@given(shape=windows())
def test_minimum_depth_is_the_least(shape):
    """With one pixel less the documented rules deadlock; with that depth they never do."""
    dut = make(np.random.default_rng(0), **shape | {"extra": 0, "repeat": shape["groups"]})
    beats = list(walk(dut, np.zeros((2, dut.height, dut.width, dut.words), int).tolist()))
    for capacity in (dut.depth // dut.words, dut.depth // dut.words - 1):
        freed = 0
        stuck = False
        for number, frees, _, _ in beats:
            if number is not None:
                stuck |= slot_of(dut, number) + 1 - freed > capacity
            freed = freed if frees is None else frees
        assert stuck == (capacity < dut.depth // dut.words)


def test_every_feature_is_stored_once():
    """A bank holds every second column, and there is no other memory."""
    dut = make(np.random.default_rng(1), **PLAIN | {"width": 8}, extra=100)
    text = to_verilog(dut)
    assert text.count("[127:0]") == 2  # Two memories, each of 128 words of 6 bits.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pixels": 1}, "pixels is 1"),
        (
            {"stride": (1, 2)},
            "pixels is 2, which has a factor in common with the horizontal stride 2",
        ),
        ({"kernel": (0, 3)}, "kernel"),
        ({"kernel": (6, 1)}, "does not fit the padded frame"),
        ({"pad_word": 16}, "4 bits"),
        ({"groups": 2}, "groups is 2"),
        ({"depth": 17}, "windows need 18 words of a bank"),
        ({"ram": "flash"}, "flash"),
        (
            {"height": 1, "width": 1, "kernel": (1, 1), "stride": (2, 3), "pads": (1,) * 4},
            "no window has a tap inside",
        ),
    ],
)
def test_bad_parameters(wrong, message):
    good = PLAIN | {"word_bits": 4, "pad_word": 0, "repeat": 1, "groups": 1, "depth": 60}
    with pytest.raises(ValueError, match=message):
        BankedBuffer(**good | wrong)


@pytest.mark.rtl
@pytest.mark.parametrize(
    "change",
    [
        {"pads": (1, 1, 1, 1), "repeat": 3, "pad_word_last": 1},
        {"kernel": (2, 2), "stride": (2, 2), "pixels": 3, "words": 3},
        {"pads": (1, 1, 1, 1), "words": 4, "groups": 2, "repeat": 6, "pad_word_last": 1},
        {"pads": (4, 4, 4, 4), "pixels": 3},
        {"pads": (4, 4, 4, 4), "pixels": 3, "classes": True, "repeat": 2},
        {"height": 1, "width": 1, "kernel": (1, 2), "pads": (0, 1, 0, 0), "pixels": 5},
        {"height": 1, "width": 1, "words": 1, "kernel": (1, 1)},
    ],
)
def test_verilog_is_clean(tmp_path, change):
    dut = make(np.random.default_rng(1), **PLAIN | change)
    lint(to_verilog(dut), tmp_path, *STYLE)
