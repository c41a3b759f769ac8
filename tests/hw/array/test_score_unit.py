"""The unit of scores: a stream of sums becomes rounded scores, one beat after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.score_unit import ScoreUnit, _nearest
from xnorflow_hw.spec import ScoreSpec, ScoreStepSpec
from xnorflow_hw.spec.latency import score_step_latency

from ..convert import STYLE, to_verilog
from ..harness import pack, run_stream, stalls, unpack
from ..verilog import lint

drawn = settings(max_examples=40, deadline=None, derandomize=True)


def width(values):
    return max((int(v) if v >= 0 else ~int(v)).bit_length() for v in values) + 1


def steps_of(rng, kinds, *, beats, lanes, in_bits, multiplier):
    """Draw steps with the least widths that hold every value."""
    low = np.zeros((beats, lanes), object)
    high = low + (1 << in_bits) - 1
    value_bits, steps = in_bits + 1, []
    for kind, bits, shift in kinds:
        multiply, add = low * 0 + 1, low * 0
        if kind == "product":
            multiply = rng.integers(-(1 << bits), 1 << bits, (beats, lanes)).astype(object)
        elif kind == "scalar":
            multiply = multiply * int(rng.integers(-(1 << bits), 1 << bits) or 3)
        elif kind == "sum":
            multiply = multiply * (1 << int(rng.integers(0, 3)))
        if kind != "scalar":
            add = rng.integers(-(1 << bits), 1 << bits, (beats, lanes)).astype(object)
            add = add * int(rng.random() < 0.7 or kind == "sum")
        ends = np.stack([low * multiply + add, high * multiply + add])
        total_bits = width([*ends.min(0).ravel(), *ends.max(0).ravel()])
        near = np.vectorize(_nearest, otypes=[object])(ends) >> shift
        low, high = near.min(0), near.max(0)
        result_bits = width([*low.ravel(), *high.ravel()])
        steps.append(
            ScoreStepSpec(multiply, add, shift, value_bits, total_bits, result_bits, multiplier)
        )
        value_bits = result_bits
    return tuple(steps)


def numbers(values):
    """Round to 24 significant bits by float32 itself; values of up to 53 bits."""
    return np.vectorize(lambda v: int(np.float32(float(v))), otypes=[object])(values)


def expected(spec, values):
    """Compute the scores of [n, lanes] beats, with rounding by NumPy's float32."""
    found = np.zeros(values.shape, object)
    for n, beat in enumerate(values.astype(object)):
        row = n % spec.beats
        for step in spec.steps:
            beat = numbers(beat * step.multiply[row] + step.add[row]) >> step.shift
        found[n] = beat
    return found.astype(np.int64)


def check(spec, values, *, stall_in=0.0, stall_out=0.0):
    dut = ScoreUnit(spec)
    source, sink = run_stream(
        dut,
        [pack(beat, spec.in_bits) for beat in values],
        len(values),
        i_stall=stalls(1, stall_in),
        o_stall=stalls(2, stall_out),
    )
    found = [unpack(payload, spec.out_bits, spec.lanes, signed=True) for _, payload in sink]
    wanted = expected(spec, values)
    assert found == wanted.tolist()
    frames = values.reshape(-1, spec.beats, spec.lanes)
    assert np.array_equal(dut.model(frames).reshape(wanted.shape), wanted)
    return source, sink


@drawn
@given(
    kinds=st.lists(
        st.tuples(
            st.sampled_from(["product", "scalar", "sum"]), st.integers(1, 14), st.integers(0, 3)
        ),
        min_size=1,
        max_size=3,
    ),
    beats=st.integers(1, 4),
    lanes=st.integers(1, 2),
    in_bits=st.integers(1, 12),
    multiplier=st.sampled_from(["dsp", "logic"]),
    stall=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 999),
)
def test_scores(kinds, beats, lanes, in_bits, multiplier, stall, seed):
    rng = np.random.default_rng(seed)
    steps = steps_of(rng, kinds, beats=beats, lanes=lanes, in_bits=in_bits, multiplier=multiplier)
    if max(s.total_bits for s in steps) > 52:
        return
    spec = ScoreSpec(steps, beats, lanes, in_bits)
    values = rng.integers(0, 1 << in_bits, (6 * beats, lanes))
    values[:beats], values[beats : 2 * beats] = 0, (1 << in_bits) - 1
    source, sink = check(spec, values, stall_in=stall, stall_out=stall)
    if not stall:
        # One beat in every cycle, each as late as the spec says.
        assert [t for t, _ in sink] == [t + spec.latency for t in source]
        assert np.ptp(source) == len(values) - 1


@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
@pytest.mark.parametrize("sign", [1, -1])
def test_ties_and_powers_of_two(sign, multiplier):
    """Values around halves of the last place, on either side of a power of two."""
    one = np.full((1, 1), 1, object)
    near = [k << 16 | r for k in (255, 256, 257, 511, 512) for r in (0, 1, 2, 3, 254, 255, 256)]
    steps = (ScoreStepSpec(one * sign * 3, one * 0, 0, 27, 30, 30, multiplier),)
    values = np.array(sorted({v for k in near for v in (k - 1, k, k + 1)}))[:, None]
    check(ScoreSpec(steps, 1, 1, 26), values)


def spec(**options):
    one = np.full((2, 1), 1, object)
    fields = {
        "multiply": one,
        "add": one,
        "shift": 0,
        "value_bits": 5,
        "total_bits": 6,
        "result_bits": 6,
    }
    return ScoreSpec((ScoreStepSpec(**fields | options),), 2, 1, 4)


def test_latency():
    wide = np.array([[3], [-1 << 20]], object)
    assert spec().latency == 1 + 1
    assert spec(add=wide * 0).latency == 1
    assert spec(total_bits=25).latency == 1 + 1
    assert spec(total_bits=26).latency == 1 + 1 + 2
    assert spec(multiply=wide, multiplier="dsp").latency == 1 + 1 + 1
    assert spec(multiply=wide, add=wide * 0, multiplier="dsp").latency == 1 + 1
    # A magnitude, a tree of three levels for five bits, and the sum, added or not.
    assert spec(multiply=wide).latency == spec(multiply=wide, add=wide * 0).latency == 1 + 1 + 3 + 1
    assert score_step_latency(product=True, bits=5, multiplier="logic", adds=True, rounds=True) == 7


@pytest.mark.rtl
@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_lint_clean(multiplier, lanes, tmp_path):
    kinds = [("sum", 3, 0), ("product", 14, 1), ("sum", 14, 2), ("scalar", 9, 0)]
    rng = np.random.default_rng(4)
    steps = steps_of(rng, kinds, beats=4, lanes=lanes, in_bits=10, multiplier=multiplier)
    text = to_verilog(ScoreUnit(ScoreSpec(steps, 4, lanes, 10), style="verilog"))
    lint(text, tmp_path, *STYLE)
    products = [line for line in text.splitlines() if " * " in line.partition("//")[0]]
    assert bool(products) == (multiplier == "dsp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multiply": np.full((1, 1), 1, object)}, r"another shape than \(2, 1\)"),
        ({"add": np.full((2, 2), 1, object)}, r"added has another shape"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        ScoreUnit(spec(**options))
    with pytest.raises(ValueError, match="no steps"):
        ScoreUnit(ScoreSpec((), 2, 1, 4))
