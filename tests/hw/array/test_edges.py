"""The array of edges equals its NumPy model and plain sums of products, to the cycle."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.edges import EdgeArray
from xnorflow_hw.spec import EdgeSpec, RomSpec

from ..harness import pack, run_pulses, unpack, with_bubbles


def make(rng, *, pe, lanes, parts, bits, edges, words, most, blocks=1, **kind):
    """Draw an array of edges; all sums of up to `words` beats fit."""
    shape = (words, edges, 2, blocks * pe, parts * lanes)
    largest = words * edges * parts * lanes * most * 2 * ((1 << bits) - 1)
    return EdgeSpec(
        pe=blocks * pe,
        simd=blocks * parts * lanes,
        bits=bits,
        weights=rng.integers(0, 2, shape).astype(np.uint8),
        factors=rng.integers(0, most + 1, (words, edges, blocks * pe, parts)),
        rest=int(rng.integers(1 << bits)),
        acc_bits=max(1, largest.bit_length()),
        blocks=blocks,
        **kind,
    )


def plain(spec, codes, enabled):
    """Return the sums of weights times codes, [reductions, pe], of one pixel.

    A weight is what its two planes make of it, so a sum is compared without XNORs.
    """
    found, word, most = [], 0, (1 << spec.bits) - 1
    for reduction, count in zip(codes, enabled, strict=True):
        total = np.zeros(spec.pe, int)
        for beat in reduction:
            at = word % spec.weight_words
            for e in range(spec.edges):
                seen = beat if e < count else np.full_like(beat, spec.rest)
                for k in range(spec.pe):
                    block = k // (spec.pe // spec.blocks)
                    own = seen[block * spec.block_lanes :][: spec.block_lanes]
                    factor = spec.factors[at, e, k].repeat(spec.part_lanes)
                    bits = spec.weights[at, e, :, k].astype(int)
                    ternary, zeros = bits.sum(0) - 1, (1 - bits).sum(0)
                    total[k] += (factor * (2 * ternary * own + most * zeros)).sum()
            word += 1
        found.append(total)
    return np.array(found)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 2),
    lanes=st.integers(1, 4),
    parts=st.integers(1, 3),
    bits=st.integers(1, 5),
    edges=st.integers(1, 3),
    beats=st.integers(1, 3),
    blocks=st.integers(1, 2),
    most=st.integers(1, 9),
    rom=st.sampled_from(["block", "logic"]),
    bubbles=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_array_is_a_sum_of_enabled_edges(
    pe, lanes, parts, bits, edges, beats, blocks, most, rom, bubbles, seed
):
    rng = np.random.default_rng(seed)
    spec = make(
        rng,
        pe=pe,
        lanes=lanes,
        parts=parts,
        bits=bits,
        edges=edges,
        words=2 * beats,
        most=most,
        blocks=blocks,
        rom=RomSpec(rom),
    )
    codes = rng.integers(0, 1 << bits, (5, beats, spec.simd))
    enabled = rng.integers(1, edges + 1, 5)
    dut, sent = EdgeArray(spec), []
    expected = dut.model(codes, edges=enabled)
    np.testing.assert_array_equal(expected, plain(spec, codes, enabled))
    for r, b in np.ndindex(codes.shape[:2]):
        beat = {
            "i_data": pack(codes[r, b], bits),
            "i_first": int(b == 0),
            "i_last": int(b == beats - 1),
        }
        sent.append(beat | ({"i_edges": (1 << int(enabled[r]) - 1) - 1} if edges > 1 else {}))
    pulses = with_bubbles(sent, seed, bubbles)
    events = run_pulses(dut, pulses, ["o_values"], count=len(codes), drain=20)
    assert [cycle for cycle, _ in events] == [
        cycle + spec.latency() for cycle, beat in enumerate(pulses) if beat and beat["i_last"]
    ]
    values = [unpack(out["o_values"], spec.acc_bits, spec.pe) for _, out in events]
    np.testing.assert_array_equal(values, expected)


def test_what_is_impossible_is_refused():
    spec = make(np.random.default_rng(0), pe=2, lanes=2, parts=2, bits=2, edges=2, words=2, most=3)
    EdgeArray(spec)
    for wrong, message in (
        ({"pe": 0}, "pe is 0"),
        ({"blocks": 3}, "blocks is 3"),
        ({"weights": spec.weights[:, :, :1]}, "weights have shape"),
        ({"weights": spec.weights + 1}, "weight bits are 0 or 1"),
        ({"factors": spec.factors[:, :1]}, "factors have shape"),
        ({"factors": spec.factors - 9}, "a factor is"),
        ({"factors": np.ones((2, 2, 2, 3), int)}, "factors for 3 parts"),
        ({"rest": 4}, "rest is 4"),
        ({"lanes": (1,)}, "lanes are"),
        ({"form": "dense"}, "has tree"),
    ):
        with pytest.raises(ValueError, match=message):
            EdgeArray(replace(spec, **wrong))
