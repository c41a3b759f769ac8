"""StretchBuffer: beats and every cycle of larger and cropped maps, with stalls on both sides."""

import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec import StretchSpec
from xnorflow_hw.stage.stretch_buffer import StretchBuffer

from ..convert import STYLE, to_verilog
from ..harness import Drive, Source, Watch, run, stalls
from ..verilog import lint

FRAMES = 3


class AtLeast(Watch):
    """Waits for pulses and allows more: zeros need no word, so the next frame's may be issued."""

    def sample(self, ctx, cycle):
        count, self.count = self.count, None
        super().sample(ctx, cycle)
        self.count = count

    @property
    def done(self):
        return len(self.events) >= self.count


def reference(frames, factors, fill, crop, zero):
    """Return the stretched maps of frames [n, height, width, words], by NumPy's own functions."""
    (fy, fx), (top, left, bottom, right) = factors, crop
    n, height, width, words = frames.shape
    match fill:
        case "repeat":
            large = frames.repeat(fy, 1).repeat(fx, 2)
        case "zeros":
            large = np.empty((n, height * fy, width * fx, words), object)
            large[:] = zero
            large[:, ::fy, ::fx] = frames
        case _:
            cells = frames.reshape(n, height, width, fy, fx, -1).transpose(0, 1, 3, 2, 4, 5)
            large = cells.reshape(n, height * fy, width * fx, -1)
    return large[:, top : large.shape[1] - bottom, left : large.shape[2] - right]


def predict(spec, i_stall, p_stall):
    """Return the cycles of all accepts and issues, by the rules of docs/hardware.md."""
    reads = np.concatenate(
        [
            np.where(r < 0, r, r + f * spec.kept().sum())
            for f, r in enumerate([spec.reads()] * FRAMES)
        ]
    )
    # The oldest word that this beat or a later one reads.
    needed = np.where(reads < 0, spec.kept().sum() * FRAMES, reads)
    oldest = np.minimum.accumulate(needed[::-1])[::-1].tolist() + [spec.kept().sum() * FRAMES]
    kept = np.tile(spec.kept(), FRAMES)
    accepts, issues, written = [], [], []
    now, offered = 0, False
    while len(issues) < len(reads) or len(accepts) < len(kept):
        beats, words = len(issues), len(written)
        if beats < len(reads) and not p_stall(now) and reads[beats] < words:
            issues.append(now)
        if len(accepts) < len(kept):
            offered = offered or not i_stall(now)
            keep = kept[len(accepts)]
            if offered and (not keep or words < oldest[beats] + spec.depth):
                accepts.append(now)
                offered = False
                if keep:
                    written.append(now)
        now += 1
    return accepts, issues


def check(spec, seed, i_stalled=0.0, p_stalled=0.0):
    rng = random.Random(seed)
    words = [rng.getrandbits(spec.word_bits) for _ in range(FRAMES * spec.frame_words)]
    frames = np.array(words, object).reshape(FRAMES, spec.frame_words)
    dut = StretchBuffer(spec)
    i_stall, p_stall = stalls(seed, i_stalled), stalls(seed + 1, p_stalled)
    source = Source(dut.i, words, i_stall)
    count = FRAMES * spec.cycles
    watch = AtLeast(dut, ["o_data", "o_row", "o_first", "o_last"], count=count)
    issued = AtLeast(dut, [], valid="o_issued", count=count)
    run(dut, source, Drive(dut.permit, lambda now: not p_stall(now)), watch, issued)

    accepts, issues = predict(spec, i_stall, p_stall)
    assert source.cycles == accepts
    assert [cycle for cycle, _ in issued.events][:count] == issues
    assert [cycle for cycle, _ in watch.events][:count] == [c + dut.latency for c in issues]
    beats = [values for _, values in watch.events]
    zero = np.array([spec.zero_word] * (spec.words - 1) + [spec.zero_word_last], object)
    assert all(b["o_data"] == zero[b["o_row"]] for b in beats[count:])
    beats = beats[:count]
    model = dut.model(frames)
    for name in ("data", "row"):
        assert [b[f"o_{name}"] for b in beats] == model[name].tolist(), name
    assert all(b["o_first"] and b["o_last"] for b in beats)
    maps = frames.reshape(FRAMES, spec.height, spec.width, spec.words)
    expected = reference(maps, spec.factors, spec.fill, spec.crop, zero)
    assert model["data"].tolist() == expected.ravel().tolist()
    assert expected.shape[1:] == (*spec.output, spec.out_words)
    return issues


@st.composite
def specs(draw):
    fill = draw(st.sampled_from(["repeat", "zeros", "blocks"]))
    factors = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    words = draw(st.integers(1, 3)) * (factors[0] * factors[1] if fill == "blocks" else 1)
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rows, columns = height * factors[0], width * factors[1]
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    bottom, right = draw(st.integers(0, rows - 1 - top)), draw(st.integers(0, columns - 1 - left))
    crop = (top, left, bottom, right)
    bits = draw(st.integers(1, 20))
    zeros = [draw(st.integers(0, (1 << bits) - 1)) for _ in range(2)]
    spec = StretchSpec(bits, words, height, width, factors, fill, crop, *zeros, depth=0)
    assume(min(count for _, count in spec.used) > 0)
    extra = draw(st.integers(0, 5))
    return StretchSpec(*(*vars(spec).values(),)[:9], depth=spec.minimum_depth + extra)


STALLED = st.sampled_from([0.0, 0.2, 0.7])


@settings(max_examples=150, deadline=None)
@given(spec=specs(), seed=st.integers(0, 999), i_stalled=STALLED, p_stalled=STALLED)
def test_any(spec, seed, i_stalled, p_stalled):
    check(spec, seed, i_stalled, p_stalled)


@pytest.mark.parametrize(
    ("fill", "factors", "words", "depth", "more"),
    [
        # An output row is read again, so a row has to be kept; one word more hides its write.
        ("repeat", (2, 2), 2, 10, 1),
        ("repeat", (1, 3), 2, 2, 1),
        ("repeat", (1, 1), 2, 1, 1),
        ("zeros", (2, 2), 2, 1, 0),
        # The first pixel's part has been read when the last pixel's is.
        ("blocks", (2, 2), 8, 32, 0),
        ("blocks", (1, 2), 8, 1, 1),
    ],
)
def test_minimum_depth(fill, factors, words, depth, more):
    shape = StretchSpec(8, words, 3, 5, factors, fill, (0, 0, 0, 0), 7, 7, depth)
    assert shape.minimum_depth == depth
    check(shape, 1)
    with pytest.raises(ValueError, match=f"depth is {depth - 1}; it has to be at least {depth}"):
        StretchBuffer(StretchSpec(8, words, 3, 5, factors, fill, (0, 0, 0, 0), 7, 7, depth - 1))


def test_full_speed_has_no_bubble():
    """With a row and two words, each cell's last row hides the writing of the next."""
    spec = StretchSpec(8, 2, 4, 5, (2, 2), "repeat", (0, 0, 0, 0), 0, 0, depth=12)
    issues = check(spec, 3)
    assert issues == list(range(issues[0], issues[0] + FRAMES * spec.cycles))


GOOD = {
    "word_bits": 4,
    "words": 4,
    "height": 3,
    "width": 3,
    "factors": (2, 2),
    "fill": "repeat",
    "crop": (0, 0, 0, 0),
    "zero_word": 0,
    "zero_word_last": 0,
    "depth": 99,
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"words": 0}, "words is 0"),
        ({"factors": (0, 1)}, "factors are"),
        ({"crop": (0, 0, -1, 0)}, "crop is"),
        ({"fill": "mirror"}, "'mirror'"),
        ({"ram": "ultra"}, "'ultra'"),
        ({"fill": "blocks", "words": 6}, "multiple of the blocks"),
        ({"zero_word": 16}, "does not fit"),
        ({"crop": (3, 0, 3, 0)}, "leaves no value"),
        ({"fill": "zeros", "crop": (5, 0, 0, 0)}, "leaves no value"),
        ({"depth": 11}, "at least 12"),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        StretchBuffer(StretchSpec(**GOOD | wrong))


@pytest.mark.rtl
@pytest.mark.parametrize("fill", ["repeat", "zeros", "blocks"])
def test_verilog_is_clean(fill, tmp_path):
    crop = (1, 2, 3, 1)
    dut = StretchBuffer(StretchSpec(**GOOD | {"fill": fill, "crop": crop}))
    lint(to_verilog(dut), tmp_path, *STYLE)
