"""Feature maps between layers, and the windows that slide over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xnorflow.ir.alphabet import Alphabet


@dataclass(frozen=True)
class Features:
    """Shape and alphabet of the feature map between two layers."""

    height: int
    width: int
    channels: int
    alphabet: Alphabet

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, self.channels

    @property
    def size(self) -> int:
        """Number of features in a frame."""
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Window:
    """Geometry of a sliding window; every pair is (vertical, horizontal), in pixels.

    Parameters
    ----------
    kernel, stride, dilation : tuple of int
        Each at least 1.
    pads : tuple of int
        Padding (top, left, bottom, right), each at least 0.
    """

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns from a window's first tap to its last, both included."""
        return (
            (self.kernel[0] - 1) * self.dilation[0] + 1,
            (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    def holds_padding_only(self, height: int, width: int) -> bool:
        """Return whether some position of the window covers padding only, on a map of this size."""
        for axis, size in enumerate((height, width)):
            dilation, windows = self.dilation[axis], self.output(height, width)[axis]
            first_tap = np.arange(windows) * self.stride[axis] - self.pads[axis]
            # Skip the taps before the map: the next one has to exist, and to lie on the map.
            skipped = np.maximum(0, -(first_tap // dilation))
            inside = (skipped < self.kernel[axis]) & (first_tap + skipped * dilation < size)
            if not inside.all():
                return True
        return False

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Compute the output's height and width; at most 0 where the window doesn't fit."""
        top, left, bottom, right = self.pads
        rows, cols = self.extent
        return (
            (height + top + bottom - rows) // self.stride[0] + 1,
            (width + left + right - cols) // self.stride[1] + 1,
        )


def window_sums(window: Window, inp: Features, channels: int, low: int, high: int) -> Features:
    """Return features of sums over windows, with all integers from `low` to `high` as alphabet.

    Raises
    ------
    ValueError
        If no window fits the map.
    """
    height, width = window.output(inp.height, inp.width)
    if min(height, width) < 1:
        raise ValueError(f"a window of {window.extent} does not fit {inp.shape}")
    return Features(height, width, channels, Alphabet(low, 1, high - low + 1))
