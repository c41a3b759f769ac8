"""Integer networks as ``.npz`` files: a JSON header and plain arrays, nothing pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xnorflow.inputs import blaming
from xnorflow.ir.encoding import from_arrays, to_arrays
from xnorflow.ir.network import IntegerNetwork
from xnorflow.ir.verify import verify
from xnorflow.npz import read_archive

MAX_BYTES = 1 << 30
"""Most bytes that the arrays of a network may take together."""


def save(net: IntegerNetwork, path: str | Path) -> None:
    """Write a network to an ``.npz`` file, which `load` reads; OSError if that fails."""
    header, arrays = to_arrays(net)
    np.savez_compressed(path, allow_pickle=False, header=np.array(header), **arrays)


def load(path: str | Path) -> IntegerNetwork:
    """Read a network that `save` wrote, and verify it.

    Raises
    ------
    xnorflow.errors.BadInput
        If the file is absent, damaged or anything else.
    """
    what = "a network that xnorflow wrote"
    arrays, _ = read_archive(Path(path), MAX_BYTES, what=what)
    with blaming(f"{path} is not {what}"):
        header = arrays.pop("header")
        if header.shape or header.dtype.kind != "U":
            raise ValueError(f"its header is {header.dtype} of shape {list(header.shape)}")
        read = from_arrays(str(header), arrays)
        net = IntegerNetwork(**vars(read))
        verify(net)
    return net
