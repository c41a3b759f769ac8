"""Dense layer with its weights baked into logic: it computes every output in every clock cycle.

It needs neither a ROM nor XNORs. Inputs are taken in groups of six. For a given pattern of six
weight bits the count of agreeing inputs is a function of six bits, so each of its three bits takes
one LUT. Outputs with equal patterns share these LUTs. A pattern and its complement share them too,
because the count of one is six minus the count of the other: its bits are inverted and a constant
is corrected. So at most 32 patterns of a group are built for any number of outputs.

A compressor tree per output adds the counts of its groups (see `xnorflow_hw.fabric.compress`). The
threshold is a constant in that tree, chosen such that the carry is the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay_lines
from xnorflow_hw.fabric.compress import ONE, ZERO, Bit, CompressorNetlist, Heap, sum_bits
from xnorflow_hw.spec.latency import BAKED_GROUP, baked_heights, baked_latency, baked_width


def _first_level(
    netlist: CompressorNetlist, weights: NDArray[np.uint8]
) -> list[dict[int, list[str]]]:
    """Count agreements with every pattern in use; return registered nets by group and pattern."""
    heap: Heap = {}
    keys = []
    for group, low in enumerate(range(0, weights.shape[1], BAKED_GROUP)):
        part = weights[:, low : low + BAKED_GROUP]
        size = part.shape[1]
        inputs = [Bit(f"x[{low + i}]") for i in range(size)]
        for pattern in sorted({_canonical(row)[0] for row in part}):
            mask = (1 << size) - 1
            for bit in range(size.bit_length()):

                def agree(v: int, pattern: int = pattern, mask: int = mask, bit: int = bit) -> int:
                    return ((~(v ^ pattern) & mask).bit_count() >> bit) & 1

                heap[len(heap)] = [Bit(netlist.lut(inputs, agree))]
                keys.append((group, pattern))
    found: list[dict[int, list[str]]] = [{} for _ in range(-(-weights.shape[1] // BAKED_GROUP))]
    for (group, pattern), (count,) in zip(keys, netlist.register(heap).values(), strict=True):
        found[group].setdefault(pattern, []).append(count.net)
    return found


def _canonical(row: NDArray[np.uint8]) -> tuple[int, bool]:
    """Return the pattern of a group, or its complement if the last bit is 1, and which of both."""
    size = len(row)
    pattern = sum(int(bit) << i for i, bit in enumerate(row))
    complement = bool(pattern >> (size - 1))
    return (pattern ^ ((1 << size) - 1) if complement else pattern), complement


def _output(
    netlist: CompressorNetlist,
    counts: list[dict[int, list[str]]],
    row: NDArray[np.uint8],
    threshold: int | None,
) -> list[str]:
    """Build one output; return the nets of its count, or the net of its comparison."""
    simd = len(row)
    width = baked_width(simd, threshold=threshold is not None)
    heap: Heap = {w: [] for w in range(width)}
    constant = 0
    for group, by_pattern in enumerate(counts):
        part = row[BAKED_GROUP * group : BAKED_GROUP * (group + 1)]
        pattern, complement = _canonical(part)
        bits = by_pattern[pattern]
        for bit, net in enumerate(bits):
            heap[bit].append(Bit(net, complement))
        if complement:  # size - c = ~c - (2^bits - 1 - size)
            constant -= (1 << len(bits)) - 1 - len(part)
    if threshold is not None:
        if threshold <= 0 or threshold > simd:
            return [ONE if threshold <= 0 else ZERO]
        # The top bit of the sum is 1 from 2^(width - 1) on; the counts alone do not reach it.
        constant += (1 << (width - 1)) - threshold
    for bit in range(width):
        if constant % (1 << width) >> bit & 1:
            heap[bit].append(Bit(ONE))
    # Columns are filled up to the same heights for all outputs, so that all have the same latency.
    for bit, height in enumerate(baked_heights(simd, threshold=threshold is not None)):
        heap[bit] += [Bit(ZERO)] * (height - len(heap[bit]))
    nets, _ = sum_bits(netlist, heap, width)
    return nets if threshold is None else nets[-1:]


def structure(
    weights: NDArray[np.uint8], thresholds: Sequence[int] | None
) -> tuple[CompressorNetlist, list[str]]:
    """Build the layer out of primitives.

    Parameters
    ----------
    weights : uint8 array [outputs, simd]
        Weight bits.
    thresholds : sequence of int or None
        One per output: the result tells whether the count of agreements reaches it. None for the
        counts themselves.

    Returns
    -------
    netlist : CompressorNetlist
        Reads the nets ``x`` and ``clk``.
    nets : list of str
        The results, output 0 first, and of each the lowest bit first.
    """
    netlist = CompressorNetlist()
    counts = _first_level(netlist, weights)
    results: list[str] = []
    for k, row in enumerate(weights):
        threshold = None if thresholds is None else int(thresholds[k])
        results += _output(netlist, counts, row, threshold)
    return netlist, results


def verilog_module(name: str, weights: NDArray[Any], thresholds: Sequence[int] | None) -> str:
    """Write the module of a layer.

    Its ports are ``clk``, ``x`` [simd-1:0] and ``y``, which holds one bit per output or, without
    thresholds, one count, `baked_latency` cycles later.

    Parameters
    ----------
    name : str
        Name of the module.
    weights : 0/1 array [outputs, simd]
        Weight bits.
    thresholds : sequence of int or None
        One per output; see `structure`.
    """
    weights = np.asarray(weights, np.uint8)
    outputs, simd = weights.shape
    width = 1 if thresholds is not None else simd.bit_length()
    latency = baked_latency(simd, threshold=thresholds is not None)
    netlist, results = structure(weights, thresholds)
    lines = [
        f"module {name} (",
        "  input wire clk,",
        f"  input wire [{simd - 1}:0] x,",
        f"  output wire [{outputs * width - 1}:0] y",
        ");",
        "`ifdef XNORFLOW_COUNTONES",
        f"  wire [{outputs * width - 1}:0] y0;",
    ]
    digits = -(-simd // 4)
    for k, row in enumerate(weights):
        word = sum(int(bit) << i for i, bit in enumerate(row))
        count = f"$countones(~(x ^ {simd}'h{word:0{digits}x}))"
        if thresholds is None:
            lines.append(f"  wire [31:0] c{k} = {count};")
            lines.append(f"  assign y0[{k * width} +: {width}] = c{k}[{width - 1}:0];")
        else:
            lines.append(f"  assign y0[{k}] = {count} >= {max(0, int(thresholds[k]))};")
    lines += [*delay_lines("y", outputs * width, latency), "`else", *netlist.lines]
    lines += [f"  assign y[{i}] = {net};" for i, net in enumerate(results)]
    return "\n".join([*lines, "`endif", "endmodule", ""])
