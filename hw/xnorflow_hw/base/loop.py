"""Counters of nested loops, with flags in registers to keep wide comparisons off fast paths."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


class Loop:
    """Counts from 0 to `count` - 1 and starts again.

    Parameters
    ----------
    count : int
        Number of passes, 1 or more. A loop of a single pass takes no hardware.
    name : str
        Name of the counter's signal.

    Attributes
    ----------
    index : Value
        Number of the current pass; at least one bit wide.
    last : Value
        Whether the current pass is the last one; a register.
    """

    def __init__(self, count: int, name: str) -> None:
        """Create the signals."""
        self.count = count
        self.index: Value = Signal(range(count), name=name) if count > 1 else Const(0, 1)
        self.last: Value = Signal(name=f"{name}_last") if count > 1 else Const(1, 1)
        self._follow: list[tuple[Signal, Sequence[int]]] = []

    def follow(self, table: Sequence[int], width: int, name: str) -> Value:
        """Return a register that holds ``table[index]``, or a constant if all entries are equal.

        Parameters
        ----------
        table : sequence of int, length `count`
            One entry per pass, taken modulo ``2 ** width``.
        width : int
            Width of the register in bits.
        name : str
            Name of the register.
        """
        values = [value % (1 << width) for value in table]
        if len(set(values)) == 1:
            return Const(values[0], width)
        signal = Signal(width, init=values[0], name=name)
        self._follow.append((signal, values))
        return signal

    def advance(self, m: Module) -> None:
        """Add the statements of one step; call it inside the condition of that step."""
        if self.count == 1:
            return
        m.d.sync += self.last.eq(self.index == self.count - 2)
        m.d.sync += self.index.eq(Mux(self.last, 0, self.index + 1))
        for signal, values in self._follow:
            # Most entries equal their predecessor, so only changes become cases.
            changes = [i for i in range(self.count) if values[i - self.count + 1] != values[i]]
            with m.Switch(self.index):
                for i in changes:
                    with m.Case(i):
                        m.d.sync += signal.eq(values[i - self.count + 1])
                if len(changes) < 1 << len(self.index):
                    with m.Default():
                        m.d.sync += signal.eq(signal)

    def restart(self, m: Module) -> None:
        """Add statements that go to pass 0; call it after `advance`, which they then override.

        Registers made by `follow` are not restarted.
        """
        if self.count > 1:
            m.d.sync += [self.index.eq(0), self.last.eq(0)]


class Nest:
    """A nest of loops. After the last pass of all of them they start again.

    Parameters
    ----------
    counts : sequence of int
        Number of passes of each loop, innermost first.
    names : sequence of str
        Names of the counters' signals.

    Attributes
    ----------
    loops : list of Loop
        The loops, innermost first.
    """

    def __init__(self, counts: Sequence[int], names: Sequence[str]) -> None:
        """Create the loops."""
        self.loops = [Loop(count, name) for count, name in zip(counts, names, strict=True)]

    def last(self, inner: int) -> Value:
        """Return whether all of the `inner` innermost loops are in their last pass."""
        return Cat(loop.last for loop in self.loops[:inner]).all()

    def advance(self, m: Module, level: int = 0) -> None:
        """Add the statements of one step; call it inside the condition of that step."""
        self.loops[level].advance(m)
        if level + 1 < len(self.loops):
            with m.If(self.loops[level].last):
                self.advance(m, level + 1)

    def step(self, m: Module, steps: Sequence[int | Value], width: int, name: str) -> Signal:
        """Return a signal that holds the entry of `steps` for the loop that advances next.

        Parameters
        ----------
        m : Module
            The module that gets the logic.
        steps : sequence of int or Value
            One entry per loop, innermost first, and one for all loops starting again; taken modulo
            ``2 ** width``.
        width : int
            Width of the signal in bits.
        name : str
            Name of the signal.
        """
        step = Signal(width, name=name)
        *inner, again = [
            value % (1 << width) if isinstance(value, int) else value for value in steps
        ]
        m.d.comb += step.eq(again)
        for loop, value in reversed(list(zip(self.loops, inner, strict=True))):
            # The last statement that applies wins, so the innermost loop has to be the last one.
            if loop.count > 1:
                with m.If(~loop.last):
                    m.d.comb += step.eq(value)
        return step
