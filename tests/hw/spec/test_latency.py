"""The formulas for pipeline depths equal the latencies of what the components build."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow_hw.fabric.compress import Bit, CompressorNetlist, Heap, sum_bits
from xnorflow_hw.fabric.popcount import forms
from xnorflow_hw.fabric.popcount_xilinx7 import body
from xnorflow_hw.spec.kinds import FABRICS
from xnorflow_hw.spec.latency import (
    beat_latency,
    compressor_latency,
    popcount_latency,
    register_count,
    spared_lanes,
)


@given(st.lists(st.integers(0, 90), min_size=1, max_size=9), st.integers(1, 24))
def test_a_compressor_has_as_many_levels_as_the_formula_says(
    heights: list[int], width: int
) -> None:
    heap: Heap = {w: [Bit("x")] * h for w, h in enumerate(heights)}
    _, built = sum_bits(CompressorNetlist(), heap, width)
    assert compressor_latency(heights, width) == built


@pytest.mark.parametrize("simd", [*range(1, 40), 63, 64, 65, 127, 128, 500, 784])
def test_the_popcount_of_7_series_has_a_register_for_every_cycle(simd: int) -> None:
    """Each register vector of the body is one level, and the formula counts the levels."""
    latency = popcount_latency(simd, form="dense", fabric="xilinx7")
    clocked = [line for line in body(simd, latency) if "always @(posedge clk)" in line]
    assert len(clocked) == latency


def test_a_form_that_a_fabric_lacks_has_no_latency() -> None:
    for fabric in FABRICS:
        for form in ("tree", "dense", "recoded"):
            if form in forms(fabric):
                assert popcount_latency(64, form=form, fabric=fabric) > 0
            else:
                with pytest.raises(ValueError, match=f"{fabric!r} has no popcount of form"):
                    popcount_latency(64, form=form, fabric=fabric)


def test_registers_stand_after_every_second_level() -> None:
    assert [register_count(levels) for levels in range(6)] == [0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("simd", "bits", "coefficients", "form", "spared"),
    [
        (1, 1, (1,), "tree", 0),
        (2, 1, (1,), "tree", 1),
        (15, 1, (1,), "tree", 0),
        (16, 1, (1,), "tree", 1),
        (17, 1, (1,), "tree", 0),
        (16, 2, (1,), "tree", 0),
        (16, 1, (1, 2), "tree", 0),
        (16, 1, (1,), "add", 0),
    ],
)
def test_a_lane_is_spared_where_that_makes_the_popcount_full(
    simd: int, bits: int, coefficients: tuple[int, ...], form: str, spared: int
) -> None:
    given_ = {"simd": simd, "bits": bits, "coefficients": coefficients, "form": form}
    assert spared_lanes(**given_) == spared
    assert beat_latency(**given_) >= 0
