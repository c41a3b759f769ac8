"""Checks of a layer's fields, which may come from a file that somebody else made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import MAX_BITS, Alphabet
from xnorflow.ir.features import Features, Window

MAX_FEATURES = 1 << 24
"""Most features of a frame between two layers, padding included."""
MAX_VALUE = 1 << (MAX_BITS + 1)
"""No value of an alphabet and no weight is further from 0."""


def need(truth: object, what: str) -> None:
    """Raise ValueError, saying `what` is wrong, unless `truth` is true."""
    if not truth:
        raise ValueError(what)


def integers(a: object, axes: int, what: str) -> NDArray[Any]:
    """Return `a` if it is a non-empty int64 array of so many axes; raise ValueError otherwise."""
    if not (isinstance(a, np.ndarray) and a.dtype == np.int64 and a.ndim == axes and a.size):
        raise ValueError(f"its {what} are not int64 with {axes} axes")
    return a


def check_alphabet(a: Alphabet) -> None:
    """Raise ValueError where an alphabet's values or codes are too wide."""
    need(max(abs(a.lo), abs(a.hi)) <= MAX_VALUE and a.bits <= MAX_BITS, f"{a} is too wide")


def check_window(w: Window, inp: Features, *, every: bool) -> None:
    """Raise ValueError where a window is impossible on a feature map.

    Parameters
    ----------
    w : Window
        The window.
    inp : Features
        What it slides over.
    every : bool
        Whether every window has to have a tap that isn't padded.
    """
    need(min(*w.kernel, *w.stride, *w.dilation) >= 1 and min(w.pads) >= 0, f"{w} is not possible")
    top, left, bottom, right = w.pads
    size = (inp.height + top + bottom) * (inp.width + left + right) * inp.channels
    need(size <= MAX_FEATURES and max(w.extent) <= MAX_FEATURES, f"{w} is too large")
    need(not (every and w.holds_padding_only(inp.height, inp.width)), "a window holds padding only")
