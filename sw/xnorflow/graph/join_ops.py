"""Operations that join several values, and those that change a map's size without a window.

Maps that are joined value by value have the same size, or are broadcast: a map of one pixel goes to
all pixels, and a map of one channel to all channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.ops import Op
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Stretch
from xnorflow.ir.stretches import Fill

Shape = tuple[int, int, int]


class JoinOp(Op, ABC):
    """An operation on several values."""

    @abstractmethod
    def apply(self, *maps: NDArray[Any]) -> NDArray[Any]:
        """Compute the result.

        Parameters
        ----------
        *maps : float array [frames, height, width, channels]
            Values; float32 ones are rounded after every operation, as the executors do.
        """

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the height, width and channels of the result; ValueError if shapes do not fit."""
        maps = (np.broadcast_to(np.float32(0), (1, *shape)) for shape in shapes)
        height, width, channels = self.apply(*maps).shape[1:]
        return height, width, channels


@dataclass(frozen=True, eq=False)
class SumOp(JoinOp):
    """The sum of all values from left to right, each added or subtracted.

    Parameters
    ----------
    signs : tuple of int
        +1 or -1 for each value; the first is +1.
    """

    signs: tuple[int, ...]

    def apply(self, *maps: NDArray[Any]) -> NDArray[Any]:
        """Compute the result; see `JoinOp.apply`."""
        total = maps[0]
        for sign, x in zip(self.signs[1:], maps[1:], strict=True):
            total = total + x if sign > 0 else total - x
        return total


@dataclass(frozen=True, eq=False)
class ProductOp(JoinOp):
    """The product of two values."""

    def apply(self, *maps: NDArray[Any]) -> NDArray[Any]:
        """Compute the result; see `JoinOp.apply`."""
        first, second = maps
        return np.asarray(first * second)


@dataclass(frozen=True, eq=False)
class MaximumOp(JoinOp):
    """The greatest of all values.

    Parameters
    ----------
    minimum : bool
        Whether the least is taken instead.
    """

    minimum: bool = False

    def apply(self, *maps: NDArray[Any]) -> NDArray[Any]:
        """Compute the result; see `JoinOp.apply`."""
        return np.asarray(reduce(np.minimum if self.minimum else np.maximum, maps))


@dataclass(frozen=True, eq=False)
class ConcatOp(JoinOp):
    """Values side by side.

    Parameters
    ----------
    axis : int
        0 for rows, 1 for columns, 2 for channels.
    """

    axis: int

    def apply(self, *maps: NDArray[Any]) -> NDArray[Any]:
        """Compute the result; see `JoinOp.apply`."""
        return np.concatenate(maps, 1 + self.axis)


@dataclass(frozen=True, eq=False)
class AddMapOp(Op):
    """x + value, for constants that differ from pixel to pixel.

    Parameters
    ----------
    value : float32 array [height, width, channels]
        Constants; sizes may be 1 where they are the same along an axis.
    """

    value: Floats


@dataclass(frozen=True, eq=False)
class OrderOp(Op):
    """The value itself, of which nothing but the order of a frame's features is of interest.

    So features may become any integers with the same order and the same ties.
    """


@dataclass(frozen=True, eq=False)
class StretchOp(Op):
    """A larger or cropped map; its parameters are those of `xnorflow.ir.Stretch`."""

    factors: tuple[int, int]
    fill: Fill
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def layer(self) -> Stretch:
        """The integer layer that moves values in the same way."""
        return Stretch("", self.factors, self.fill, self.crop)
