"""How large a model may be: checked before anything is allocated, because files lie."""

from __future__ import annotations

import math
from collections.abc import Iterable

from xnorflow.errors import UnsupportedModel

MAX_FILE_BYTES = 1 << 29
"""Largest model file, and largest sum of its external data files."""
MAX_NODES = 20_000
MAX_RANK = 16
MAX_CONSTANTS = 1 << 27
"""Elements of all stored tensors together."""
MAX_FOLDED = 1 << 26
"""Elements of all constants that are computed while reading."""
MAX_FEATURES = 1 << 24
"""Elements of one frame between two nodes, padding included."""
MAX_WEIGHTS = 1 << 26
"""Elements of one layer's weights, zeros included where groups have to be widened."""


def elements(shape: Iterable[int], limit: int, *, what: str, node: str, op: str = "") -> int:
    """Return the number of elements of a shape; UnsupportedModel if it is impossible or too large.

    Parameters
    ----------
    shape : iterable of int
        Any integers; they come from the file.
    limit : int
        Most elements that are allowed.
    what, node, op : str
        What has this shape and where, for the message.
    """
    dims = [int(d) for d in shape]
    text = "x".join(map(str, dims[:MAX_RANK]))
    if len(dims) > MAX_RANK:
        raise UnsupportedModel(
            f"{what} has {len(dims)} dimensions.",
            node=node,
            op=op,
            hint=f"at most {MAX_RANK} dimensions.",
        )
    if any(d < 0 for d in dims):
        raise UnsupportedModel(f"{what} has a negative dimension: {text}.", node=node, op=op)
    count = math.prod(dims)
    if count > limit:
        raise UnsupportedModel(
            f"{what} of {text} is too large.", node=node, op=op, hint=f"at most {limit} elements."
        )
    return count
