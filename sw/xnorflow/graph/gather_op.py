"""The operation of a product-quantised layer: a sum of table entries that constants choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xnorflow.graph.join_ops import StretchOp
from xnorflow.graph.ops import Op, WindowReduction
from xnorflow.ir import Gather, Ints, Window

Offset = tuple[int, int]


@dataclass(frozen=True, eq=False)
class GatherOp(WindowReduction):
    """Sum of entries of tables; padding is 0.

    Parameters
    ----------
    indices : int64 array [out, kernel_rows, kernel_cols, tables]
        The entry that is taken of each table; see `xnorflow.ir.Gather`.
    words : int
        Entries of a table.
    window : Window
        Geometry; the kernel equals the middle axes of the indices.
    """

    indices: Ints
    words: int
    window: Window = Window()

    @property
    def channels(self) -> Ints:
        """The input channel that each index means, in the shape of the indices."""
        return Gather.channels_of(self.indices, self.words)


@dataclass(frozen=True, eq=False)
class Taps:
    """A map of which each value is a sum of values of another map, the base.

    A pixel (y, x) takes, for each offset, some channels of the pixel (sy * y + dy, sx * x + dx) of
    the base; pixels beyond it count as 0.

    Parameters
    ----------
    channels : mapping of (int, int) to int64 array [out, terms]
        Channels of the base that each channel adds up, by the offset (dy, dx).
    size : tuple of int
        Rows and columns.
    stride : tuple of int
        The step (sy, sx).
    """

    channels: Mapping[Offset, Ints]
    size: Offset
    stride: Offset = (1, 1)

    def lookups(self, height: int, width: int, depth: int) -> tuple[Op, ...] | None:
        """Return the operations that compute this of a base of height x width x depth channels.

        They are a `GatherOp`, after a crop where no window begins at the base's first row or
        column. There are none if the channels do not come from tables, one from each at every
        offset, or if the offsets are no grid.
        """
        tables = {c.shape[1] for c in self.channels.values()}
        if len(tables) != 1 or depth % (number := min(tables)) or (words := depth // number) < 2:
            return None
        rows, columns = (sorted({o[axis] for o in self.channels}) for axis in (0, 1))
        if len(rows) * len(columns) != len(self.channels):
            return None
        vertical = _axis(rows, self.size[0], height, self.stride[0])
        horizontal = _axis(columns, self.size[1], width, self.stride[1])
        if vertical is None or horizontal is None:
            return None
        dy, top, bottom, above, below = vertical
        dx, left, right, before, behind = horizontal
        grid = np.stack([[np.sort(self.channels[r, c], axis=1) for c in columns] for r in rows])
        # [rows, columns, out, tables]
        if not (grid // words == np.arange(number)).all():
            return None
        window = Window(
            (len(rows), len(columns)), self.stride, (dy, dx), (top, left, bottom, right)
        )
        found = GatherOp(np.ascontiguousarray((grid % words).transpose(2, 0, 1, 3)), words, window)
        crop = (above, before, below, behind)
        return (StretchOp((1, 1), "repeat", crop), found) if any(crop) else (found,)


def _axis(
    offsets: list[int], count: int, size: int, stride: int
) -> tuple[int, int, int, int, int] | None:
    """Return the dilation, the padding at both ends and the rows that are cropped at both ends.

    None if the offsets are not equally far apart.
    """
    steps = set(np.diff(offsets).tolist())
    if len(steps) > 1:
        return None
    dilation = steps.pop() if steps else 1
    first, last = offsets[0], offsets[-1] + (count - 1) * stride
    left = max(0, first)
    pad, rest = max(0, -first), size - 1 - last
    # Rows behind the last tap are cropped only if they would make another window.
    return dilation, pad, max(0, -rest), left, rest if rest >= stride else 0
