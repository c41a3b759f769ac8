"""Each tolerance of lowering: one unit in the last place on either side of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.lower.common_scale import find
from xnorflow.lower.evaluate import Expression, Reach, steps
from xnorflow.lower.pads import pad_value
from xnorflow.lower.pending import Pending, squeeze
from xnorflow.lower.rounding import sum_error, uncertain_channels

ULP = 2.0**-23
"""Distance of the float32 values from 1 to 2."""


def f32(a: Any) -> Any:
    return np.asarray(a, np.float32)


def padded(value: float) -> ops.ConvOp:
    window = ir.Window(pads=(0, 1, 0, 0))
    return ops.ConvOp(np.ones((1, 1, 1, 1), np.int64), f32(1), window, value, node="c", op="Conv")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("value", "scale", "beyond", "integer"),
    [
        # The multiple of the scale is off by 2**-23 of the value, upwards and downwards.
        (1.0, 1 + ULP, 2, 1),
        (1.0, 1 - ULP, 0, 1),
        (1.5, 0.5 + ULP / 2, 1, 3),
        (1.5, 0.5 - ULP / 2, 0, 3),
        (2.0**-40, 2.0**-40 * (1 + ULP), 1, 1),
    ],
)
def test_padding_is_a_multiple_of_the_scale_within_a_float(
    value: float, scale: float, beyond: float, integer: int, sign: int
) -> None:
    assert pad_value(padded(sign * value), scale) == sign * integer
    with pytest.raises(UnsupportedModel, match="Conv node 'c'.*no integer multiple"):
        pad_value(padded(sign * value), float(np.nextafter(scale, beyond)))


def test_padding_may_be_the_next_float_and_no_other() -> None:
    floats = [float(f) for f in f32(1 + ULP * np.arange(-4, 3) / 2) if f != f32(1)]
    accepted = []
    for value in floats:
        try:
            assert pad_value(padded(value), 1.0) == 1
            accepted.append(value)
        except UnsupportedModel:
            pass
    # Below 1 floats are twice as dense, and 2**-23 of them is a little less.
    assert accepted == [1 - ULP / 2, 1 + ULP]


@pytest.mark.parametrize("sign", [1, -1])
def test_values_share_a_scale_within_the_rounding_of_the_largest(sign: int) -> None:
    # From 2 to 4 floats are 2 * ULP apart; a scale between may be off half of that from each.
    for off, fits in ((0, True), (2 * ULP, True), (4 * ULP, True), (6 * ULP, False)):
        values = sign * np.sort(f32([1, 2 + off]))
        grid = find(values)
        assert (grid is not None) == fits, off
        if grid:
            integers = grid.alphabet.values(grid.codes(values))
            assert np.abs(integers).tolist() == [1, 2]
            assert np.abs(integers * grid.scale - values).max() <= 2 * (1 + ULP) * ULP


def test_values_have_their_own_precision_where_one_scale_allows_it() -> None:
    scale = float(f32(0.1))
    integers = np.array([-3, -1, 2, 5, 40000])
    values = (integers * scale).astype(np.float32)
    grid = find(values)
    assert grid is not None
    np.testing.assert_array_equal(grid.alphabet.values(grid.codes(values)), integers)
    assert (np.abs(integers * grid.scale - values) <= np.abs(values) * ULP).all()


@pytest.mark.parametrize(("least", "fits"), [(126, True), (128, True), (129, False)])
def test_ratios_are_looked_for_up_to_a_denominator(least: int, fits: bool) -> None:
    # One spacing and a part of it that is an n-th: the scale is no power of two, so rounded.
    # Not all are equally spaced: those have finer parts.
    integers = [1, 1 + least, 1 + 3 * least]
    values = (np.array(integers) * 0.1).astype(np.float32)
    grid = find(values)
    assert (grid is not None) == fits
    if grid:
        assert not grid.exact
        assert grid.alphabet.values(grid.codes(values)).tolist() == integers


@pytest.mark.parametrize(("off", "fits"), [(1, True), (2, True), (3, False)])
def test_denormal_values_are_off_by_one_at_most(off: int, fits: bool) -> None:
    # The scale between 70000 and (140000 + off) / 2 is off half of that from the first.
    values = np.array([70000, 140000 + off]) * 2.0**-149
    grid = find(values.astype(np.float32))
    assert (grid is not None) == fits
    if grid:
        integers = grid.alphabet.values(grid.codes(values.astype(np.float32)))
        assert integers.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("first", "integers"),
    [(7 * np.nextafter(f32(0.1), f32(1)), [7, 17]), (round(102 / 101 * 2**22) / 2**22, [102, 203])],
)
def test_neighbours_may_be_exactly_one_apart(first: float, integers: list[int]) -> None:
    values = f32([first, first + 1])
    assert values[1] - values[0] == 1
    grid = find(values)
    assert grid is not None and not grid.exact
    assert grid.alphabet.values(grid.codes(values)).tolist() == integers


def test_zeros_have_a_scale_although_any_would_do() -> None:
    grid = find(f32([0, 0]))
    assert grid is not None
    assert (grid.scale, grid.alphabet, grid.exact) == (1.0, ir.UNIPOLAR, True)


@pytest.mark.parametrize(
    "integers",
    [
        [0, 1, 301],  # one distance is hundreds of times the other
        [-301, -1, 0],
        [1, 101, 201, 401],  # zero lies a hundredth of the least distance away
        [-3, -1, 0, 4, 5],
        list(range(-7, 8)),
    ],
)
@pytest.mark.parametrize("scale", [0.1, 1 / 3, 0.7, 1.2345, 3e-7])
def test_products_with_the_scale_are_the_values_bit_by_bit(
    integers: list[int], scale: float
) -> None:
    values = (np.array(integers) * float(f32(scale))).astype(np.float32)
    grid = find(values)
    assert grid is not None
    found = grid.alphabet.values(grid.codes(values))
    np.testing.assert_array_equal(found, integers)
    np.testing.assert_array_equal((found * grid.scale).astype(np.float32), values)


@pytest.mark.parametrize("scale", [1.0, 2.0**-140, float(f32(0.1))])
@pytest.mark.parametrize(
    ("integers", "fits"),
    [
        ([0, 1, 65535], True),
        ([-65535, -1, 0], True),
        ([0, 1, 65536], False),
        ([-65536, -1, 0], False),
        ([-1, 0, 65534], True),
        ([-1, 0, 65535], False),
        ([-32768, -1, 0, 32767], True),
        ([-32768, -1, 0, 32768], False),
        # Codes count the steps, here of 2.
        ([-65535, -1, 1, 65535], True),
        ([-1, 1, 65535], True),
        ([-1, 1, 65537], False),
    ],
)
def test_codes_have_sixteen_bits_and_integers_too(
    integers: list[int], fits: bool, scale: float
) -> None:
    values = (np.array(integers) * scale).astype(np.float32)
    grid = find(values)
    assert (grid is not None) == fits
    if grid:
        np.testing.assert_array_equal(grid.alphabet.values(grid.codes(values)), integers)


@pytest.mark.parametrize(
    ("unit", "total", "is_exact"),
    [
        (1.0, (1 << 24) - 1, True),
        (1.0, 1 << 24, False),
        (0.75, 5592405, True),  # times 3 it is 2**24 - 1
        (0.75, 5592406, False),
        (2.0**-149, 9, True),
        (2.0**-150, 9, False),
        (3 * 2.0**-149, 9, True),
        (3 * 2.0**-150, 9, False),
        (2.0**104, (1 << 23) - 1, True),
        (2.0**104, 1 << 23, False),
    ],
)
def test_sums_are_exact_up_to_a_mantissa_and_within_the_exponents(
    unit: float, total: int, is_exact: bool
) -> None:
    error = sum_error(np.array(unit), np.array([total]), 2, exact=True)
    assert (error == 0).tolist() == [is_exact]
    assert (sum_error(np.array(unit), np.array([total]), 2, exact=False) > 0).all()


def test_each_channel_has_its_own_unit() -> None:
    units, total = np.array([0.25, 0.1, 0.75, 0.25]), np.array([9, 9, 5592406, 1 << 24])
    error = sum_error(units, total, np.array([2, 2, 2, 3]), exact=True)
    assert (error == 0).tolist() == [True, False, False, False]
    one_by_one = [
        sum_error(np.array(u), np.array([t]), n, exact=True)[0]
        for u, t, n in zip(units, total, (2, 2, 2, 3), strict=True)
    ]
    assert error.tolist() == one_by_one


@pytest.mark.parametrize("terms", [100, 1000, 20000])
def test_no_shorter_bound_would_do(terms: int) -> None:
    """All but the first term are lost, one after the other, to the rounding of ties to even."""
    integers = np.full(terms, 1)
    integers[0] = 1 << 24
    unit = 2.0**-24
    sum_in_order = np.float32(0)
    for term in (integers * unit).astype(np.float32):
        sum_in_order += term
    error = abs(float(np.float32(integers.sum() * unit)) - float(sum_in_order))
    bound = sum_error(np.array(unit), integers[None].sum(1), terms, exact=True)
    # Besides the additions: a product's rounding, ours, and two for values on no exact grid.
    slack = (terms + 4) / (terms - 2) * (1 + terms * unit)
    assert error <= bound <= error * slack * (1 + 1e-12)


@pytest.mark.parametrize(
    ("unit", "total", "terms"), [(0.1, 18, 6), (0.1, 1, 1), (1.0, 1 << 24, 1000), (1e-42, 7, 3)]
)
def test_the_bound_is_a_rounding_for_each_term_and_four_more(
    unit: float, total: int, terms: int
) -> None:
    # Where values are denormal, a rounding is as large as the least of them.
    expected = (terms + 4) * (total * unit / 2**24 + 2.0**-149)
    np.testing.assert_allclose(
        sum_error(np.array(unit), np.array([total]), terms, exact=False), expected, rtol=1e-15
    )


@pytest.mark.parametrize(
    ("shift", "error", "uncertain"),
    [
        # The last integer that does not reach the threshold is 1/4 below it: there it is a tie.
        (0.25, 0.25 - 2.0**-24, 0),
        (0.25, 0.25, 1),
        # The first that does is 1/4 above it: a tie still reaches it.
        (0.75, 0.25, 0),
        (0.75, 0.25 + 2.0**-24, 1),
    ],
)
@pytest.mark.parametrize("step", [1, 3])
def test_decisions_within_the_error_are_uncertain(
    shift: float, error: float, uncertain: int, step: int
) -> None:
    rising = (ops.SubtractOp(f32([shift, 100])), ops.BipolarQuantOp(f32(1)))
    expression = Expression(np.array(1 / step), rising)
    reach = Reach(np.full(2, -9), np.full(2, 9), step)
    found = steps(expression, reach, ops.Op())
    assert found.at.tolist() == [step]
    assert uncertain_channels(expression, found, step, np.full(2, error)) == uncertain
    assert uncertain_channels(expression, found, step, np.array([error, 0])) == uncertain
    assert uncertain_channels(expression, found, step, np.array([0, error])) == 0


def pending(*waiting: ops.Elementwise, reach: Reach) -> Pending:
    """A convolution of one channel is written, these operations are not."""
    graph = ops.Graph("net", (1, 1, 1), ())
    made = Pending(graph, centred=False)
    made.layers = [ir.Conv("conv", np.ones((1, 1, 1, 1), np.int64), ir.BIPOLAR)]
    made.reach, made.unit, made.ops = reach, np.array(1.0), list(waiting)
    return made


ODD = Reach(np.array([-3]), np.array([3]), 2)


@pytest.mark.parametrize(
    ("make", "absorbed"),
    [
        (lambda: ops.MultiplyOp(f32(0.1)), True),
        (lambda: ops.AddOp(f32(0)), True),
        # -3 keeps its value, the others move by this: at 1 by 2**-23 or more of it.
        (lambda: ops.AddOp(f32(ULP)), True),
        (lambda: ops.AddOp(f32(ULP + ULP**2)), False),
        (lambda: ops.AddOp(f32(2 * ULP)), False),
        (lambda: ops.MultiplyOp(f32(0)), False),
        (lambda: ops.MultiplyOp(f32(-1)), False),
        (lambda: ops.MultiplyOp(f32(2.0**-149)), True),
    ],
)
def test_what_is_a_scale_within_a_float_needs_no_threshold(
    make: Callable[[], ops.Elementwise], absorbed: bool
) -> None:
    p = pending(make(), reach=ODD)
    p.settle(ops.Op())
    assert (len(p.layers) == 1) == absorbed
    assert not p.ops


def test_a_channel_that_is_always_zero_has_any_scale() -> None:
    reach = Reach(np.array([0, -3]), np.array([0, 3]), 3)
    p = pending(ops.MultiplyOp(f32([7, 0.5])), reach=reach)
    p.settle(ops.Op())
    assert len(p.layers) == 1 and p.unit == 0.5


def test_one_unit_is_kept_where_all_channels_agree() -> None:
    assert squeeze(np.array([0.5, 0.5])).shape == () and squeeze(np.array([0.5, 0.5])) == 0.5
    for units in ([0.5, 0.25], [0.25, 0.5, 0.5], [0.5, 0.5, 0.25]):
        assert squeeze(np.array(units)).tolist() == units
