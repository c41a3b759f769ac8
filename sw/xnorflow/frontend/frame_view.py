"""How a node that depends on rows, columns and channels sees its input's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xnorflow.frontend.node import Node
from xnorflow.frontend.values import Activation, LayoutError, Rearrangement, channels_first
from xnorflow.ir import Ints, Window

Pads = tuple[int, int, int, int]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class View:
    """The mapping from a node's input [1, channels, rows, columns] to the frame.

    Parameters
    ----------
    pads : tuple of int
        Padding around the features (top, left, bottom, right), as the node sees it.
    channels : int64 array
        Channel of the frame for each channel of the node's input.
    swapped : bool
        Whether the node's rows are the frame's columns.
    """

    pads: Pads
    channels: Ints
    swapped: bool

    def size(self, x: Activation) -> Pair:
        """Return the numbers of rows and columns that the node sees, without padding."""
        return (x.frame[1], x.frame[0]) if self.swapped else x.frame[:2]

    def window(self, w: Window) -> Window:
        """Return a window of the node as a window of the frame."""
        if not self.swapped:
            return w
        t, left, b, r = w.pads
        return Window(w.kernel[::-1], w.stride[::-1], w.dilation[::-1], (left, t, r, b))

    def result(self, x: Activation, window: Window, channels: int | None, low: float) -> Activation:
        """Return the output of a window operation on the frame of `x`.

        Parameters
        ----------
        x : Activation
            Input of the node.
        window : Window
            Window on the frame, with all padding.
        channels : int or None
            Number of output channels; None for an operation on each channel alone.
        low : float
            Lower bound of the output.
        """
        frame = (*window.output(*x.frame[:2]), x.frame[2] if channels is None else channels)
        index = channels_first(frame)
        if channels is None:
            index = index[:, self.channels]
        if self.swapped:
            index = index.transpose(0, 1, 3, 2)
        return Activation(frame, index, low=low)


def view(node: Node, x: Activation) -> View:
    """Return the mapping from a node's input to its frame.

    Parameters
    ----------
    node : Node
        A convolution or pool.
    x : Activation
        Its input; four-dimensional.

    Raises
    ------
    LayoutError
        If the features are in an order that reordering channels, or swapping rows and columns, does
        not explain, or padded along the channels.
    UnsupportedModel
        If the input is not four-dimensional, or is padding only.
    """
    if x.index.ndim != 4 or x.index.shape[0] != 1:
        raise node.unsupported(
            f"its input has shape {x.index.shape}.",
            "two-dimensional features [1, channels, height, width].",
        )
    inside = x.index[0] >= 0
    rows, cols = (np.flatnonzero(inside.any(axes)) for axes in ((0, 2), (0, 1)))
    if not rows.size:
        raise node.unsupported("its input is padding only.", "less padding.")
    found = x.index[:, :, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    pads = (
        int(rows[0]),
        int(cols[0]),
        inside.shape[1] - 1 - int(rows[-1]),
        inside.shape[2] - 1 - int(cols[-1]),
    )

    def rearrangement() -> Rearrangement:
        wanted = found[0].transpose(1, 2, 0)
        index = np.full_like(x.index, -1)
        index[:, :, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = channels_first(wanted.shape)
        return Rearrangement(wanted, index)

    if (found < 0).any():
        raise LayoutError(
            node.unsupported(
                "its input is padded along the channels.", "padding of rows and columns only."
            ),
            rearrangement(),
        )
    plain = channels_first(x.frame)
    channels = found[0, :, 0, 0] % x.frame[2]
    if not x.raw or np.array_equal(np.sort(channels), np.arange(x.frame[2])):
        for swapped in (False, True):
            seen = plain[:, channels]
            seen = seen.transpose(0, 1, 3, 2) if swapped else seen
            if np.array_equal(found, seen):
                return View(pads, channels, swapped)
    raise LayoutError(
        node.unsupported(
            "its input features are in an order other than channels, rows, columns.",
            "the plain layout [1, channels, height, width].",
        ),
        rearrangement(),
    )
