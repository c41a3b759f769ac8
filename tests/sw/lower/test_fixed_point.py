"""The rule of fixed point: affine chains, grids, rounded weights, rescalings, and refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import execute, ops
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.ir import Alphabet, Features, Rescale
from xnorflow.ir.layers import MAX_PRODUCT_BITS
from xnorflow.lower import lower
from xnorflow.lower.fixed_point import (
    ASK,
    TINY,
    FixedPoint,
    Range,
    affine,
    quantiser,
    rescaling,
    round_weights,
)

X = np.linspace(-5, 5, 41)[:, None] * np.ones(3)


def f32(*values):
    return np.array(values[0] if len(values) == 1 else values, np.float32)


NORM = ops.BatchNormOp(f32(1, -2, 0.5), f32(0, 1, -1), f32(3, 0, 1), f32(1, 4, 0.25), 1e-3)
AFFINE = {
    "add": (ops.AddOp(f32(1, -2, 0.5)),),
    "subtract": (ops.SubtractOp(f32(0.75)),),
    "subtract from": (ops.SubtractOp(f32(1, 2, -3), reverse=True),),
    "multiply": (ops.MultiplyOp(f32(2, -3, 0)),),
    "divide": (ops.DivideOp(f32(2, -4, 0.5)),),
    "norm": (NORM,),
    "rectify": (ops.ClipOp(0.0),),
    "clip": (ops.ClipOp(-1.0, 2.0),),
    "identity": (FunctionOp("Identity", ((),)),),
    "negate": (FunctionOp("Neg", ((),)),),
    "negate a chain": (FunctionOp("Neg", ((ops.ClipOp(-1.0, 2.0), ops.AddOp(f32(1))),)),),
    "maximum": (FunctionOp("Max", ((), f32(0.5, -1, 2))),),
    "minimum": (FunctionOp("Min", ((ops.AddOp(f32(1)),), f32(0.5, -1, 2))),),
    "turned clip": (ops.ClipOp(-1.0, 2.0), ops.MultiplyOp(f32(-2, 3, 0)), ops.AddOp(f32(1))),
    "clips of a clip": (ops.ClipOp(0.0), NORM, ops.ClipOp(-1.0, 0.5), ops.DivideOp(f32(-2))),
    "all": (NORM, ops.SubtractOp(f32(1), reverse=True), ops.ClipOp(0.0), ops.MultiplyOp(f32(-3))),
    "empty clip": (ops.ClipOp(1.0), FunctionOp("Min", ((), f32(-1.0)))),
    "nothing": (),
}


@pytest.mark.parametrize("name", AFFINE)
def test_an_affine_chain_is_its_operations(name):
    value = affine(AFFINE[name])
    graph = ops.Graph("net", (1, 1, 3), AFFINE[name])
    want = execute.scores(graph, X[:, None, None, :])
    got = np.clip(value.factor * X + value.offset, value.lo, value.hi)
    np.testing.assert_allclose(np.broadcast_to(got, X.shape), want, rtol=1e-6, atol=1e-6)
    bounded = any(isinstance(op, ops.ClipOp | FunctionOp) for op in AFFINE[name])
    assert value.clips == (bounded and name not in ("identity", "negate"))


@pytest.mark.parametrize(
    "op",
    [
        FunctionOp("Tanh", ((),)),
        FunctionOp("Abs", ((),)),
        FunctionOp("LeakyRelu", ((), f32(0.5))),
        FunctionOp("Mul", ((), ())),
        FunctionOp("Max", ((), ())),
        FunctionOp("Neg", ((FunctionOp("Abs", ((),)),),)),
        FunctionOp("Max", ((FunctionOp("Tanh", ((),)),), f32(0))),
        ops.SignOp(),
        ops.BipolarQuantOp(f32(1)),
    ],
)
def test_what_is_not_affine_is_not_taken_for_it(op):
    assert affine((op,)) is None
    assert affine((ops.AddOp(f32(1)), op, ops.AddOp(f32(1)))) is None


def integers(value):
    return st.integers(-value, value)


@given(
    st.lists(st.tuples(st.floats(-8, 8), st.floats(-1000, 1000)), min_size=1, max_size=4),
    st.integers(0, 1 << 20),
    st.data(),
)
def test_every_code_is_within_its_rounding_of_the_real_value(lines, largest, data):
    """One half of a code for the rounding, an eighth for the factor, and the offset's own."""
    factor, offset = np.array(lines).T
    found = rescaling(factor, offset, largest, 256)
    assert found.shift == largest.bit_length() + 2
    drawn = data.draw(st.lists(integers(largest), max_size=8))
    for x in (largest, -largest, 0, *drawn):
        code = (x * found.multiply + found.offset) >> found.shift
        slack = 0.5 + 0.125 + 2.0 ** -(found.shift + 1) + 1e-9
        assert (np.abs(code - (factor * x + offset)) <= slack).all()


def test_one_half_goes_up():
    found = rescaling(np.array([0.5, -0.5]), np.zeros(2), 8, 8)
    codes = [((x * found.multiply + found.offset) >> found.shift).tolist() for x in (1, 2, 3, -1)]
    assert codes == [[1, 0], [1, -1], [2, -1], [0, 1]]


class Turned:
    """Layers before that turn round to ``source - value``."""

    def __init__(self, source):
        self.source = source

    def mirror(self, mask):
        return np.where(mask, self.source, 0)


@pytest.mark.parametrize("levels", [2, 1 << 16])
@pytest.mark.parametrize("bits", [1, 10, 30, 47])
@pytest.mark.parametrize("power", [-40, 0, 8, 20, 30, 58, 59, 60, 61, 62, 63, 100])
def test_sums_take_no_more_bits_than_there_are_even_upside_down(bits, power, levels):
    largest = (1 << bits) - 1
    factor = np.array([1, 0.7]) * 2.0 ** (power - bits)
    offset = np.array([0.3, -1]) * 2.0 ** (power - 3)
    found = rescaling(factor, offset, largest, levels)
    reach = abs(factor).max() * largest + abs(offset + 0.5).max() + levels
    if found is None:
        assert reach >= 1 << (MAX_PRODUCT_BITS - 3)
        return
    sums = int(abs(found.multiply).max()) * largest + int(abs(found.offset).max())
    assert sums < 1 << MAX_PRODUCT_BITS
    # No bit of the room is given away without need: one more would not be certain to fit.
    assert found.shift == bits + 2 or 16 * reach * 2.0**found.shift >= 2.0**MAX_PRODUCT_BITS
    codes = np.zeros(2, np.int64), np.full(2, levels - 1)
    layer = Rescale("r", found.multiply, found.offset, *codes, found.shift, Alphabet(0, 1, levels))
    inp = Features(1, 1, 2, Alphabet(-largest, 1, 2 * largest + 1))
    layer.check(inp)
    for source in (0, largest, -largest, 2 * largest):
        turned, _ = layer.mirrored(np.array([True, False]), Turned(source))
        turned.check(inp)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_factors_and_offsets_that_are_no_numbers_have_no_rescaling(bad):
    assert rescaling(np.array([bad]), np.zeros(1), 5, 4) is None
    assert rescaling(np.ones(1), np.array([bad]), 5, 4) is None


@pytest.mark.parametrize("bits", [2, 3, 8, 15, 16, 17, 24])
def test_grids_have_the_bits_that_were_asked_for_and_at_most_sixteen(bits):
    fixed = FixedPoint(bits, (Range(-3.0, 2.0), Range(0.0, 5.0), Range(-1.0, 7.0)))
    width = min(bits, 16)
    top = 2 ** (width - 1) - 1
    assert fixed.grid(0) == (3 / top, Alphabet(-top, 1, 2 * top + 1))
    unit, alphabet = fixed.grid(1)
    assert (unit, alphabet) == (5 / (2**width - 1), Alphabet(0, 1, 2**width))
    assert fixed.grid(1, signed=True) == (5 / top, Alphabet(-top, 1, 2 * top + 1))
    assert fixed.grid(2)[0] == 7 / top


def test_grids_are_no_wider_than_the_bounds_of_their_values():
    fixed = FixedPoint(8, (Range(-3.0, 20.0),))
    assert fixed.grid(0, bounds=(0.0, 6.0)) == (6 / 255, Alphabet(0, 1, 256))
    assert fixed.grid(0, bounds=(-1.0, 1.0)) == (1 / 127, Alphabet(-127, 1, 255))
    assert fixed.grid(0, bounds=(-np.inf, 2.0))[0] == 3 / 127
    assert fixed.grid(0, bounds=(-9.0, 99.0))[0] == 20 / 127
    assert fixed.grid(0, most_bits=4)[1] == Alphabet(-7, 1, 15)


@pytest.mark.parametrize(("lo", "hi"), [(0.0, 0.0), (-3.0, -1.0), (1e-45, 1e-44), (-1e-44, 0.0)])
def test_grids_of_hardly_any_values_have_a_unit_that_divides(lo, hi):
    unit, alphabet = FixedPoint(8, (Range(lo, hi),)).grid(0)
    assert unit >= TINY and np.float32(unit) > 0
    assert alphabet.lo <= 0 <= alphabet.hi
    if lo == hi == 0:
        assert unit == 1.0


def test_the_quantiser_of_a_grid_gives_its_integers():
    for lo, hi in ((-3.0, 2.0), (0.0, 5.0)):
        unit, alphabet = FixedPoint(5, (Range(lo, hi),)).grid(0)
        op = quantiser(unit, alphabet, "node")
        x = np.linspace(-6, 6, 500, dtype=np.float32)
        codes = op.codes(x)
        assert codes.min() == alphabet.lo and codes.max() == alphabet.hi
        want = np.clip(np.rint(x / np.float32(unit)), alphabet.lo, alphabet.hi)
        np.testing.assert_array_equal(codes, want)


# Weights.


def conv(weights, **options):
    w = np.asarray(weights, np.float32)
    return ops.ConvOp(w.reshape(len(w), 1, 1, -1), f32(1), node="conv", op="Conv", **options)


def network(*made):
    return ops.Graph("net", (1, 1, made[0].weights.shape[3]), made)


W = [[0.5, -1.0, 0.3], [0.01, 0.02, -0.07], [0, 0, 0]]


@pytest.mark.parametrize(("bits", "top"), [(2, 1), (3, 3), (8, 127), (24, 8388607)])
def test_weights_are_rounded_by_output_channel(bits, top):
    first, *_ = round_weights(network(conv(W), ops.SignOp(), conv(np.ones((2, 3)))), bits).ops
    assert first.rounded and not first.real and first.weights.dtype == np.int64
    largest = np.array([1.0, 0.07, 1.0], np.float32)
    np.testing.assert_allclose(first.scale, largest / top, rtol=1e-6)
    got = first.weights.reshape(3, 3)
    assert abs(got).max(1).tolist() == [top, top, 0]
    np.testing.assert_array_equal(got, np.rint(np.array(W) / first.scale[:, None].astype(float)))
    assert (abs(got * first.scale[:, None] - W) <= first.scale[:, None] * 0.5001).all()


def test_weights_that_are_integers_stay_as_they_are():
    whole = ops.ConvOp(np.ones((2, 1, 1, 3), np.int64), f32(0.1))
    assert round_weights(network(whole, ops.AddOp(f32(1, 2))), 8).ops[0] is whole


@pytest.mark.parametrize(
    "tail",
    [
        (),
        (ops.AddOp(f32(1, -2, 3)),),
        (NORM,),
        (ops.MultiplyOp(f32(-2)), ops.AddOp(f32(1, 0, 4)), NORM),
    ],
)
def test_the_last_layer_shares_one_scale_with_what_follows_it_folded_in(tail):
    graph = network(conv(W), *tail)
    made = round_weights(graph, 16)
    last, *rest = made.ops
    assert np.ndim(last.scale) == 0 and last.rounded
    assert len(rest) <= 1 and all(isinstance(op, ops.AddOp) for op in rest)
    x = np.random.default_rng(0).normal(size=(20, 1, 1, 3))
    want = execute.scores(graph, x)
    np.testing.assert_allclose(execute.scores(made, x), want, atol=1e-3 * abs(want).max())
    assert abs(last.weights).max() == 32767


@pytest.mark.parametrize(
    "behind",
    [
        (ops.ClipOp(0.0),),
        (FunctionOp("Tanh", ((),)), ops.MultiplyOp(f32(-1, 2, 3))),
        (ops.AddOp(f32(1)), ops.SumPoolOp(ops.Window())),
    ],
)
def test_what_cannot_be_folded_leaves_a_scale_per_channel(behind):
    last, *rest = round_weights(network(conv(W), *behind), 8).ops
    assert last.scale.shape == (3,) and tuple(rest) == behind


def test_weights_of_zeros_alone_and_below_every_float32_scale():
    for size in (0.0, 1e-45, 1e-40, 1e-38):
        made = round_weights(network(conv(np.full((2, 3), size))), 24).ops[0]
        assert (made.scale > 0).all() and np.isfinite(made.scale).all()
        off = abs(made.weights * float(made.scale) - np.float64(np.float32(size)))
        assert off.max() <= 0.5 * float(made.scale)


def test_factors_that_make_weights_no_float32_are_refused():
    big = np.full((2, 3), 1e30)
    assert round_weights(network(conv(big), ops.MultiplyOp(f32(1e8))), 8).ops[0].rounded
    with pytest.raises(UnsupportedModel, match="Conv node 'conv'.*beyond float32"):
        round_weights(network(conv(big), ops.MultiplyOp(f32(1e9))), 8)


def test_real_weights_are_refused_with_the_option_that_takes_them():
    with pytest.raises(UnsupportedModel) as caught:
        lower(network(conv(W)))
    assert ASK in str(caught.value) and "--fixed-point auto" in ASK
    assert "Conv node 'conv'" in str(caught.value)
