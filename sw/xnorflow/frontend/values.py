"""What a tensor name stands for while a file is walked: a constant, or features of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.input_frame import Frame, InputFrame
from xnorflow.ir import Ints


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
    """

    value: NDArray[Any]
    codes: NDArray[Any] | None = None
    scale: NDArray[Any] | None = None


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
    source : InputFrame, optional
        How frames are made of the file's input.
    raw : bool
        Only operations on each value alone lie between the input and these features, so that
        frames may still be put together in any other order.
    version : int
        How many nodes had changed the features when this was made; see `importer.Walk`.
    """

    frame: Frame
    index: Ints
    pad_value: float = 0.0
    low: float = -np.inf
    ended: str = ""
    source: InputFrame | None = None
    raw: bool = False
    version: int = 0

    @property
    def padded(self) -> bool:
        """Whether some elements are padding."""
        return bool((self.index < 0).any())


Value = Constant | Activation


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
    """Give the index of a frame as [1, channels, height, width]."""
    h, w, c = frame
    return np.arange(h * w * c, dtype=np.int64).reshape(1, h, w, c).transpose(0, 3, 1, 2)


def flat(channels: int) -> Ints:
    """Give the index of a frame of one pixel as [1, channels]."""
    return np.arange(channels, dtype=np.int64).reshape(1, channels)
