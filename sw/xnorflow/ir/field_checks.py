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
"""Largest magnitude of a weight and of an alphabet's value."""


def need(truth: object, what: str) -> None:
    """Raise ValueError, saying `what` is wrong, unless `truth` is true."""
    if not truth:
        raise ValueError(what)


def integers(a: object, axes: int, what: str) -> NDArray[Any]:
    """Return `a` if it is a non-empty int64 array with `axes` axes; raise ValueError otherwise."""
    if not (isinstance(a, np.ndarray) and a.dtype == np.int64 and a.ndim == axes and a.size):
        raise ValueError(f"its {what} are not int64 with {axes} axes, or are empty")
    return a


def magnitude(a: NDArray[Any]) -> int:
    """Return the largest magnitude in an int64 array, for the least int64 too."""
    return max(abs(int(a.min())), abs(int(a.max())))


def check_alphabet(a: Alphabet) -> None:
    """Raise ValueError if an alphabet's values or codes are too wide."""
    need(
        max(abs(a.lo), abs(a.hi)) <= MAX_VALUE and a.bits <= MAX_BITS,
        f"alphabet {a} is too wide: codes may have {MAX_BITS} bits, values may lie between"
        f" {-MAX_VALUE} and {MAX_VALUE}",
    )


def check_padding(value: object) -> None:
    """Raise ValueError if padded taps cannot have a value."""
    need(
        type(value) is int and abs(value) <= MAX_VALUE,
        f"{value!r} is no value for padding: an integer from {-MAX_VALUE} to {MAX_VALUE} is needed",
    )


def check_window(w: Window, inp: Features, *, every: bool) -> None:
    """Raise ValueError if a window is impossible on a feature map.

    Parameters
    ----------
    w : Window
        The window.
    inp : Features
        The map that it slides over.
    every : bool
        Whether every position of the window must include a pixel that isn't padding.
    """
    need(min(*w.kernel, *w.stride, *w.dilation) >= 1 and min(w.pads) >= 0, f"{w} is not possible")
    top, left, bottom, right = w.pads
    size = (inp.height + top + bottom) * (inp.width + left + right) * inp.channels
    need(
        size <= MAX_FEATURES and max(w.extent) <= MAX_FEATURES,
        f"{w} is too large: a padded map may have {MAX_FEATURES} features",
    )
    need(not (every and w.holds_padding_only(inp.height, inp.width)), "a window holds padding only")
