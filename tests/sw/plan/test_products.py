"""What multiplies in a layer is chosen by estimated cost, and DSP blocks are never overdrawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.devices.tables import fpga, fpgas
from xnorflow.plan.layer_rules import RULES, StageRule, conv_array, reductions
from xnorflow.plan.products import (
    adder_bits,
    can_multiply,
    choose,
    multipliers,
    plane_number,
    product_registers,
)
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.weight_words import signed_bits, weight_bits, weight_planes


def layer(bits: int = 8, weight_bits: int = 8, inputs: int = 64, outputs: int = 16) -> Reduction:
    rng = np.random.default_rng(bits * weight_bits)
    most = 1 << (weight_bits - 1)
    weights = rng.integers(-most, most, (outputs, 1, 1, inputs))
    weights.flat[0] = -most
    net = ir.IntegerNetwork(
        "net",
        (1, 1, inputs),
        (
            ir.InputTable(
                "input", np.arange(256)[None] >> (8 - bits), ir.Alphabet(0, 1, 1 << bits)
            ),
            ir.Conv("layer", weights, ir.Alphabet(-most, 1, 2 * most)),
            ir.Scores("scores", np.zeros(outputs, np.int64)),
        ),
    )
    return reductions(net)[0]


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=9))
def test_widths_and_planes_are_those_of_the_weights(values: list[int]) -> None:
    weights = np.array(values)
    bits = weight_bits(weights)
    assert -(1 << (bits - 1)) <= weights.min() and weights.max() < 1 << (bits - 1)
    if bits > 2:
        assert not (-(1 << (bits - 2)) <= weights.min() and weights.max() < 1 << (bits - 2))
    if abs(weights).max() > 1:
        assert plane_number(weights) == len(weight_planes(weights)[1])


@pytest.mark.parametrize(
    ("least", "most", "bits"),
    [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-128, 127, 8), (-129, 0, 9), (0, 255, 9)],
)
def test_bits_of_a_signed_range(least: int, most: int, bits: int) -> None:
    assert signed_bits(least, most) == bits


def test_only_layers_with_several_bits_of_both_multiply() -> None:
    assert can_multiply(layer(2, 3))
    assert not can_multiply(layer(1, 8))
    for alphabet in (ir.BIPOLAR, ir.TERNARY):
        part = layer()
        assert isinstance(part.layer, ir.Conv)
        low = alphabet.values(np.resize(np.arange(alphabet.levels), part.layer.weights.shape))
        binary = ir.Conv("layer", low, alphabet)
        assert not can_multiply(Reduction(binary, part.inp, part.out, True))


@pytest.mark.parametrize(("lanes", "found"), [(1, 0), (2, 17), (3, 17 + 18), (4, 2 * 17 + 18)])
def test_adders_of_a_beat_grow_by_a_bit_per_level(lanes: int, found: int) -> None:
    assert adder_bits(lanes, 8, 8) == found


def test_registers_of_a_beat() -> None:
    assert product_registers(1, 8, 6, "dsp") == 14
    assert product_registers(2, 8, 6, "dsp") == 2 * 14 + 15
    # Four lanes: one register behind the second level.
    assert product_registers(4, 8, 6, "dsp") == 4 * 14 + 16


def test_boards_with_blocks_multiply_in_them_and_others_where_it_is_cheaper() -> None:
    part, fold = layer(), Fold(4, 8)
    assert choose(part, fold, fpga("ulx3s-85f").family, 156).multiplier == "dsp"
    assert choose(part, fold, fpga("ulx3s-85f").family, 31).multiplier is None
    assert choose(part, fold, fpga("ulx3s-85f").family, 32).dsps == 32
    # Two products of up to nine bits share a block on Gowin.
    assert choose(part, fold, fpga("tangnano20k").family, 48).dsps == 16
    # A product of 4 x 4 bits becomes LUTs on 7-series.
    assert choose(layer(4, 4), fold, fpga("pynq-z1").family, 220).multiplier != "dsp"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=4),
    st.sampled_from(["ulx3s-25f", "colorlight-i5", "tangnano20k", "icebreaker", "zcu104"]),
)
def test_no_more_blocks_are_taken_than_there_are(folds: list[tuple[int, int]], board: str) -> None:
    device = fpga(board)
    parts = [layer(4 + k, 8 - k) for k in range(len(folds))]
    chosen = multipliers(parts, [Fold(*f) for f in folds], device)
    dsp = device.family.dsp
    assert dsp is not None
    taken = sum(
        -(-int(2 * fold[0] * fold[1] * dsp.blocks(4 + k, 8 - k)) // 2)
        for k, (fold, kind) in enumerate(zip(folds, chosen, strict=True))
        if kind == "dsp"
    )
    assert taken <= device.dsp_number
    assert not device.dsp_number or taken or sum(pe * simd for pe, simd in folds) > 20


def test_without_a_board_nothing_multiplies() -> None:
    assert multipliers([layer(), layer()], [Fold(1, 1), Fold(2, 2)], None) == (None, None)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(2, 7), st.integers(1, 4), st.integers(1, 9))
def test_sums_are_never_wider_than_those_of_planes(
    bits: int, weight_bits: int, pe: int, simd: int
) -> None:
    """So whatever can be built of planes can be built of multipliers."""
    part, rule = layer(bits, weight_bits, 9, 4), RULES[ir.Conv]
    assert isinstance(rule, StageRule)
    array, meaning = rule.described(part, Fold(pe, simd), "logic")
    planes, _ = conv_array(part, Fold(pe, simd))
    assert array.acc_bits <= planes.acc_bits
    assert meaning.denominator == 1
    low, high = part.layer.bounds(part.inp.alphabet)  # type: ignore[attr-defined]
    least = -(-(low - meaning.offset) // meaning.numerator)
    most = (high - meaning.offset) // meaning.numerator
    assert (least >= 0).all() and (most < 1 << array.acc_bits).all()


def test_a_pool_has_nothing_to_multiply() -> None:
    pool = ir.SumPool("pool", ir.Window())
    part = layer()
    rule = RULES[ir.SumPool]
    assert isinstance(rule, StageRule)
    with pytest.raises(TypeError, match="'pool'"):
        rule.described(Reduction(pool, part.inp, part.inp, False), Fold(1, 1), "dsp")
    assert not can_multiply(Reduction(pool, part.inp, part.inp, False))


def test_only_numbers_with_a_source_count() -> None:
    for device in fpgas().values():
        assert device.dsp_number == (int(device.dsps.value) if device.dsps.usable else 0)
