"""The frame that is made of a network's input, and the position of each sample in it.

A file may transpose, reshape, crop and repeat its input before a node depends on rows, columns and
channels. None of that needs hardware, because the host sends each frame in the order that the first
layer needs. So such moves are followed on positions alone, and if a node needs another order than
that of the present frame, the frame is regrouped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xnorflow.ir.alphabet import Ints
from xnorflow.ir.input_order import Channels, InputOrder, Layout, channels_of

Frame = tuple[int, int, int]
PICTURE_CHANNELS = (1, 3)


@dataclass(frozen=True, eq=False)
class InputFrame:
    """The mapping from the file's input to frames of the stream.

    Parameters
    ----------
    shape : tuple of int
        Shape of the file's input without its batch dimension.
    frame : tuple of int
        Height, width and channels of a frame.
    gather : int64 array [features of a frame]
        Position in the flattened input of the file of each feature of a frame.
    told : bool
        Whether a node depends on rows and columns, so that the layout is known rather than guessed.
    """

    shape: tuple[int, ...]
    frame: Frame
    gather: Ints
    told: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> InputFrame:
        """Return the likely frame of an input of a shape, which excludes the batch dimension."""
        positions = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
        if len(shape) == 3 and _likely(shape) != "last":
            positions = positions.transpose(1, 2, 0)
        elif len(shape) == 2:
            positions = positions[:, :, None]
        elif len(shape) != 3:
            positions = positions.reshape(1, 1, -1)
        height, width, channels = positions.shape
        return cls(shape, (height, width, channels), positions.ravel())

    @property
    def index(self) -> Ints:
        """Position in the frame of each element of the file's input, int64 [1, *shape].

        Only for a frame that contains every sample exactly once.
        """
        index = np.empty(self.gather.size, np.int64)
        index[self.gather] = np.arange(self.gather.size)
        return index.reshape(1, *self.shape)

    def reframed(self, wanted: Ints) -> InputFrame:
        """Return the mapping to frames of other features or another order.

        Parameters
        ----------
        wanted : int64 array [height, width, channels]
            Position in the present frame of each feature of the new one.
        """
        height, width, channels = wanted.shape
        gather = self.gather[wanted.ravel()]
        return InputFrame(self.shape, (height, width, channels), gather, self.told)

    def order(self, layout: Layout) -> InputOrder:
        """Return the order in which users hold samples; `layout` is the user's choice, or empty."""
        plain = np.array_equal(self.gather, np.arange(int(np.prod(self.shape))))
        channels: Channels = ""
        if self.told:
            channels = channels_of(self.shape, self.frame, self.gather)
        elif len(self.shape) == 3:
            channels = _likely(self.shape)
        return InputOrder(self.shape, None if plain else self.gather, channels, layout)


def _likely(shape: tuple[int, ...]) -> Channels:
    """Guess the axis of the channels: the one of size 1 or 3, as in pictures; "" if unclear."""
    first, last = shape[0] in PICTURE_CHANNELS, shape[-1] in PICTURE_CHANNELS
    if first == last:
        return "first" if shape[0] == 1 == shape[-1] else ""
    return "first" if first else "last"
