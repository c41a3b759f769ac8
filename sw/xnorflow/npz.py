"""Read untrusted ``.npy`` and ``.npz`` files: no Python objects, and only as large as allowed."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from xnorflow.inputs import blaming, opened

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of compression that NumPy uses; others may need any amount of memory to unpack."""
OVERHEAD = 1 << 20
"""Bytes that an archive may have beside its arrays: headers, and the directory of its members."""


def read_array(path: Path, limit: int, *, what: str = "a readable .npy file") -> NDArray[Any]:
    """Read the array of an ``.npy`` file.

    Parameters
    ----------
    path : Path
        File to read.
    limit : int
        Most bytes that the array may take.
    what : str
        Description of what the file should be, for messages.

    Raises
    ------
    xnorflow.errors.BadInput
        If the file holds no array, or one of Python objects, or one that is too large.
    """
    with blaming(f"{path} is not {what}"), opened(path, limit + npy.BUFFER_SIZE) as f:
        array = _read(f, path.name, path.stat().st_size, limit)
    return array


def read_archive(
    path: Path,
    limit: int,
    names: Iterable[str] | None = None,
    *,
    what: str = "a readable .npz file",
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Read arrays of an ``.npz`` file, by name or all of them.

    Parameters
    ----------
    path : Path
        File to read.
    limit : int
        Most bytes that the arrays together may take.
    names : iterable of str, optional
        Names of the arrays to read; names that the file does not have are skipped.
    what : str
        Description of what the file should be, for messages.

    Returns
    -------
    arrays : dict of str to array
        The arrays that were read.
    there : list of str
        Names of all arrays in the file.

    Raises
    ------
    xnorflow.errors.BadInput
        If the file is no such archive, or an array cannot be read, holds Python objects or is too
        large.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with (
        blaming(f"{path} is not {what}"),
        opened(path, 2 * limit + OVERHEAD) as file,
        zipfile.ZipFile(file) as z,
    ):
        members = {info.filename.removesuffix(".npy"): info for info in z.infolist()}
        for name in members if names is None else names:
            if (info := members.get(name)) is None:
                continue
            if info.compress_type not in METHODS:
                raise ValueError(
                    f"{name} is compressed by method {info.compress_type} of zip, which NumPy does"
                    " not use"
                )
            with z.open(info) as f:
                arrays[name] = _read(f, name, info.file_size, limit)
            limit -= arrays[name].nbytes
    return arrays, list(members)


def _read(f: IO[bytes], name: str, size: int, limit: int) -> NDArray[Any]:
    """Read an array after checking its header; its file has `size` bytes in all.

    Raises
    ------
    ValueError
        If the header claims more bytes than are there or allowed, or Python objects.
    """
    version = npy.read_magic(f)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(f)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(f)
    else:
        raise ValueError(f"{name} has .npy version {version}; versions 1.0 and 2.0 can be read")
    if any(type(length) is not int for length in shape):
        raise ValueError(f"{name} claims the shape {shape}, which is not one of whole numbers")
    claimed = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never loaded")
    if min(shape, default=0) < 0 or claimed > limit:
        raise ValueError(f"{name} claims {claimed} bytes, more than the {limit} allowed")
    if claimed > size - f.tell():
        raise ValueError(f"{name} claims {claimed} bytes, of which {size - f.tell()} are there")
    f.seek(0)
    return np.asarray(npy.read_array(f, allow_pickle=False))
