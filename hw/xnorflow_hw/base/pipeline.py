"""Delay lines, and where the registers of a tree go."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, *, name: str, reset: bool = False) -> Value:
    """Give `value` so many clock cycles later.

    Parameters
    ----------
    m : Module
        Gets the registers.
    value : Value
        What to delay.
    cycles : int
        Registers; with 0 the value itself is returned, and so is one without bits.
    name : str
        The registers' names start with it.
    reset : bool
        Whether a reset clears them. Only a `valid` needs that.
    """
    if not len(value):
        return value
    for cycle in range(cycles):
        late = Signal(len(value), name=f"{name}_{cycle + 1}", reset_less=not reset)
        m.d.sync += late.eq(value)
        value = late
    return value


def delay_lines(name: str, width: int, cycles: int) -> list[str]:
    """Write Verilog that makes `name`, of `width` bits, of ``<name>0`` so many clock cycles later.

    The clock is ``clk``; `name` is declared elsewhere, its registers are ``<name>1`` and so on.
    """
    lines = []
    for k in range(cycles):
        lines.append(f"  reg [{width - 1}:0] {name}{k + 1};")
        lines.append(f"  always @(posedge clk) {name}{k + 1} <= {name}{k};")
    return [*lines, f"  assign {name} = {name}{cycles};"]


def registered_levels(levels: int, registers: int) -> set[int]:
    """Give the levels, 1 to `levels`, that end in a register: evenly spread, the last included.

    Examples
    --------
    >>> registered_levels(6, 3), registered_levels(5, 3), registered_levels(2, 0)
    ({2, 4, 6}, {2, 4, 5}, set())
    """
    return {-(-k * levels // registers) for k in range(1, registers + 1)}


def index_shape(count: int) -> range:
    """Give the shape of an index of `count` things, at least one bit wide.

    Verilog has no wire without bits: what Amaranth writes for one has two.
    """
    return range(max(count, 2))
