"""What a tensor name stands for while a file is walked: a constant, or features of the frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.input_frame import Frame, InputFrame
from xnorflow.graph.ops import FlattenOp, Op
from xnorflow.ir import Ints

FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input.

    Parameters
    ----------
    value : array
        Its value as the file's executors compute it.
    codes, scale : array, optional
        Where a quantiser made it: the integers, as floats, and the factor they were multiplied
        by; both broadcast to the value's shape.
    parts : tuple, optional
        Where it is a sum or difference of constants: the operator and both.
    """

    value: NDArray[Any]
    codes: NDArray[Any] | None = None
    scale: NDArray[Any] | None = None
    parts: tuple[str, Constant, Constant] | None = None

    def without_residue(self) -> Constant | None:
        """Return y for ``y - t + t`` and ``y + t - t``, what straight-through estimators leave."""
        if self.parts is None:
            return None
        op, first, second = self.parts
        pairs = [(first, second)] if op == "Sub" else [(first, second), (second, first)]
        for inner, gone in pairs:
            if inner.parts is None or inner.parts[0] == op:
                continue
            _, kept, other = inner.parts
            choices = [(kept, other)] if op == "Add" else [(kept, other), (other, kept)]
            for y, t in choices:
                if np.array_equal(t.value, gone.value) and y.value.shape == self.value.shape:
                    return y
        return None


@dataclass(frozen=True, eq=False)
class Step:
    """An operation on the way from the input to a tensor, and the step before it.

    Parameters
    ----------
    op : Op
        The operation.
    before : Step, optional
        What makes its input; None for the network's input.
    depth : int
        Number of steps up to here.
    frame : tuple of int
        What the node that this operation belongs to reads: height, width, channels.
    """

    op: Op
    before: Step | None
    depth: int
    frame: Frame


def extended(step: Step | None, ops: Iterable[Op], frame: Frame) -> Step | None:
    """Add a node's operations behind a step; `frame` is what the node reads."""
    for op in ops:
        step = Step(op, step, step.depth + 1 if step else 1, frame)
    return step


def flattened_from(step: Step | None, start: Step | None) -> Frame | None:
    """Return the frame that was flattened on the way from `start` to a step; None without one."""
    found = None
    while step is not start:
        assert step is not None, "start is not on the way"
        found = step.frame if isinstance(step.op, FlattenOp) else found
        step = step.before
    return found


def operations(step: Step | None, start: Step | None = None) -> tuple[Op, ...]:
    """Return the operations behind `start` up to a step, in order of execution."""
    found: list[Op] = []
    while step is not start:
        assert step is not None, "start is not on the way"
        found.append(step.op)
        step = step.before
    return tuple(reversed(found))


def fork(steps: Sequence[Step | None]) -> Step | None:
    """Return the last step that is on the way to all `steps`; None for the input."""
    first, *others = steps
    for other in others:
        while first is not other:
            a, b = (s.depth if s else 0 for s in (first, other))
            if a >= b:
                assert first is not None
                first = first.before
            else:
                assert other is not None
                other = other.before
    return first


@dataclass(frozen=True, eq=False)
class Activation:
    """A tensor that depends on the input.

    Whatever shape the file gives a tensor, its features are kept in row, column, channel order;
    `index` has the file's shape and says which feature each element is. Transposing and reshaping
    act on `index` alone, so any layout is understood where it is used.

    Parameters
    ----------
    frame : tuple of int
        Height, width, channels.
    index : int64 array
        Position of each element in the frame; -1 for padding.
    pad_value : float
        Value of the padding, where there is some.
    low : float
        A bound: no feature is less.
    ended : str
        Name of the node, such as a final arg-max, after which only the order of scores matters.
    dtype : dtype
        Element type.
    made_by : Step, optional
        The operations that make it; None for the input.
    source : InputFrame, optional
        How frames are made of the file's input.
    raw : bool
        Only operations on each value alone lie between the input and these features, so that
        frames may still be put together in any other order.
    """

    frame: Frame
    index: Ints
    pad_value: float = 0.0
    low: float = -np.inf
    ended: str = ""
    dtype: np.dtype[Any] = FLOAT32
    made_by: Step | None = None
    source: InputFrame | None = None
    raw: bool = False

    @property
    def padded(self) -> bool:
        """Whether some elements are padding."""
        return bool((self.index < 0).any())


Value = Constant | Activation


def same_source(a: Activation, b: Activation) -> bool:
    """Tell whether two tensors come from frames that were put together in one way."""
    if a.source is None or b.source is None:
        return True
    return a.source.frame == b.source.frame and np.array_equal(a.source.gather, b.source.gather)


@dataclass(frozen=True, eq=False)
class Rearrangement:
    """Another order of the features of a frame, and what a node then reads.

    Parameters
    ----------
    wanted : int64 array [height, width, channels]
        Positions in the present frame.
    index : int64 array
        As `Activation.index`, in the wanted frame.
    """

    wanted: Ints
    index: Ints


class LayoutError(UnsupportedModel):
    """Features that are not in the order a node needs; frames put together anew may mend it.

    Parameters
    ----------
    error : UnsupportedModel
        What to say where it cannot be mended.
    choices : Rearrangement
        What would mend it, the best first.
    """

    def __init__(self, error: UnsupportedModel, *choices: Rearrangement) -> None:
        """Take over another error's message."""
        super().__init__(error.reason, node=error.node, op=error.op, hint=error.hint)
        self.choices = choices


def channels_first(frame: Frame) -> Ints:
    """Return the index of a frame as [1, channels, height, width]."""
    h, w, c = frame
    return np.arange(h * w * c, dtype=np.int64).reshape(1, h, w, c).transpose(0, 3, 1, 2)


def flat(channels: int) -> Ints:
    """Return the index of a frame of one pixel as [1, channels]."""
    return np.arange(channels, dtype=np.int64).reshape(1, channels)
