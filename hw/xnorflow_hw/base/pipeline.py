"""Delay lines, and the places of registers in a tree."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, *, name: str, reset: bool = False) -> Value:
    """Return `value` as it was `cycles` clock cycles ago.

    Parameters
    ----------
    m : Module
        The module that gets the registers.
    value : Value
        The value to delay. One without bits is returned as it is.
    cycles : int
        Number of registers; with 0 the value itself is returned.
    name : str
        Prefix of the registers' names.
    reset : bool
        Whether a reset clears the registers. Only a `valid` needs that.
    """
    if not len(value):
        return value
    for cycle in range(cycles):
        late = Signal(len(value), name=f"{name}_{cycle + 1}", reset_less=not reset)
        m.d.sync += late.eq(value)
        value = late
    return value


def delay_lines(name: str, width: int, cycles: int) -> list[str]:
    """Return lines of Verilog that delay the wire ``<name>0`` by `cycles` clock cycles into `name`.

    Parameters
    ----------
    name : str
        The delayed wire, which is declared elsewhere. The registers are ``<name>1`` and so on.
    width : int
        Width in bits.
    cycles : int
        Number of registers, clocked by ``clk``.
    """
    lines = []
    for k in range(cycles):
        lines.append(f"  reg [{width - 1}:0] {name}{k + 1};")
        lines.append(f"  always @(posedge clk) {name}{k + 1} <= {name}{k};")
    return [*lines, f"  assign {name} = {name}{cycles};"]


def registered_levels(levels: int, registers: int) -> set[int]:
    """Return the levels, 1 to `levels`, that end in a register: evenly spread, with the last one.

    Parameters
    ----------
    levels : int
        Levels of a tree.
    registers : int
        Number of levels that end in a register.

    Examples
    --------
    >>> registered_levels(6, 3), registered_levels(5, 3), registered_levels(2, 0)
    ({2, 4, 6}, {2, 4, 5}, set())
    """
    return {-(-k * levels // registers) for k in range(1, registers + 1)}


def index_shape(count: int) -> range:
    """Return the shape of an index into `count` items, at least one bit wide.

    Verilog has no wire without bits: where Amaranth has one it writes a wire of two.
    """
    return range(max(count, 2))
