"""Products of two values that vary: a plain multiplication, or a tree of adders."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.spec.kinds import Multiplier
from xnorflow_hw.spec.latency import multiplier_latency


def product(m: Module, a: Value, b: Value, multiplier: Multiplier, *, name: str) -> Value:
    """Return the product of two unsigned values, `multiplier_latency` clock cycles later.

    A tree adds a copy of the wider value for every bit of the narrower one, with a register after
    every level.

    Parameters
    ----------
    m : Module
        Module that gets the logic.
    a, b : Value
        Unsigned values.
    multiplier : {"dsp", "logic"}
        What the product is built of.
    name : str
        Prefix of the registers' names.

    Returns
    -------
    Value
        Unsigned, as wide as both values together.
    """
    width = len(a) + len(b)
    if multiplier == "dsp":
        whole = Signal(width, name=name, reset_less=True)
        m.d.sync += whole.eq(a * b)
        return whole
    wide, narrow = (a, b) if len(a) >= len(b) else (b, a)
    level: list[tuple[int, Value]] = [
        (place, Mux(bit, wide, 0)[: len(wide)]) for place, bit in enumerate(narrow)
    ]
    depth = 0
    while len(level) > 1 or not depth:
        after: list[tuple[int, Value]] = []
        for k in range(0, len(level), 2):
            place, low = level[k]
            if k + 1 < len(level):
                above, high = level[k + 1]
                # The bits below the higher summand pass the adder.
                shared = above - place
                upper = low[shared:] + high
                total = Signal(shared + len(upper), name=f"{name}_{depth}_{k}", reset_less=True)
                m.d.sync += total.eq(Cat(low[:shared], upper))
                after.append((place, total))
            else:
                after.append((place, delay(m, low, 1, name=f"{name}_{depth}_{k}")))
        level, depth = after, depth + 1
    assert depth == multiplier_latency(bits=len(narrow), multiplier=multiplier)
    return level[0][1][:width]


def signed_product(m: Module, a: Value, b: Value, multiplier: Multiplier, *, name: str) -> Value:
    """Return the product of an unsigned and a signed value, `multiplier_latency` cycles later.

    The tree is that of `product`. If the signed value is the narrower one, its highest bit counts
    negative, so the copy that it masks is subtracted.

    Parameters
    ----------
    m : Module
        Module that gets the logic.
    a : Value
        Unsigned value.
    b : Value
        Signed value of two bits or more.
    multiplier : {"dsp", "logic"}
        What the product is built of.
    name : str
        Prefix of the registers' names.

    Returns
    -------
    Value
        Signed, as wide as both values together.
    """
    width = len(a) + len(b)
    if multiplier == "dsp":
        whole = Signal(signed(width), name=name, reset_less=True)
        m.d.sync += whole.eq(a * b)
        return whole
    narrow, wide = (b, a) if len(b) <= len(a) else (a, b)
    negative = len(narrow) - 1 if narrow is b else -1
    level: list[tuple[int, Value, bool]] = [
        (place, _copy(m, narrow[place], wide, f"{name}_copy_{place}"), place == negative)
        for place in range(len(narrow))
    ]
    depth = 0
    while len(level) > 1 or not depth:
        after: list[tuple[int, Value, bool]] = []
        for k in range(0, len(level), 2):
            place, found, minus = level[k]
            if k + 1 < len(level):
                above, high, less = level[k + 1]
                # The bits below the higher summand pass the adder.
                shared = above - place
                upper = (found >> shared) - high if less else (found >> shared) + high
                joined = Cat(found[:shared], upper)
                found = joined.as_signed() if upper.shape().signed else joined
            total = Signal(found.shape(), name=f"{name}_{depth}_{k}", reset_less=True)
            m.d.sync += total.eq(found)
            after.append((place, total, minus))
        level, depth = after, depth + 1
    assert depth == multiplier_latency(bits=len(narrow), multiplier=multiplier)
    return level[0][1][:width].as_signed()


def _copy(m: Module, bit: Value, value: Value, name: str) -> Signal:
    """Return a value where a bit is 1, and 0 elsewhere."""
    copy = Signal(value.shape(), name=name)
    m.d.comb += copy.eq(Mux(bit, value, 0))
    return copy
