"""Layers that change a map's size without a window, or add a constant map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import MAX_BITS, Alphabet, Ints
from xnorflow.ir.features import Features
from xnorflow.ir.field_checks import MAX_FEATURES, MAX_VALUE, integers, magnitude, need
from xnorflow.ir.layer import Layer, LayersBefore, Mask, NotMirrored

Fill = Literal["repeat", "zeros", "blocks"]
"""What a cell of pixels holds; see `Stretch`."""
FILLS: tuple[Fill, ...] = ("repeat", "zeros", "blocks")


@dataclass(frozen=True, eq=False)
class Stretch(Layer):
    """A larger or cropped map, in which each pixel of the input becomes a cell of pixels.

    Parameters
    ----------
    factors : tuple of int
        Rows and columns of a cell.
    fill : str
        "repeat": all pixels of a cell are copies. "zeros": the pixel is at the top left of its
        cell, and the others are 0. "blocks": the channels are divided into as many equal parts, in
        order, as a cell has pixels, and each pixel of the cell, in row, column order, is one part.
    crop : tuple of int
        Rows and columns that are left out of the stretched map: top, left, bottom, right.
    """

    factors: tuple[int, int]
    fill: Fill
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    kind: ClassVar[str] = "stretch"

    def output(self, inp: Features) -> Features:
        """Return the larger size and, for "zeros", an alphabet with 0."""
        (fy, fx), (top, left, bottom, right) = self.factors, self.crop
        channels = inp.channels
        if self.fill == "blocks":
            if channels % (fy * fx):
                raise ValueError(f"{channels} channels are not {fy * fx} equal parts")
            channels //= fy * fx
        height, width = inp.height * fy - top - bottom, inp.width * fx - left - right
        if min(height, width) < 1:
            raise ValueError(f"cropping by {self.crop} leaves nothing of {inp.shape}")
        return Features(height, width, channels, self.alphabet(inp.alphabet))

    def alphabet(self, inp: Alphabet) -> Alphabet:
        """Return the alphabet of the output for that of the input."""
        if self.fill != "zeros" or self.factors == (1, 1) or inp.code_of(0) is not None:
            return inp
        lo, hi = min(inp.lo, 0), max(inp.hi, 0)
        step = int(np.gcd(inp.lo, inp.step if inp.levels > 1 else 0))
        return Alphabet(lo, step, (hi - lo) // step + 1)

    def check(self, inp: Features) -> None:
        """Check the factors, the fill and the crop."""
        need(
            len(self.factors) == 2
            and all(type(f) is int and 1 <= f <= MAX_FEATURES for f in self.factors),
            f"factors {self.factors!r} are not possible",
        )
        need(self.fill in FILLS, f"fill {self.fill!r} is none of {', '.join(FILLS)}")
        need(
            len(self.crop) == 4 and all(type(c) is int and c >= 0 for c in self.crop),
            f"crop {self.crop!r} is not possible",
        )
        # The whole map is made before it is cropped.
        cell = 1 if self.fill == "blocks" else self.factors[0] * self.factors[1]
        need(
            inp.size * cell <= MAX_FEATURES,
            f"factors {self.factors!r} are too large: a map may have {MAX_FEATURES} features",
        )

    def depends(self, alive: Mask) -> Mask:
        """Return which pixels hold a value of the frame."""
        return self.stretched(alive, np.bool_(False))

    def stretched(self, x: NDArray[Any], zero: Any) -> NDArray[Any]:
        """Return the stretched map of a map [height, width, channels] of any dtype.

        Parameters
        ----------
        x : array [..., height, width, channels]
            The map.
        zero : scalar
            What the pixels without a value hold, with "zeros".
        """
        *frames, height, width, channels = x.shape
        (fy, fx), (top, left, bottom, right) = self.factors, self.crop
        match self.fill:
            case "repeat":
                out = x.repeat(fy, axis=-3).repeat(fx, axis=-2)
            case "zeros":
                out = np.full((*frames, height * fy, width * fx, channels), zero, x.dtype)
                out[..., ::fy, ::fx, :] = x
            case "blocks":
                cells = x.reshape(*frames, height, width, fy, fx, channels // (fy * fx))
                cells = np.moveaxis(cells, -3, -4)
                out = cells.reshape(*frames, height * fy, width * fx, channels // (fy * fx))
            case _:
                raise ValueError(f"there is no fill {self.fill!r}")
        bottom, right = out.shape[-3] - bottom, out.shape[-2] - right
        return out[..., top:bottom, left:right, :]

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Stretch, Ints]:
        """Mirror the same channels before; NotMirrored with blocks, or zeros off the middle."""
        if self.fill == "blocks":
            raise NotMirrored(
                "its channels come from several.",
                op="DepthToSpace",
                hint="factors that are not negative behind it.",
            )
        mirror = before.mirror(mask)
        if self.fill == "zeros" and mirror[mask].any():
            raise NotMirrored(
                "its channels fall, and the 0 between its pixels is not in the middle.",
                op="ConvTranspose",
                hint="values around 0.",
                off_centre=True,
            )
        return self, mirror


@dataclass(frozen=True, eq=False)
class AddMap(Layer):
    """The sum of a map and a constant one.

    Parameters
    ----------
    values : int64 array [height, width, channels]
        The constant map; sizes may be 1 where it is the same along an axis.
    """

    values: Ints
    kind: ClassVar[str] = "add_map"

    def output(self, inp: Features) -> Features:
        """Return the input's size and the integers between the bounds of the sums."""
        if any(n not in (1, size) for n, size in zip(self.values.shape, inp.shape, strict=True)):
            raise ValueError(f"a constant map of {self.values.shape} does not fit {inp.shape}")
        a, least = inp.alphabet, int(self.values.min())
        step = int(np.gcd.reduce((self.values - least).ravel(), initial=a.step * (a.levels > 1)))
        step = max(1, step)
        lo, hi = a.lo + least, a.hi + int(self.values.max())
        return Features(*inp.shape, Alphabet(lo, step, (hi - lo) // step + 1))

    def check(self, inp: Features) -> None:
        """Check the constants."""
        values = integers(self.values, 3, "constants")
        need(magnitude(values) <= MAX_VALUE, f"a constant exceeds {MAX_VALUE} in magnitude")
        largest = max(abs(inp.alphabet.lo), abs(inp.alphabet.hi)) + magnitude(values)
        need(largest < 1 << MAX_BITS, f"its sums could take more than {MAX_BITS} bits")

    def depends(self, alive: Mask) -> Mask:
        """Return `alive`: each output depends on one input."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> NoReturn:
        """Raise NotMirrored: the constants have a sign of their own."""
        raise NotMirrored(
            "it falls behind the sum with a constant map.",
            op="Add",
            hint="factors that are not negative behind the sum.",
        )
