"""Arithmetic of several windows at once: which bank holds a column, and which lane reads it.

With M pixels at once the windows of a row form groups of M; the last group may hold fewer real
windows. Group g has the windows of the columns M * g + j. Input column c lies in bank c mod M, at
slot c div M of its row. Every beat reads each bank once, and lane b of the array always gets the
word of bank b: at kernel column kx it works on the window j of the group whose tap lies in bank b.
At the next kernel column a window's tap lies `turn` banks further on, and its sum moves to that
lane.

A tap is the input pixel that a window reads at one position of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

from xnorflow_hw.spec.geometry import ceil_div, output_size, rows_kept_from


@dataclass(frozen=True)
class Banks:
    """How the columns of a row and the windows over them are spread over banks.

    Parameters
    ----------
    pixels : int
        Number of windows at once, and of banks. It has no factor in common with the stride, so that
        the taps of a group lie in different banks.
    width : int
        Columns of the frame.
    kernel : int
        Columns of the kernel.
    stride : int
        Columns from one window to the next.
    dilation : int
        Columns from one tap to the next.
    left, right : int
        Columns of padding on either side.

    Raises
    ------
    ValueError
        If `pixels` is not positive, or if two windows of a group would need the same bank.
    """

    pixels: int
    width: int
    kernel: int
    stride: int
    dilation: int
    left: int
    right: int

    def __post_init__(self) -> None:
        """Check that the taps of a group lie in different banks."""
        if self.pixels < 1:
            raise ValueError(f"pixels is {self.pixels}; it has to be 1 or more")
        if gcd(self.stride, self.pixels) > 1:
            raise ValueError(
                f"pixels is {self.pixels}, which has a factor in common with the horizontal"
                f" stride {self.stride}; two windows of a group would need the same bank"
            )

    @cached_property
    def columns(self) -> int:
        """Number of windows in a row."""
        return output_size(
            self.width, self.kernel, self.stride, self.dilation, self.left, self.right
        )

    @property
    def groups(self) -> int:
        """Number of groups of windows in a row."""
        return ceil_div(self.columns, self.pixels)

    @property
    def slots(self) -> int:
        """Columns of a row in the fullest bank."""
        return ceil_div(self.width, self.pixels)

    @property
    def last_group(self) -> int:
        """Number of real windows in the last group of a row."""
        return self.columns - (self.groups - 1) * self.pixels

    @property
    def turn(self) -> int:
        """Number of lanes by which a window's tap moves on with the next kernel column."""
        return self.dilation % self.pixels

    @property
    def lanes(self) -> tuple[int, ...]:
        """The lane in which each window of a group ends."""
        return tuple(self.tap(j, self.kernel - 1) % self.pixels for j in range(self.pixels))

    def tap(self, pixel: int, kx: int) -> int:
        """Return the column, perhaps a padded one, that a window of group 0 reads."""
        return self.stride * pixel + kx * self.dilation - self.left

    def window(self, bank: int, kx: int) -> int:
        """Return the window of a group whose tap lies in a bank at kernel column `kx`."""
        return next(j for j in range(self.pixels) if (self.tap(j, kx) - bank) % self.pixels == 0)

    def slot(self, bank: int, kx: int) -> int:
        """Return the slot of a bank that group 0 reads; each next group reads `stride` further."""
        return self.tap(self.window(bank, kx), kx) // self.pixels

    def padded(self, group: int, bank: int, kx: int) -> bool:
        """Return whether the tap in a bank is that of a real window and lies outside the frame."""
        pixel = self.window(bank, kx)
        column = group * self.pixels * self.stride + self.tap(pixel, kx)
        return group * self.pixels + pixel < self.columns and not 0 <= column < self.width

    @cached_property
    def furthest(self) -> tuple[int, ...]:
        """The last column, limited to the frame, that each group reads and so has to wait for."""
        lasts = (min(self.pixels * (g + 1), self.columns) - 1 for g in range(self.groups))
        taps = (self.tap(last, self.kernel - 1) for last in lasts)
        return tuple(min(max(tap, 0), self.width - 1) for tap in taps)

    def minimum_slots(
        self, height: int, kernel: int, stride: int, dilation: int, top: int, bottom: int
    ) -> int:
        """Return the smallest capacity of a bank, in pixels, with which a buffer cannot deadlock.

        Parameters
        ----------
        height : int
            Rows of the frame.
        kernel, stride, dilation : int
            Kernel size and steps along the vertical axis, in rows.
        top, bottom : int
            Rows of padding.

        Returns
        -------
        int
            Pixels per bank; 0 where every window reads only padding. See `geometry.minimum_depth`.
        """
        rows = output_size(height, kernel, stride, dilation, top, bottom)
        kept = (0, *rows_kept_from(height, stride, top, rows))
        least = 0
        for oy in range(rows):
            read = (oy * stride + k * dilation - top for k in range(kernel))
            last = max((iy for iy in read if 0 <= iy < height), default=None)
            if last is not None:
                in_row = self.furthest[-1] // self.pixels + 1
                least = max(least, (last - kept[oy]) * self.slots + in_row)
        return least
