"""Sum values in a tree of adders, with a register after every second level."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

from xnorflow_hw.base.pipeline import registered_levels
from xnorflow_hw.spec.latency import ceil_log2, register_count


def tree_sum(m: Module, terms: Sequence[Value], *, name: str) -> Value:
    """Return the sum of values, ``register_count(ceil_log2(number of values))`` cycles later.

    Parameters
    ----------
    m : Module
        Module that gets the adders.
    terms : sequence of Value
        One value or more, all signed or all unsigned.
    name : str
        Prefix of the names of the sums.

    Returns
    -------
    Value
        Sum, wide enough for every value of the terms. A single term is returned as it is.
    """
    found = list(terms)
    levels = ceil_log2(len(found))
    registered = registered_levels(levels, register_count(levels))
    for level in range(1, levels + 1):
        domain = m.d.sync if level in registered else m.d.comb
        sums: list[Value] = []
        for i in range(0, len(found), 2):
            value = sum(found[i + 1 : i + 2], found[i])
            total = Signal(value.shape(), name=f"{name}_{level}_{i // 2}", reset_less=True)
            domain += total.eq(value)
            sums.append(total)
        found = sums
    return found[0]
