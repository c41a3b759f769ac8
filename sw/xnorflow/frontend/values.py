"""The tensors of a file during the import: constants, and activations, which hold features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.input_frame import Frame, InputFrame
from xnorflow.frontend.steps import Step
from xnorflow.ir import Ints

FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input.

    Parameters
    ----------
    value : array
        Its value, as the file's executors compute it.
    codes, scale : array, optional
        If a quantiser made it, the integers, as floats, and the factor that they were multiplied
        by; both broadcast to the value's shape.
    parts : tuple of (str, Constant, Constant), optional
        If it is a sum or a difference of constants, the operator and its two inputs.
    """

    value: NDArray[Any]
    codes: NDArray[Any] | None = None
    scale: NDArray[Any] | None = None
    parts: tuple[str, Constant, Constant] | None = None

    def without_residue(self) -> Constant | None:
        """Return y if this is ``y - t + t`` or ``y + t - t``, else None.

        Straight-through estimators leave such sums in a file.
        """
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
class Activation:
    """A tensor that depends on the input.

    Its features form a frame in row, column, channel order, whatever the tensor's shape in the
    file. `index` has the file's shape and gives the position in the frame of each element.
    Transposing and reshaping change `index` alone, so a layout matters only to nodes that depend on
    rows, columns or channels.

    Parameters
    ----------
    frame : tuple of int
        Height, width and channels of the frame.
    index : int64 array
        Position in the frame of each element of the tensor, or -1 for padding.
    pad_value : float
        Value of the padding, if there is any.
    low : float
        Lower bound of the features.
    ended : str
        Name of a node, such as a final arg-max, after which only the order of scores matters; empty
        if there is none.
    dtype : dtype
        Element type.
    end_note : str
        What a user should know about that node.
    labels : tuple of int, optional
        If the node that ended it is an arg-max, the shape of the labels in the file.
    made_by : Step, optional
        Last of the operations that compute it; None for the input.
    source : InputFrame, optional
        Mapping from the file's input to frames.
    raw : bool
        Whether only elementwise operations separate the features from the input, so that frames
        may still be regrouped in any order.
    """

    frame: Frame
    index: Ints
    pad_value: float = 0.0
    low: float = -np.inf
    ended: str = ""
    dtype: np.dtype[Any] = FLOAT32
    end_note: str = ""
    labels: tuple[int, ...] | None = None
    made_by: Step | None = None
    source: InputFrame | None = None
    raw: bool = False

    @property
    def padded(self) -> bool:
        """Whether some elements are padding."""
        return bool((self.index < 0).any())


Value = Constant | Activation


def dtype_of(value: Value) -> np.dtype[Any]:
    """Return the element type of features or of a constant."""
    return value.dtype if isinstance(value, Activation) else value.value.dtype


def same_source(a: Activation, b: Activation) -> bool:
    """Return whether the frames of two tensors hold the same samples in the same order."""
    if a.source is None or b.source is None:
        return True
    return a.source.frame == b.source.frame and np.array_equal(a.source.gather, b.source.gather)


@dataclass(frozen=True, eq=False)
class Rearrangement:
    """Another frame of the same features, and the index of a node's input in it.

    Parameters
    ----------
    wanted : int64 array [height, width, channels]
        Position in the present frame of each feature of the new frame.
    index : int64 array
        `Activation.index` of the node's input, in the new frame.
    """

    wanted: Ints
    index: Ints


class LayoutError(UnsupportedModel):
    """Error for features in an order that a node cannot read; another frame may help.

    Parameters
    ----------
    error : UnsupportedModel
        The error for the user, if no other frame helps.
    *choices : Rearrangement
        Frames that the node could read, the best first. The host makes them of the input's frame,
        if it can.
    by_layers : bool
        Whether layers that move features may make them as well.
    instead : callable, optional
        Imports the node in the present frame in a way that takes more hardware.
    """

    def __init__(
        self,
        error: UnsupportedModel,
        *choices: Rearrangement,
        by_layers: bool = True,
        instead: Callable[[], Any] | None = None,
    ) -> None:
        """Copy the message of `error`."""
        super().__init__(error.reason, node=error.node, op=error.op, hint=error.hint)
        self.choices = choices
        self.by_layers = by_layers
        self.instead = instead


class FrameConflict(Exception):
    """Error for tensors that need different frames of the input.

    Parameters
    ----------
    sources : tuple of InputFrame
        The frames.
    """

    def __init__(self, *sources: InputFrame) -> None:
        super().__init__("the branches read the input in different orders")
        self.sources = sources


def agreed_source(features: Sequence[Activation]) -> InputFrame | None:
    """Return the frame of the input that all tensors were made of; FrameConflict if they differ."""
    sources = [x.source for x in features if x.source is not None]
    for x in features:
        if not same_source(x, features[0]):
            raise FrameConflict(*sources)
    told = any(s.told for s in sources)
    return replace(sources[0], told=told) if sources else None


def channels_first(frame: Frame) -> Ints:
    """Return the index of a tensor [1, channels, height, width] that holds a whole frame."""
    h, w, c = frame
    return np.arange(h * w * c, dtype=np.int64).reshape(1, h, w, c).transpose(0, 3, 1, 2)


def flat(channels: int) -> Ints:
    """Return the index of a tensor [1, channels] that holds a frame of one pixel."""
    return np.arange(channels, dtype=np.int64).reshape(1, channels)
