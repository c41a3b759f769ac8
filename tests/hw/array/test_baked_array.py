"""The array of a dense layer with its weights in logic equals its NumPy model."""

from __future__ import annotations

import numpy as np
import pytest

from xnorflow_hw.array.baked_array import BakedArray

from ..harness import pack, run_pulses, unpack, with_bubbles


@pytest.mark.parametrize(("outputs", "simd", "rows"), [(1, 1, 1), (3, 7, 2), (6, 20, 1)])
@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("bubbles", [0.0, 0.5])
def test_a_result_per_beat(
    outputs: int, simd: int, rows: int, answers: bool, bubbles: float
) -> None:
    rng = np.random.default_rng(outputs + simd)
    weights = rng.integers(0, 2, (outputs, simd), dtype=np.uint8)
    thresholds = rng.integers(-1, simd + 3, outputs) if answers else None
    dut = BakedArray(weights=weights, acc_bits=simd.bit_length(), thresholds=thresholds, rows=rows)
    inputs = rng.integers(0, 2, (12, simd))
    beats = [
        {"i_data": pack(row, 1), "i_first": 1, "i_last": 1, "i_row": i % rows}
        for i, row in enumerate(inputs)
    ]
    offered = with_bubbles(iter(beats), 1, bubbles)
    events = run_pulses(dut, offered, ["o_values", "o_row"], count=len(beats), drain=20)
    assert [cycle for cycle, _ in events] == [
        cycle + dut.latency for cycle, beat in enumerate(offered) if beat
    ]
    values = np.array([unpack(out["o_values"], dut.out_bits, outputs) for _, out in events])
    assert values.tolist() == dut.model(inputs).tolist()
    assert [out["o_row"] for _, out in events] == [i % rows for i in range(len(beats))]


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="outputs, simd"):
        BakedArray(weights=np.zeros((2, 3, 4), np.uint8), acc_bits=3)
    with pytest.raises(ValueError, match="thresholds"):
        BakedArray(weights=np.zeros((2, 3), np.uint8), acc_bits=2, thresholds=np.zeros(3, np.int64))
