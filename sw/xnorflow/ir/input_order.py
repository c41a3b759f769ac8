"""The order in which users hold samples, and its conversion to the order of the hardware's stream.

Three orders meet here. Data come in any shape and order that a `Reading` describes. The *file's
order* is that of the imported file's input tensor. The *stream's order* is row, column, channel,
which is how frames enter the accelerator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput
from xnorflow.ir.alphabet import Ints

Channels = Literal["first", "last", ""]
Layout = Literal["", "file", "nhwc", "nchw"]
LAYOUTS: tuple[Layout, ...] = ("file", "nhwc", "nchw")
"""Names that a user can give for the order of samples."""


@dataclass(frozen=True)
class Reading:
    """One shape that data may have, and how its axes map to those of the file.

    Parameters
    ----------
    shape : tuple of int
        Shape of one frame of the data.
    axes : tuple of int, optional
        Transposition of [frames, *shape] to the file's order; None if the data already are in it,
        empty if they are in the stream's order.
    what : str
        Name of the order, for messages.
    whole : tuple of int, optional
        For flat data, the shape that they get before the transposition.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...] | None
    what: str
    whole: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class InputOrder:
    """The mapping from samples in the imported file's order to a frame in the stream's order.

    Parameters
    ----------
    shape : tuple of int
        Shape of the file's input without its batch dimension.
    gather : int64 array [features of a frame], optional
        For each feature of the frame, in row, column, channel order, its position in the flattened
        input of the file; None if the two orders are the same.
    channels : {"first", "last", ""}
        Axis of `shape` that holds the channels; empty if neither the network nor the shape tells.
    layout : {"", "file", "nhwc", "nchw"}
        Layout of the data according to the user; empty if the user gave none.
    """

    shape: tuple[int, ...]
    gather: Ints | None = None
    channels: Channels = ""
    layout: Layout = ""

    @property
    def size(self) -> int:
        """Number of samples in one input of the file."""
        return math.prod(self.shape)

    @property
    def _moved(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shape with the channels at the other end, and the axes that put them back."""
        rank = len(self.shape)
        if self.channels == "last":
            return (self.shape[-1], *self.shape[:-1]), (0, *range(2, rank + 1), 1)
        return (*self.shape[1:], self.shape[0]), (0, rank, *range(1, rank))

    @property
    def same_shape(self) -> bool:
        """Whether a frame has one shape with channels first and last, but two different orders."""
        grid = sum(n > 1 for n in self.shape) > 1
        return grid and bool(self.channels) and self._moved[0] == self.shape

    def readings(self, frame: tuple[int, int, int]) -> Iterator[Reading]:
        """Yield the readings of data in order of preference; the first whose shape fits is taken.

        Parameters
        ----------
        frame : tuple of int
            Height, width and channels of a frame in the stream.
        """
        asked = self.layout
        if asked in ("nhwc", "nchw") and len(self.shape) == 1 and frame[:2] != (1, 1):
            yield from self._of_pictures(frame)
            return
        grid = len(self.shape) > 1
        wants_last = grid and asked == "nhwc" and self.channels != "last"
        wants_first = grid and asked == "nchw" and self.channels == "last"
        moved, axes = self._moved
        if wants_last or wants_first:
            name = "channels last" if wants_last else "channels first"
            yield Reading(moved, axes, name)
            if sum(n > 1 for n in moved) <= 1 or 1 in (moved[-1], moved[0]):
                yield Reading(self.shape, None, "the file's own order")
            yield Reading((self.size,), axes, f"flat, {name}", moved)
            return
        yield Reading(self.shape, None, "the file's own order")
        if not asked and self.channels == "first":
            yield Reading(moved, axes, "channels last")
        if 1 in (self.shape[0], self.shape[-1]) and len(self.shape) > 1:
            plain = self.shape[1:] if self.shape[0] == 1 else self.shape[:-1]
            for shape in (plain, (*plain, 1), (1, *plain)):
                yield Reading(shape, None, "the file's own order, of one channel")
        yield Reading((self.size,), None, "flat, in the file's own order")

    def _of_pictures(self, frame: tuple[int, int, int]) -> Iterator[Reading]:
        """Yield the readings of pictures for a file with a flat input that it reshapes itself."""
        height, width, channels = frame
        if self.layout == "nhwc":
            yield Reading(frame, (), "channels last")
            yield Reading((math.prod(frame),), (), "flat, channels last", frame)
        else:
            first = (channels, height, width)
            yield Reading(first, (0, 2, 3, 1), "channels first")
            yield Reading((math.prod(frame),), (0, 2, 3, 1), "flat, channels first", first)

    def frames(self, x: NDArray[Any], frame: tuple[int, int, int]) -> NDArray[Any]:
        """Return data [n, ...] in the stream's order, [n, height, width, channels].

        Parameters
        ----------
        x : array [n, ...]
            Data of any element type, in a shape that `readings` yields.
        frame : tuple of int
            Height, width and channels of a frame in the stream.

        Raises
        ------
        BadInput
            If the shape fits no reading, or its order is ambiguous; the message says what would
            work.
        """
        flat, reading = self._fitted(x, frame)
        positions = self._positions(reading)
        if not np.array_equal(positions, np.arange(flat.shape[1])):
            flat = flat[:, positions]
        return flat.reshape(len(x), *frame)

    def samples(self, x: NDArray[Any], frame: tuple[int, int, int]) -> NDArray[Any]:
        """Return data [n, ...] in the shape and order of the file's input, [n, *shape].

        Samples that the network does not read may come back as 0.

        Raises
        ------
        BadInput
            As for `frames`.
        """
        flat, reading = self._fitted(x, frame)
        if self._pictures(reading):
            made = np.zeros((len(x), self.size), x.dtype)
            places = np.arange(self.size) if self.gather is None else self.gather
            made[:, places] = flat[:, self._positions(reading)]
            return made.reshape(len(x), *self.shape)
        whole = flat.reshape(len(x), *(reading.whole or reading.shape))
        whole = whole.transpose(reading.axes) if reading.axes else whole
        return whole.reshape(len(x), *self.shape)

    def _fitted(self, x: NDArray[Any], frame: tuple[int, int, int]) -> tuple[NDArray[Any], Reading]:
        """Return data [n, ...] as [n, samples], and the reading that fits their shape."""
        for reading in self.readings(frame):
            if x.shape[1:] == reading.shape:
                return x.reshape(len(x), -1), reading
        rest = tuple(n for n in x.shape[1:] if n > 1)
        grey = frame[2] == 1 or frame[:2] == (1, 1)
        rows = x.shape[1:] != (self.size,) and math.prod(rest) == self.size
        if len(self.shape) == 1 and grey and len(rest) <= 2 and rows:
            # With a single channel, every shape of as many samples means the same order.
            return self._fitted(x.reshape(len(x), -1), frame)
        raise BadInput(
            f"frames of shape {_list(x.shape[1:])} do not fit. What would work:"
            f" {self.cure(x.shape[1:], frame)}"
        )

    def _pictures(self, reading: Reading) -> bool:
        """Return whether data are pictures for a file with flat input: in the stream's order."""
        return reading.axes == () or (reading.axes is not None and len(self.shape) == 1)

    def _positions(self, reading: Reading) -> Ints:
        """Return the position in a flat frame of data of each feature, in the stream's order."""
        shape = reading.whole or reading.shape
        index = np.arange(math.prod(shape), dtype=np.int64).reshape(1, *shape)
        if reading.axes:
            index = index.transpose(reading.axes)
        flat = index.reshape(-1)
        return flat if self.gather is None or self._pictures(reading) else flat[self.gather]

    def cure(self, shape: tuple[int, ...], frame: tuple[int, int, int]) -> str:
        """Return, for users, what would make data with frames of this shape fit."""
        moved, _ = self._moved
        if shape == moved and len(shape) > 1 and not self.channels and not self.layout:
            return (
                "the file does not tell whether its input has the channels first or last; are these"
                " channels last? Say --layout nhwc (layout='nhwc'), or give them in the file's own"
                f" order, {_list(self.shape)}"
            )
        if shape == frame and len(self.shape) == 1 and not self.layout:
            return (
                f"the file takes {self.size} samples in a row; are these pictures with the channels"
                " last? Say --layout nhwc (layout='nhwc'), or give them in the file's own order as"
                " .reshape(len(x), -1)"
            )
        for reading in self.readings(frame):
            for axes in ((0, 2, 3, 1), (0, 3, 1, 2), (0, 2, 1)):
                if len(shape) == len(axes) - 1 and reading.shape == tuple(
                    shape[a - 1] for a in axes[1:]
                ):
                    return f"x.transpose({', '.join(map(str, axes))}), which is {reading.what}"
        if math.prod(shape) == self.size:
            return "x.reshape(len(x), -1), if it is in the file's own order"
        return f"x of {self.describe(frame)}"

    def describe(self, frame: tuple[int, int, int]) -> str:
        """Return, for users, the shapes and orders of data that the network takes."""
        seen: dict[tuple[int, ...], str] = {}
        for reading in self.readings(frame):
            seen.setdefault(reading.shape, reading.what)
        return ", or ".join(
            f"[frames, {', '.join(map(str, s))}] ({what})" for s, what in seen.items()
        )

    def notes(self) -> tuple[str, ...]:
        """Return a note on the reading that was taken, if two fit and the user chose neither."""
        if self.layout or not self.same_shape:
            return ()
        shape, other = _list(self.shape), "nhwc" if self.channels == "first" else "nchw"
        return (
            f"Frames of shape {shape} are read in the file's own order, channels"
            f" {self.channels}; with --layout {other} (layout='{other}') they are read with the"
            f" channels {'last' if other == 'nhwc' else 'first'}.",
        )


def known_layout(layout: str | None) -> Layout:
    """Return a user's layout, empty if there is none; BadInput if it is unknown."""
    for known in LAYOUTS:
        if layout == known:
            return known
    if layout is None:
        return ""
    raise BadInput(f"layout {layout!r} is unknown; {', '.join(LAYOUTS)} are known")


def natural(frame: tuple[int, int, int]) -> InputOrder:
    """Return the order for a network without an imported file: row, column, channel."""
    return InputOrder(frame, None, "last")


def channels_of(shape: tuple[int, ...], frame: tuple[int, int, int], gather: Ints) -> Channels:
    """Return which axis of the file's input holds the channels: "first", "last" or "" for neither.

    Parameters
    ----------
    shape : tuple of int
        Shape of the file's input without its batch dimension.
    frame : tuple of int
        Height, width, channels.
    gather : int64 array
        As in `InputOrder`.
    """
    if len(shape) < 2 or frame[2] == 1:
        # The one channel is the axis that has one place.
        ends = (shape[0], shape[-1]) if len(shape) > 2 else ()
        return "first" if ends[:1] == (1,) else "last" if ends[1:] == (1,) else ""
    first = np.array(np.unravel_index(gather[: frame[2]], shape))
    moving = np.flatnonzero((first != first[:, :1]).any(axis=1)).tolist()
    return "first" if moving == [0] else "last" if moving == [len(shape) - 1] else ""


def _list(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
