"""The order in which operations are executed, and the names of values that several of them read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from xnorflow.frontend.steps import Step
from xnorflow.graph.join_ops import JoinOp
from xnorflow.graph.ops import Op
from xnorflow.ir import FRAME

LONGEST_NAME = 64
"""Most characters of a value's name that are taken from the file."""
MAX_ALIKE = 64
"""Most different operations of one kind on one value among which an equal one is looked for."""
UNCOMPARED = ("node", "op", "name", "inputs")
"""Fields of operations that do not tell what they compute."""


@dataclass(frozen=True)
class Listing:
    """Operations in order of execution.

    Parameters
    ----------
    ops : tuple of Op
        The operations; each names what it reads, if it is not the value before it.
    ends : tuple of str
        Name of the value of each step that was asked for; `FRAME` for the input.
    """

    ops: tuple[Op, ...]
    ends: tuple[str, ...]


def listed(ends: Sequence[Step | None], *, named: bool) -> Listing:
    """Return the operations that the steps depend on, each once, in order of execution.

    Parameters
    ----------
    ends : sequence of Step or None
        The steps whose values are wanted.
    named : bool
        Whether their values get names; otherwise only those get one that another operation needs.
    """
    steps = _sorted(ends)
    place: dict[int, int] = {id(None): -1}
    kept: list[tuple[Op, tuple[int, ...]]] = []
    alike: dict[Hashable, list[int]] = {}
    for step in steps:
        reads = tuple(place[id(s)] for s in step.reads)
        same = alike.setdefault((type(step.op), reads), [])
        # Of equal operations on the same values, one is enough.
        known = next((k for k in same if same_operation(kept[k][0], step.op)), None)
        if known is None:
            known = len(kept)
            kept.append((step.op, reads))
            if len(same) < MAX_ALIKE:
                same.append(known)
        place[id(step)] = known
    explicit = [
        k for k, (op, reads) in enumerate(kept) if isinstance(op, JoinOp) or reads != (k - 1,)
    ]
    wanted = {at for k in explicit for at in kept[k][1]}
    last = [place[id(end)] for end in ends]
    names = _names(kept, wanted | set(last) if named else wanted)
    ops = [op if k not in names else replace(op, name=names[k]) for k, (op, _) in enumerate(kept)]
    for k in explicit:
        inputs = tuple(names.get(at, FRAME) for at in kept[k][1])
        ops[k] = replace(ops[k], inputs=inputs)
    return Listing(tuple(ops), tuple(names.get(at, FRAME) for at in last))


def _sorted(ends: Sequence[Step | None]) -> list[Step]:
    """Return the steps that `ends` depend on, each after those that it reads."""
    done: set[int] = set()
    order: list[Step] = []
    todo = [(end, False) for end in reversed(ends)]
    while todo:
        step, read = todo.pop()
        if step is None or id(step) in done:
            continue
        if read:
            done.add(id(step))
            order.append(step)
        else:
            todo.append((step, True))
            todo.extend((s, False) for s in reversed(step.reads))
    return order


def same_operation(a: Op, b: Op) -> bool:
    """Return whether two operations compute the same, whatever their nodes are called."""
    return type(a) is type(b) and all(
        _same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name not in UNCOMPARED
    )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(p, q) for p, q in zip(a, b, strict=True))
    if isinstance(a, Op):
        return same_operation(a, b)
    return type(a) is type(b) and bool(a == b)


def _names(kept: Sequence[tuple[Op, tuple[int, ...]]], wanted: set[int]) -> dict[int, str]:
    """Return a name of its own for each of the operations `wanted`, after its node."""
    names: dict[int, str] = {}
    used: dict[str, int] = {FRAME: 1}
    for k in sorted(wanted - {-1}):
        op = kept[k][0]
        base = name = op.node[:LONGEST_NAME] or op.op or type(op).__name__
        while name in used:
            used[base] = used.get(base, 1) + 1
            name = f"{base}#{used[base]}"
        used[name] = 1
        names[k] = name
    return names
