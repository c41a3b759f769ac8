"""Limits of the size of a model; they are checked before memory is allocated, as files may lie."""

from __future__ import annotations

import math
from collections.abc import Iterable

from xnorflow.errors import UnsupportedModel

MAX_FILE_BYTES = 1 << 29
"""Most bytes of the model file, and of all external data together."""
MAX_NODES = 20_000
"""Most nodes."""
MAX_RANK = 16
"""Most dimensions of a tensor."""
MAX_CONSTANTS = 1 << 27
"""Most elements of all stored tensors together."""
MAX_FOLDED = 1 << 26
"""Most elements of all constants that are computed during the import."""
MAX_FEATURES = 1 << 24
"""Most elements of one frame between two nodes, padding included."""
MAX_WEIGHTS = 1 << 26
"""Elements of one layer's weights, zeros included where groups have to be widened."""
MAX_BUILT = 1 << 28
"""Most weights of all layers together, those that move features included."""
MAX_STEPS = 200_000
"""Most operations that are built, whether an output needs them or not."""


def elements(shape: Iterable[int], limit: int, *, what: str, node: str, op: str = "") -> int:
    """Return the number of elements of a shape; UnsupportedModel if it is impossible or too large.

    Parameters
    ----------
    shape : iterable of int
        Sizes of the dimensions; they come from the file and may be any integers.
    limit : int
        Most elements that are allowed.
    what : str
        Name of the thing that has this shape, for the message.
    node, op : str
        Node and operator that the error names.
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
