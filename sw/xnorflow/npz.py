"""Reads ``.npy`` and ``.npz`` files from anywhere: no objects, and no more memory than allowed."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

READ_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)
"""What the functions here raise for a file that is none or hostile."""


def read_array(f: IO[bytes], name: str, limit: int) -> NDArray[Any]:
    """Read an array after a look at what its header claims.

    Parameters
    ----------
    f : binary file
        In ``.npy`` format.
    name : str
        For messages.
    limit : int
        Most bytes that the array may have.

    Raises
    ------
    Any of `READ_ERRORS`
        If it is no array, has objects or is too large.
    """
    version = npy.read_magic(f)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(f)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(f)
    else:
        raise ValueError(f"{name} is of .npy version {version}, which is not read")
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never loaded")
    if min(shape, default=0) < 0 or size > limit:
        raise ValueError(f"{name} claims {size} bytes, more than the {limit} allowed")
    f.seek(0)
    return np.asarray(npy.read_array(f, allow_pickle=False))


def read_archive(
    path: Path, limit: int, names: Iterable[str] | None = None
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Read arrays of an ``.npz``: those of some names, or all.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Most bytes that the arrays together may have.
    names : iterable of str, optional
        The arrays to read, where they are there.

    Returns
    -------
    arrays : dict of str to array
        Those that were read.
    there : list of str
        Names of all that are there.

    Raises
    ------
    Any of `READ_ERRORS`
        As `read_array`.
    """
    arrays = {}
    with zipfile.ZipFile(path) as z:
        members = {n.removesuffix(".npy"): n for n in z.namelist()}
        for name in members if names is None else names:
            if name in members:
                with z.open(members[name]) as f:
                    arrays[name] = read_array(f, name, limit)
                limit -= arrays[name].nbytes
    return arrays, list(members)
