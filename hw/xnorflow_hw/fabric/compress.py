"""Compressor trees for AMD 7-series slices: sums of many bits out of LUT6, LUT6_2 and CARRY4.

The main counter adds seven bits with two LUTs and half a carry chain. Let Y count the bits 0 to 4.
The first position propagates the parity of bits 0 to 5 and generates bit 5, and bit 6 is the
chain's carry-in. Its carry out is then (bit 5 + bit 6 + parity of Y - its sum) / 2 in every case.
So Y // 2, a number from 0 to 2, is left for the second position: it propagates if that is 1 and
generates if it is 2. Its carry has the weight 4 and enters the next two positions, which add six
bits of that weight. Thirteen bits become five in four LUTs: each LUT removes two bits, where a full
adder removes one.

The use of slices for such counters is Kumm and Zipf's ("Pipelined compressor tree optimization
using integer linear programming", FPL 2014) and Preusser's ("Generic and universal parallel matrix
summation with a flexible compression goal for Xilinx FPGAs", FPL 2017).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

ZERO, ONE = "1'b0", "1'b1"


@dataclass(frozen=True)
class Bit:
    """A bit of a sum.

    Parameters
    ----------
    net : str
        Name of the net.
    inverted : bool
        Whether the bit is the complement of the net.
    """

    net: str
    inverted: bool = False


Heap = dict[int, list[Bit]]
"""The bits of a sum, by the exponent of their weight."""


@dataclass
class CompressorNetlist:
    """Verilog text of LUTs, carry chains and registers, and how many of them there are.

    Attributes
    ----------
    lines : list of str
        Declarations and instances.
    luts : int
        Number of LUTs, of one or two outputs.
    carries : int
        Number of CARRY4.
    registers : int
        Number of flip-flops.
    """

    lines: list[str] = field(default_factory=list)
    luts: int = 0
    carries: int = 0
    registers: int = 0
    _nets: int = 0

    def nets(self, count: int, kind: str = "wire") -> list[str]:
        """Declare a vector of nets; return the names of its elements."""
        name = f"n{self._nets}"
        self._nets += 1
        self.lines.append(f"  {kind} [{count - 1}:0] {name};")
        return [f"{name}[{i}]" for i in range(count)]

    def lut(self, inputs: Sequence[Bit], function: Callable[[int], int]) -> str:
        """Add a LUT of up to six inputs; return the net of its output.

        Parameters
        ----------
        inputs : sequence of Bit
            Inputs of the function.
        function : callable
            Takes the inputs as one integer, input 0 lowest; the lowest bit of its result counts.
        """
        size = max(1, len(inputs))
        init = self._init(inputs, function, size)
        (out,) = self.nets(1)
        pins = [f".I{i}({bit.net})" for i, bit in enumerate(inputs or (Bit(ZERO),))]
        self.lines.append(
            f"  LUT{size} #(.INIT({1 << size}'h{init:x})) u{self._nets}"
            f" ({', '.join(pins)}, .O({out}));"
        )
        self.luts += 1
        return out

    def luts_of_two(
        self, inputs: Sequence[Bit], high: Callable[[int], int], low: Callable[[int], int]
    ) -> tuple[str, str]:
        """Add a LUT with two functions of the same five inputs; return the nets of both."""
        five = [*inputs, *[Bit(ZERO)] * (5 - len(inputs))]
        init = self._init(five, high, 5) << 32 | self._init(five, low, 5)
        o6, o5 = self.nets(2)
        pins = [f".I{i}({bit.net})" for i, bit in enumerate(five)]
        self.lines.append(
            f"  LUT6_2 #(.INIT(64'h{init:016x})) u{self._nets}"
            f" ({', '.join(pins)}, .I5({ONE}), .O6({o6}), .O5({o5}));"
        )
        self.luts += 1
        return o6, o5

    @staticmethod
    def _init(inputs: Sequence[Bit], function: Callable[[int], int], size: int) -> int:
        """Return the truth table of a LUT, whose inverted inputs are complemented."""
        flip = sum(1 << i for i, bit in enumerate(inputs) if bit.inverted)
        return sum((function(v ^ flip) & 1) << v for v in range(1 << size))

    def carry(self, start: str, propagate: Sequence[str], generate: Sequence[str]) -> list[str]:
        """Add a chain of any length; return the nets of its sums and, last, of its carry."""
        sums: list[str] = []
        carry = ZERO
        for low in range(0, len(propagate), 4):
            s, di = list(propagate[low : low + 4]), list(generate[low : low + 4])
            unused = 4 - len(s)
            out, co = self.nets(4), self.nets(4)
            self.lines.append(
                f"  CARRY4 u{self._nets} (.CI({carry}), .CYINIT({ZERO if low else start}),"
                f" .S({_join([*s, *[ZERO] * unused])}), .DI({_join([*di, *[ZERO] * unused])}),"
                f" .O({_join(out)}), .CO({_join(co)}));"
            )
            self.carries += 1
            sums += out[: len(s)]
            carry = co[len(s) - 1]
        return [*sums, carry]

    def register(self, heap: Heap) -> Heap:
        """Add a register for every bit of a heap but constants; return the delayed heap."""
        live = [bit.net for bits in heap.values() for bit in bits if bit.net not in (ZERO, ONE)]
        if not live:
            return heap
        unique = list(dict.fromkeys(live))
        late = dict(zip(unique, self.nets(len(unique), "reg"), strict=True))
        vector = late[unique[0]].split("[")[0]
        self.lines.append(f"  always @(posedge clk) {vector} <= {_join(unique)};")
        self.registers += len(unique)
        return {
            w: [Bit(late.get(bit.net, bit.net), bit.inverted) for bit in bits]
            for w, bits in heap.items()
        }


def _join(nets: Iterable[str]) -> str:
    """Write a vector, element 0 lowest, in short lines; Verilator refuses very long ones."""
    highest_first = list(nets)[::-1]
    few = 16
    lines = [", ".join(highest_first[k : k + few]) for k in range(0, len(highest_first), few)]
    return "{" + ",\n    ".join(lines) + "}"


def _count(value: int) -> int:
    """Return the number of ones."""
    return value.bit_count()


def _plain(netlist: CompressorNetlist, bit: Bit) -> str:
    """Return the net of a bit; an inverted bit takes a LUT."""
    return netlist.lut([bit], lambda v: v) if bit.inverted else bit.net


def _positions(netlist: CompressorNetlist, bits: Sequence[Bit]) -> tuple[list[str], list[str]]:
    """Return what the two positions propagate and generate that add up to six bits to a carry.

    The bit that the first position generates is wired to the chain itself and cannot be inverted.
    """
    bits = sorted(bits, key=lambda bit: not bit.inverted)
    through = _plain(netlist, bits.pop()) if len(bits) == 6 else None
    parity = netlist.lut([*bits, *([Bit(through)] if through else [])], _count)
    halves = netlist.luts_of_two(bits, lambda v: _count(v) // 2 == 1, lambda v: _count(v) // 2 == 2)
    return [parity, halves[0]], [through or ZERO, halves[1]]


def _take(bits: list[Bit], count: int, plain: int) -> list[Bit]:
    """Take up to `count` bits from a list, with up to `plain` bits that are not inverted first."""
    chosen = [bit for bit in bits if not bit.inverted][:plain]
    for bit in chosen:
        bits.remove(bit)
    more = count - len(chosen)
    chosen += bits[:more]
    del bits[:more]
    return chosen


def _seven(
    netlist: CompressorNetlist, low: list[Bit], high: list[Bit], weight: int, out: Heap
) -> None:
    """Add up to seven bits of one weight and, if given, six of four times that weight."""
    low = sorted(low, key=lambda bit: not bit.inverted)
    start = _plain(netlist, low.pop()) if len(low) == 7 else ZERO
    propagate, generate = _positions(netlist, low)
    if high:
        upper = _positions(netlist, high)
        propagate, generate = propagate + upper[0], generate + upper[1]
    for i, net in enumerate(netlist.carry(start, propagate, generate)):
        out[weight + i].append(Bit(net))


def _level(netlist: CompressorNetlist, heap: Heap) -> Heap:
    """Compress every column once; bits that fill no counter wait for the next level."""
    heap = {w: list(bits) for w, bits in heap.items()}
    out: Heap = defaultdict(list)
    near_the_end = max(map(len, heap.values())) < 7
    for weight in sorted(heap):
        bits = heap[weight]
        above = heap.get(weight + 2, [])
        while len(bits) >= (5 if near_the_end else 7):
            low = _take(bits, 7, 2)
            _seven(netlist, low, _take(above, 6, 1) if len(above) >= 6 else [], weight, out)
        while near_the_end and len(bits) >= 3 and len(bits) + len(out[weight]) > 3:
            three = [bits.pop(0) for _ in range(3)]
            carry, total = netlist.luts_of_two(three, lambda v: _count(v) >= 2, _count)
            out[weight].append(Bit(total))
            out[weight + 1].append(Bit(carry))
        out[weight] += bits
    return out


def _add(netlist: CompressorNetlist, heap: Heap, width: int) -> list[str]:
    """Add columns of at most three bits each, with one LUT per column.

    The carry of a column's three bits goes by wire to the LUT of the next column. There it is one
    operand of the chain, and the parity of that column's bits is the other.
    """
    propagate, generate = [], []
    before = ZERO
    for weight in range(width):
        bits = heap.get(weight, [])
        if len(bits) == 2 and before == ZERO and not all(bit.inverted for bit in bits):
            bits = sorted(bits, key=lambda bit: not bit.inverted)
            propagate.append(netlist.lut(bits, _count))
            generate.append(bits[1].net)
            continue
        operands = [*bits, *[Bit(ZERO)] * (3 - len(bits)), Bit(before)]
        parity, carry = netlist.luts_of_two(operands, _count, lambda v: _count(v & 7) >= 2)
        propagate.append(parity)
        generate.append(before)
        before = carry if len(bits) > 1 else ZERO
    return netlist.carry(ZERO, propagate, generate)[:width]


def sum_bits(netlist: CompressorNetlist, heap: Heap, width: int) -> tuple[list[str], int]:
    """Add all bits of a heap, modulo ``2 ** width``.

    Every level ends in a register. The number of levels depends on the heights of the columns
    alone.

    Parameters
    ----------
    netlist : CompressorNetlist
        Gets the LUTs, chains and registers.
    heap : dict of int to list of Bit
        Bits to add, by the exponent of their weight.
    width : int
        Width of the sum in bits.

    Returns
    -------
    nets : list of str
        The sum, lowest bit first.
    levels : int
        Number of levels, which is the latency in clock cycles.
    """
    cycles = 0
    heap = {w: list(bits) for w, bits in heap.items() if w < width}
    while max(map(len, heap.values()), default=0) > 3:
        heap = netlist.register(_level(netlist, heap))
        heap = {w: bits for w, bits in heap.items() if w < width}
        cycles += 1
    if max(map(len, heap.values()), default=0) > 1:
        total = {w: [Bit(net)] for w, net in enumerate(_add(netlist, heap, width))}
        heap = netlist.register(total)
        cycles += 1
    return [_plain(netlist, heap[w][0]) if heap.get(w) else ZERO for w in range(width)], cycles
