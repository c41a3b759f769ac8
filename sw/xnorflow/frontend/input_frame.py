"""The frame that a network's input makes, and how a file's samples are put into it.

A file may transpose, reshape, cut and repeat its input before anything looks at rows, columns and
channels. None of that needs hardware: the host puts each frame together in the order that the first
layer needs. So moves are followed on positions alone, and where a node wants an order that the
present frame has not, the frame is put together anew.
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
    """How the frames of the stream are made of the file's input.

    Parameters
    ----------
    shape : tuple of int
        Of the file's input without its batch.
    frame : tuple of int
        Height, width, channels.
    gather : int64 array
        Position in the file's input of each feature of a frame.
    told : bool
        A node has looked at rows and columns, so that the layout is the network's own, no guess.
    """

    shape: tuple[int, ...]
    frame: Frame
    gather: Ints
    told: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> InputFrame:
        """Return the likely frame of an input of that shape, batch excluded."""
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
        """Position in the frame of each element of the file's input [1, ...]; of a whole frame."""
        index = np.empty(self.gather.size, np.int64)
        index[self.gather] = np.arange(self.gather.size)
        return index.reshape(1, *self.shape)

    def reframed(self, wanted: Ints) -> InputFrame:
        """Put the frames together anew.

        Parameters
        ----------
        wanted : int64 array [height, width, channels]
            Positions in the present frame.
        """
        height, width, channels = wanted.shape
        gather = self.gather[wanted.ravel()]
        return InputFrame(self.shape, (height, width, channels), gather, self.told)

    def order(self, layout: Layout) -> InputOrder:
        """Return the host's order; `layout` is what the user said."""
        plain = np.array_equal(self.gather, np.arange(int(np.prod(self.shape))))
        channels: Channels = ""
        if self.told:
            channels = channels_of(self.shape, self.frame, self.gather)
        elif len(self.shape) == 3:
            channels = _likely(self.shape)
        return InputOrder(self.shape, None if plain else self.gather, channels, layout)


def _likely(shape: tuple[int, ...]) -> Channels:
    """Tell channels by their number, as pictures have them; empty where that is no help."""
    first, last = shape[0] in PICTURE_CHANNELS, shape[-1] in PICTURE_CHANNELS
    if first == last:
        return "first" if shape[0] == 1 == shape[-1] else ""
    return "first" if first else "last"
