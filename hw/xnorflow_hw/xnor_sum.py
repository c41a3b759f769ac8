"""Sum of XNORs of multi-bit codes: what wide activations take instead of a popcount per bit plane.

``sum over planes a of 2^a popcount(xnor(u_a, w))`` is the sum over lanes of the codes, complemented
where the weight bit is 0. So a tree of adders does it, one per lane but the first, and the
complements go into the adders of the first level.

Each size is a flat module, text from `verilog_module`.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value
from amaranth.utils import ceil_log2

from .pipeline import delay, register_count, registered_levels


def latency_for(simd: int) -> int:
    """Give the pipeline depth: a register after every second level of adders."""
    return register_count(ceil_log2(simd))


def width_for(simd: int, bits: int) -> int:
    """Bits of the sum."""
    return (simd * ((1 << bits) - 1)).bit_length()


def module_name(simd: int, bits: int) -> str:
    """Name of the Verilog module."""
    return f"xnorflow_xnor_sum_{simd}_{bits}"


@dataclass(frozen=True)
class _Term:
    """An operand: a name in the module, its width, its level, and the bit that complements it."""

    name: str
    width: int
    level: int
    flip: str = ""

    @property
    def text(self) -> str:
        return f"({self.name} ^ {{{self.width}{{{self.flip}}}}})" if self.flip else self.name


def verilog_module(simd: int, bits: int) -> str:
    """Write the module.

    Ports: ``clk`` (only if there are registers), ``x`` [simd*bits-1:0], the codes, lane 0 lowest,
    ``flip`` [simd-1:0], 1 where a code is complemented, and the sum ``n``, `latency_for` clock
    cycles later.
    """
    depth, latency = ceil_log2(simd), latency_for(simd)
    registered = registered_levels(depth, latency)
    lines = [
        f"module {module_name(simd, bits)} (",
        *(["  input wire clk,"] if latency else []),
        f"  input wire [{simd * bits - 1}:0] x,", f"  input wire [{simd - 1}:0] flip,",
        f"  output wire [{width_for(simd, bits) - 1}:0] n", ");",
    ]

    def store(name: str, width: int, value: str) -> str:
        lines.append(f"  reg [{width - 1}:0] {name};")
        lines.append(f"  always @(posedge clk) {name} <= {value};")
        return name

    def total(low: int, number: int) -> _Term:
        """Add lanes [low, low + number). Halves differ by a lane, so their levels by one."""
        if number == 1:
            return _Term(f"x[{low * bits + bits - 1}:{low * bits}]", bits, 0, f"flip[{low}]")
        half = number // 2
        long, short = total(low, number - half), total(low + number - half, half)
        if short.level < long.level and long.level in registered:
            name = store(f"late_{low}_{number}", short.width, short.text)
            short = _Term(name, short.width, long.level)
        name, width, level = f"s_{low}_{number}", width_for(number, bits), long.level + 1
        lines.append(f"  wire [{width - 1}:0] {name} = {long.text} + {short.text};")
        if level in registered:
            name = store(f"r_{low}_{number}", width, name)
        return _Term(name, width, level)

    lines += [f"  assign n = {total(0, simd).text};", "endmodule", ""]
    return "\n".join(lines)


def instance(*, simd: int, bits: int, x: Value, flip: Value, n: Value) -> Instance:
    """Give an instance of the Verilog module between values of the right widths."""
    clock = {"i_clk": ClockSignal()} if latency_for(simd) else {}
    return Instance(module_name(simd, bits), **clock, i_x=x, i_flip=flip, o_n=n)


def plain(m: Module, *, simd: int, bits: int, x: Value, flip: Value, n: Signal) -> None:
    """Do in Amaranth what the module does, for its simulator."""
    codes = [
        x.word_select(lane, bits) ^ flip[lane].replicate(bits) for lane in range(simd)
    ]
    while len(codes) > 1:
        codes = [sum(codes[i + 1 : i + 2], codes[i]) for i in range(0, len(codes), 2)]
    m.d.comb += n.eq(delay(m, codes[0], latency_for(simd), name=f"{n.name}_sum"))
