"""Samples of every kind for a drawn network, in the user's layout and as the file takes them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAMES = 8


@dataclass(frozen=True)
class Kind:
    """What samples are, and what the file takes of them.

    Parameters
    ----------
    name : str
        As the option `input` has it.
    low, high, step : int
        Range of the samples; of floats, of their usual values.
    scale : Any
        As the option `input_scale` has it.
    divisor : int
        The file takes samples divided by it; 0 where it takes them times `factor`.
    factor : float
    """

    name: str
    low: int
    high: int
    step: int = 1
    scale: Any = 1.0
    divisor: int = 0
    factor: float = 1.0

    def taken(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return what the file takes of samples, float32."""
        y = x.astype(np.float32)
        return y / np.float32(self.divisor) if self.divisor else y * np.float32(self.factor)

    @property
    def ends(self) -> tuple[float, float]:
        """Least and greatest number that the file takes."""
        low, high = self.taken(np.array([self.low, self.high]))
        return float(low), float(high)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        """Draw frames: noise, all of one value, slopes, and mostly background."""
        n = FRAMES
        if self.name == "float":
            x = rng.normal(0, (self.high - self.low) / 4, (n, *shape)) + (self.low + self.high) / 2
            x[0] = np.rint(x[0])
            return x.astype(np.float32)
        levels = (self.high - self.low) // self.step + 1
        codes = rng.integers(0, levels, (n, *shape))
        codes[0], codes[1] = 0, levels - 1
        size = int(np.prod(shape))
        codes[2] = (np.arange(size) * levels // size).reshape(shape)
        codes[3] = np.where(rng.random(shape) < 0.8, 0, codes[3])
        codes[4] = rng.integers(0, levels)
        x = codes * self.step + self.low
        return x.astype(np.uint8) if (self.low, self.high) == (0, 255) else x


def integers(rng: np.random.Generator) -> Kind:
    """Draw a kind of integers and what the network takes of them."""
    bits = int(rng.integers(2, 13))
    name, low, high, step = (
        ("uint8", 0, 255, 1),
        ("uint8", 0, 255, 1),
        ("uint8", 0, 255, 1),
        ("int8", -128, 127, 1),
        ("bits", 0, 1, 1),
        ("bipolar", -1, 1, 2),
        (f"uint{bits}", 0, (1 << bits) - 1, 1),
        (f"int{bits}", -(1 << bits - 1), (1 << bits - 1) - 1, 1),
    )[int(rng.integers(0, 8))]
    if name in ("bits", "bipolar"):
        return Kind(name, low, high, step)
    n = {"uint8": 255, "int8": 128}.get(name, max(high, 2))
    match int(rng.integers(0, 8)):
        case 0 | 1:
            said = (1 / n, f"1/{n}", Fraction(1, n))[int(rng.integers(0, 3))]
            return Kind(name, low, high, step, said, divisor=n)
        case 2:
            return Kind(name, low, high, step, np.float32(1 / n), factor=float(np.float32(1 / n)))
        case 3:
            by = (0.3, 0.0078125, 2.0, 0.00390625, 0.017)[int(rng.integers(0, 5))]
            return Kind(name, low, high, step, by, factor=by)
    return Kind(name, low, high, step)
