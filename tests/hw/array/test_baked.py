"""Compressor trees and baked layers: primitives equal counting, proved by Yosys's solver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xnorflow_hw.array import baked
from xnorflow_hw.fabric import compress
from xnorflow_hw.fabric.compress import Bit, CompressorNetlist
from xnorflow_hw.spec.latency import baked_latency, compressor_latency

from .. import prove


def _tree(heights: list[int], inverted: int) -> tuple[str, str, int]:
    """Write a tree over columns of the given heights, and the sum that it has to equal."""
    width = (sum(h << w for w, h in enumerate(heights))).bit_length()
    total = sum(heights)
    bits = [Bit(f"x[{i}]", bool(inverted >> i & 1)) for i in range(total)]
    heap, terms, taken = {}, [], 0
    for w, height in enumerate(heights):
        heap[w] = bits[taken : taken + height]
        taken += height
        terms += [f"({'~' if b.inverted else ''}{b.net} << {w})" for b in heap[w]]
    netlist = CompressorNetlist()
    nets, cycles = compress.sum_bits(netlist, heap, width)
    assert cycles == compressor_latency(heights)
    head = f"(input clk, input [{total - 1}:0] x, output [{width - 1}:0] n);"
    wide = " + ".join(t.replace("(", "({8'd0, ", 1).replace(" <<", "} <<") for t in terms)
    gold = [f"module reference{head}", f"  wire [{width - 1}:0] n0 = {wide};"]
    gold += [
        f"  reg [{width - 1}:0] n{c + 1}; always @(posedge clk) n{c + 1} <= n{c};"
        for c in range(cycles)
    ]
    gold += [f"  assign n = n{cycles};", "endmodule"]
    gate = [f"module tree{head}", *netlist.lines]
    gate += [f"  assign n[{i}] = {net};" for i, net in enumerate(nets)] + ["endmodule"]
    return "\n".join(gold), "\n".join(gate), cycles


@pytest.mark.parametrize(
    ("heights", "inverted"),
    [
        ([7], 0),
        ([6], 0b101010),
        ([5], 0b11111),
        ([7, 0, 6], 0),
        ([8, 3], 0b100110001),
        ([4, 4, 4], 0b101101),
        ([1, 2, 3], 0),
        ([12], 0xAAA),
        ([2], 0b11),
        ([1], 0b1),
    ],
)
def test_a_tree_of_slices_adds(heights: list[int], inverted: int, tmp_path: Path) -> None:
    gold, gate, cycles = _tree(heights, inverted)
    assert prove.equal(gold, gate, "tree", "xilinx7", tmp_path, cycles)


def test_the_proof_finds_a_wrong_tree(tmp_path: Path) -> None:
    gold, _, cycles = _tree([7], 0)
    _, gate, _ = _tree([7], 0b1)
    assert not prove.equal(gold, gate, "tree", "xilinx7", tmp_path, cycles)


def test_two_bits_go_per_lut() -> None:
    netlist = CompressorNetlist()
    heap = {0: [Bit(f"a[{i}]") for i in range(7)], 2: [Bit(f"b[{i}]") for i in range(6)]}
    out = compress._level(netlist, heap)
    assert netlist.luts == 4 and netlist.carries == 1
    assert {w: len(bits) for w, bits in out.items() if bits} == dict.fromkeys(range(5), 1)


@pytest.mark.parametrize(("outputs", "simd"), [(1, 1), (3, 5), (4, 6), (2, 13), (3, 14)])
@pytest.mark.parametrize("answers", [True, False])
def test_a_baked_layer_counts(outputs: int, simd: int, answers: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(outputs * simd)
    weights = rng.integers(0, 2, (outputs, simd), dtype=np.uint8)
    thresholds = rng.integers(-1, simd + 3, outputs).tolist() if answers else None
    gate = baked.verilog_module("layer", weights, thresholds)
    gold = "`define XNORFLOW_COUNTONES\n" + gate.replace("module layer", "module reference")
    cycles = baked_latency(simd, threshold=answers)
    assert prove.equal(gold, gate, "layer", "xilinx7", tmp_path, cycles)


def test_outputs_share_the_counts_of_patterns_and_their_complements() -> None:
    weights = np.array([[0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 0, 1]], np.uint8)
    alone, _ = baked.structure(weights[:1], None)
    both, _ = baked.structure(weights, None)
    counts = 3  # LUTs of a group's first level.
    assert both.luts - counts == 2 * (alone.luts - counts)


def test_latency_is_that_of_the_widest_output() -> None:
    assert baked_latency(6, threshold=False) >= 1
    assert baked_latency(784, threshold=True) == 8


def test_lines_stay_short_however_wide_a_layer_is() -> None:
    # Verilator 5.052 fails on a line of more than 40,000 tokens.
    weights = np.random.default_rng(1).integers(0, 2, (64, 784), dtype=np.uint8)
    text = baked.verilog_module("layer", weights, [392] * 64)
    assert max(map(len, text.splitlines())) < 400
