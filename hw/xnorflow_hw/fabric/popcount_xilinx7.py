"""Dense XNOR popcount for AMD 7-series: full adders with two XNORs inside, then a compressor tree.

A LUT with two outputs has five inputs: two lanes and a bit, of which it computes sum and carry. A
group of lanes is a row of such LUTs, each of which passes its sum on to the next one, so two lanes
take one LUT and become a carry. Half a bit of weight 2 per lane and one bit of weight 1 per group
are left, which `compress` adds at nearly two bits per LUT. Together that is 0.85 LUTs per lane.

Of two masked lanes one is decided by a LUT of its own, which leaves five inputs again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from xnorflow_hw.base.pipeline import registered_levels
from xnorflow_hw.fabric.compress import Bit, CompressorNetlist, Heap, sum_bits
from xnorflow_hw.spec.latency import ROW_LANES, popcount_latency


@dataclass
class _Levels(CompressorNetlist):
    """A netlist that has registers only behind some levels.

    Attributes
    ----------
    registered : set of int or None
        Levels, from 1, that end in a register; None for all.
    level : int
        Number of levels so far.
    """

    registered: set[int] | None = None
    level: int = field(default=0)

    def register(self, heap: Heap) -> Heap:
        """Add a register for every bit of a heap if this level has registers; return the heap."""
        self.level += 1
        return super().register(heap) if self._registered else heap

    @property
    def _registered(self) -> bool:
        return self.registered is None or self.level in self.registered


def _agreeing(lanes: int, value: int, bit: int = 0) -> int:
    """Return bit `bit` of the number of lanes whose two bits agree, plus the bit above them."""
    pairs = range(0, 2 * lanes, 2)
    agreeing = sum(value >> i & 1 == value >> i + 1 & 1 for i in pairs)
    return ((value >> 2 * lanes & 1) + agreeing) >> bit


def _masked(value: int, bit: int = 0) -> int:
    """Return bit `bit` of the sum of a masked lane (its bits x, w and m) and two more bits."""
    x, w, m = (value >> i & 1 for i in range(3))
    return ((m & (x == w)) + (value >> 3 & 1) + (value >> 4 & 1)) >> bit


def _row(netlist: CompressorNetlist, low: int, high: int, heap: Heap, *, masked: bool) -> None:
    """Count lanes low to high - 1 and add the result to the heap."""
    passed: list[Bit] = []
    for lane in range(low, high, 2):
        lanes = min(2, high - lane)
        count = _masked if masked else partial(_agreeing, lanes)
        if masked:
            inputs = [Bit(f"{port}[{lane}]") for port in "xwm"]
            if lanes == 2:
                other = [Bit(f"{port}[{lane + 1}]") for port in "xwm"]
                inputs.append(Bit(netlist.lut(other, count)))
        else:
            inputs = [Bit(f"{port}[{lane + i}]") for i in range(lanes) for port in "xw"]
        if lanes == 1 and not passed:
            total = netlist.lut(inputs, count)
        else:
            carry, total = netlist.luts_of_two(inputs + passed, partial(count, bit=1), count)
            heap.setdefault(1, []).append(Bit(carry))
        passed = [Bit(total)]
    heap.setdefault(0, []).extend(passed)


def _build(netlist: _Levels, simd: int, *, masked: bool) -> list[str]:
    """Build the tree; return the nets of the count, lowest bit first."""
    heap: Heap = {}
    for low in range(0, simd, ROW_LANES):
        _row(netlist, low, min(low + ROW_LANES, simd), heap, masked=masked)
    return sum_bits(netlist, netlist.register(heap), simd.bit_length())[0]


def body(simd: int, latency: int, *, masked: bool = False) -> list[str]:
    """Write the statements of the module: inputs ``x``, ``w``, output ``n``; see `popcount`."""
    levels = popcount_latency(simd, form="dense", fabric="xilinx7")
    netlist = _Levels(registered=registered_levels(levels, min(latency, levels)))
    nets = _build(netlist, simd, masked=masked)
    count: Heap = dict(enumerate([Bit(net)] for net in nets))
    for _ in range(latency - levels):
        count = CompressorNetlist.register(netlist, count)
    bits = ", ".join(count[weight][0].net for weight in sorted(count, reverse=True))
    return [*netlist.lines, f"  assign n = {{{bits}}};"]
