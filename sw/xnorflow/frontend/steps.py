"""The operations that make a tensor, each linked to those whose values it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xnorflow.frontend.input_frame import Frame
from xnorflow.graph.join_ops import JoinOp
from xnorflow.graph.ops import ConvOp, Elementwise, FlattenOp, Op

MAX_WAY = 2000
"""Most operations that are looked at for where the ways to several tensors part."""


@dataclass(frozen=True, eq=False)
class Step:
    """An operation on the way from the input to a tensor.

    Parameters
    ----------
    op : Op
        The operation.
    reads : tuple of Step or None
        The steps whose values it reads; None for the network's input.
    depth : int
        Most steps from the input, this one included.
    frame : tuple of int
        Height, width and channels of the frame that the operation's node reads.
    """

    op: Op
    reads: tuple[Step | None, ...]
    depth: int
    frame: Frame


def extended(step: Step | None, ops: Iterable[Op], frame: Frame) -> Step | None:
    """Return the last step after a node's operations are appended; the node reads `frame`."""
    for op in ops:
        step = Step(op, (step,), step.depth + 1 if step else 1, frame)
    return step


class Tally:
    """A count of the operations that are built, and of their weights."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._known: dict[int, Step] = {}
        self.weights = 0

    def count(self, step: Step | None) -> int:
        """Count what a step depends on, as far as it was not counted before; return all steps."""
        todo = [step]
        while todo:
            step = todo.pop()
            if step is None or id(step) in self._known:
                continue
            self._known[id(step)] = step
            if isinstance(step.op, ConvOp):
                self.weights += step.op.weights.size
            todo.extend(step.reads)
        return len(self._known)


def joined(op: JoinOp, steps: Sequence[Step | None], frame: Frame) -> Step:
    """Return the step that joins the values of several; `frame` is that of its result."""
    return Step(op, tuple(steps), 1 + max(s.depth if s else 0 for s in steps), frame)


@dataclass(frozen=True, eq=False)
class CommonStart:
    """The value of which several tensors are elementwise functions.

    Parameters
    ----------
    start : Step or None
        The step that makes it; None for the network's input.
    ways : tuple of tuple of Step
        For each tensor the steps from there, in order: elementwise operations and flattenings.
    """

    start: Step | None
    ways: tuple[tuple[Step, ...], ...]

    def operations(self, way: int) -> tuple[Op, ...]:
        """Return the operations of a way."""
        return tuple(step.op for step in self.ways[way])

    def flattened(self) -> Frame | None:
        """Return the frame that is flattened first on the first way that has one; None if none."""
        frames = (s.frame for way in self.ways for s in way if isinstance(s.op, FlattenOp))
        return next(frames, None)


def fork(steps: Sequence[Step | None]) -> CommonStart | None:
    """Return the last value of which all steps make elementwise functions.

    None if something else stands in one of the ways, or more than `MAX_WAY` operations do.
    """
    first, looked = steps[0], 0
    for other in steps[1:]:
        while first is not other:
            behind = (first.depth if first else 0) >= (other.depth if other else 0)
            step = first if behind else other
            assert step is not None
            looked += 1
            if looked > MAX_WAY or not isinstance(step.op, Elementwise | FlattenOp):
                return None
            first, other = (step.reads[0], other) if behind else (first, step.reads[0])
    ways = []
    for end in steps:
        way: list[Step] = []
        step = end
        while step is not first:
            assert step is not None
            way.append(step)
            step = step.reads[0]
            looked += 1
            if looked > MAX_WAY:
                return None
        ways.append(tuple(reversed(way)))
    return CommonStart(first, tuple(ways))
