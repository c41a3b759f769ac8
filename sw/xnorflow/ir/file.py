"""Integer networks as ``.npz`` files: a JSON header and plain arrays, nothing pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xnorflow.errors import BadInput
from xnorflow.ir.check import verify
from xnorflow.ir.encoding import from_arrays, to_arrays
from xnorflow.ir.network import IntegerNetwork
from xnorflow.npz import READ_ERRORS, read_archive

MAX_BYTES = 1 << 30
"""Most that the arrays of a network may take, in bytes."""


def save(net: IntegerNetwork, path: str | Path) -> None:
    """Write a network to an ``.npz`` file."""
    header, arrays = to_arrays(net)
    np.savez_compressed(path, allow_pickle=False, header=np.array(header), **arrays)


def load(path: str | Path) -> IntegerNetwork:
    """Read a network that `save` wrote.

    Raises
    ------
    xnorflow.errors.BadInput
        If the file is anything else.
    """
    try:
        arrays, _ = read_archive(Path(path), MAX_BYTES)
        read = from_arrays(str(arrays.pop("header")), arrays)
        net = IntegerNetwork(
            read.name, read.shape, read.layers, read.classes, read.notes, read.order, read.samples
        )
        verify(net)
    except (*READ_ERRORS, LookupError, TypeError, AttributeError, ArithmeticError) as e:
        raise BadInput(f"{path} is not a network that xnorflow wrote: {e}") from e
    return net
