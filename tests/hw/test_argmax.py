import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow_hw.argmax import ArgMax

from .harness import run_stream, stalls


@given(st.integers(1, 13), st.integers(1, 4), st.integers(2, 9), st.booleans(), st.data())
def test_finds_the_first_of_the_highest(classes, lanes, bits, is_signed, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    low, high = (-(1 << bits - 1), 1 << bits - 1) if is_signed else (0, 1 << bits)
    scores = rng.integers(low, high, (6, classes))
    scores[1:3] = scores[1:3, :1]  # All equal: the first class.
    dut = ArgMax(classes=classes, lanes=lanes, bits=bits, is_signed=is_signed)
    beats = []
    for frame in scores.tolist():
        # What lies in lanes past the last class must not matter.
        frame += [high - 1] * (-classes % lanes)
        for first in range(0, len(frame), lanes):
            beats.append(sum(
                (score & ((1 << bits) - 1)) << (bits * lane)
                for lane, score in enumerate(frame[first : first + lanes])
            ))
    for probability in (0.0, 0.4):
        taken, given_out = run_stream(
            dut, beats, len(scores), i_stall=stalls(1, probability),
            o_stall=stalls(2, probability),
        )
        assert [label for _, label in given_out] == dut.model(scores).tolist()
        if not probability:
            ends = taken[dut.beats - 1 :: dut.beats]
            assert [cycle for cycle, _ in given_out] == [end + dut.latency for end in ends]


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="classes is 0"):
        ArgMax(classes=0, lanes=1, bits=8)
