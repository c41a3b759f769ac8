"""Counters of nested loops, with registered flags so that wide comparisons stay off fast paths."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


class Loop:
    """Counts from 0 to `count` - 1 and round again.

    Parameters
    ----------
    count : int
        Passes, at least 1; a single one takes no hardware.
    name : str
        Name of the signals.

    Attributes
    ----------
    index : Value
        The present pass, at least one bit wide.
    last : Value
        Whether it is the last one; a register.
    """

    def __init__(self, count: int, name: str) -> None:
        """Create the signals."""
        self.count = count
        self.index: Value = Signal(range(count), name=name) if count > 1 else Const(0, 1)
        self.last: Value = Signal(name=f"{name}_last") if count > 1 else Const(1, 1)
        self._follow: list[tuple[Signal, Sequence[int]]] = []

    def follow(self, table: Sequence[int], width: int, name: str) -> Value:
        """Give a register that holds ``table[index]``; a constant where all entries are equal.

        Entries are taken modulo ``2 ** width``.
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
            # Only the changes: a table is mostly constant.
            changes = [i for i in range(self.count) if values[i - self.count + 1] != values[i]]
            with m.Switch(self.index):
                for i in changes:
                    with m.Case(i):
                        m.d.sync += signal.eq(values[i - self.count + 1])
                if len(changes) < 1 << len(self.index):
                    with m.Default():
                        m.d.sync += signal.eq(signal)

    def restart(self, m: Module) -> None:
        """Go to pass 0 instead; add it after `advance`. Registers that follow are not restarted."""
        if self.count > 1:
            m.d.sync += [self.index.eq(0), self.last.eq(0)]


class Nest:
    """Loops in one another, innermost first; after the last pass of all they start again.

    Parameters
    ----------
    counts : sequence of int
        Passes of each loop.
    names : sequence of str
        Names of their signals.

    Attributes
    ----------
    loops : list of Loop
        Innermost first.
    """

    def __init__(self, counts: Sequence[int], names: Sequence[str]) -> None:
        """Create the loops."""
        self.loops = [Loop(count, name) for count, name in zip(counts, names, strict=True)]

    def last(self, inner: int) -> Value:
        """Tell whether so many of the innermost loops are all in their last pass."""
        return Cat(loop.last for loop in self.loops[:inner]).all()

    def advance(self, m: Module, level: int = 0) -> None:
        """Add the statements of one step; call it inside the condition of that step."""
        self.loops[level].advance(m)
        if level + 1 < len(self.loops):
            with m.If(self.loops[level].last):
                self.advance(m, level + 1)

    def step(self, m: Module, steps: Sequence[int | Value], width: int, name: str) -> Signal:
        """Give the entry of `steps`, modulo ``2 ** width``, of the loop that advances next.

        The entry after the outermost loop's is for all of them starting again.
        """
        step = Signal(width, name=name)
        *inner, again = [
            value % (1 << width) if isinstance(value, int) else value for value in steps
        ]
        m.d.comb += step.eq(again)
        for loop, value in reversed(list(zip(self.loops, inner, strict=True))):
            # The last statement wins, so the innermost loop is the last one.
            if loop.count > 1:
                with m.If(~loop.last):
                    m.d.comb += step.eq(value)
        return step
