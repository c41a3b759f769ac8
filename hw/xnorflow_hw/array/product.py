"""Products of two values that vary: a plain multiplication, or a tree of adders."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value

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
