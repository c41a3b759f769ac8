"""Our Quant equals qonnx's in every bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.multithreshold import multithreshold
from qonnx.custom_op.general.quant import max_int, min_int
from qonnx.custom_op.general.quant import quant as qonnx_quant

from xnorflow.graph import ops
from xnorflow.graph.quantisers import ROUNDINGS, integer_range

from ..frontend.onnx_models import f32


def bits(a):
    return np.asarray(a, np.float32).view(np.uint32)


def agree(x, q):
    want = qonnx_quant(x, q.scale, q.zero_point, f32(q.bits), q.signed, q.narrow, q.rounding)
    assert want.dtype == np.float32
    np.testing.assert_array_equal(bits(q.apply(x)), bits(want))


@pytest.mark.parametrize("rounding", [*ROUNDINGS, "round", "Half_Up"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 8])
def test_every_mode_on_ties_and_neighbours(rounding, signed, narrow, width):
    steps = f32(np.arange(-600, 601) / 4)
    near = np.concatenate(
        [
            steps,
            np.nextafter(steps, f32(np.inf)),
            np.nextafter(steps, f32(-np.inf)),
            f32([1e-40, -1e-40, -0.0, 1e30, -1e30, np.inf, -np.inf]),
        ]
    )
    for scale in (1.0, 0.3, 2.0**-9):
        for zero in (0.0, 3.0, -1.0):
            q = ops.QuantOp(f32(scale), f32(zero), width, signed, narrow, rounding)
            agree(near * f32(scale), q)


@given(
    hnp.arrays(np.float32, (5, 3), elements=st.floats(width=32, allow_nan=False)),
    hnp.arrays(np.float32, (3,), elements=st.floats(2.0**-20, 2.0**20, width=32)),
    hnp.arrays(np.float32, (3,), elements=st.integers(-300, 300).map(float)),
    st.integers(1, 24),
    st.booleans(),
    st.booleans(),
    st.sampled_from(sorted(ROUNDINGS)),
)
def test_any_value_per_channel(x, scale, zero, width, signed, narrow, rounding):
    with np.errstate(all="ignore"):
        agree(x, ops.QuantOp(scale, zero, width, signed, narrow, rounding))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("width", range(1, 25))
def test_integer_range(signed, narrow, width):
    assert integer_range(width, signed, narrow) == (
        min_int(signed, narrow, width),
        max_int(signed, narrow, width),
    )


def test_one_signed_bit_is_bipolar():
    q = ops.QuantOp(f32(0.5), f32(0), 1, True, False, "ROUND")
    x = f32([-3, -0.0, 0, 0.1])
    np.testing.assert_array_equal(q.codes(x), [-1, 1, 1, 1])
    np.testing.assert_array_equal(q.apply(x), [-0.5, 0.5, 0.5, 0.5])


@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(width=32, allow_nan=False)),
    st.sampled_from([1.0, 0.5, 0.3]),
)
def test_bipolar_quant_and_multi_threshold(x, scale):
    np.testing.assert_array_equal(
        bits(ops.BipolarQuantOp(f32(scale)).apply(x)), bits(binary_quant(x, f32(scale)))
    )
    steps = f32([[-1, 0, 7], [0, 0, 0], [-5, 2, 1e9]])
    op = ops.MultiThresholdOp(steps, 0.3, -1.7)
    want = multithreshold(x, steps, np.float32(0.3), np.float32(-1.7))
    np.testing.assert_array_equal(bits(op.apply(x)), bits(want))
