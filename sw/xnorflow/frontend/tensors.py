"""Tensors of an ONNX file as NumPy arrays; their claims are checked against the stored bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.limits import MAX_CONSTANTS, MAX_FILE_BYTES, elements
from xnorflow.frontend.narrow import NARROW

Refuse = Callable[..., UnsupportedModel]

PLAIN = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.BOOL,
        TensorProto.INT8,
        TensorProto.INT16,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.UINT8,
        TensorProto.UINT16,
        TensorProto.UINT32,
        TensorProto.UINT64,
    }
)
"""Element types whose storage needs no unpacking."""


def type_name(data_type: int) -> str:
    """Return the name of an ONNX element type, or its number if it has no name."""
    try:
        return TensorProto.DataType.Name(data_type)
    except ValueError:
        return str(data_type)


class TensorReader:
    """A reader of one file's tensors, with a common budget of elements and external bytes.

    Parameters
    ----------
    folder : Path
        The model's folder, which has to contain all external data.
    """

    def __init__(self, folder: Path) -> None:
        """Start with the whole budget."""
        self.folder = folder
        self.elements_left = MAX_CONSTANTS
        self.bytes_left = MAX_FILE_BYTES

    def read(self, tensor: onnx.TensorProto, *, node: str, op: str) -> NDArray[Any]:
        """Read a tensor's values.

        Parameters
        ----------
        tensor : onnx.TensorProto
            Initializer or attribute.
        node, op : str
            Name and operator of the node that reads it, for messages.

        Raises
        ------
        UnsupportedModel
            If the values are not of the type, number and place that the tensor claims, hold NaN, or
            exceed the budget.
        """
        what = f"tensor {tensor.name!r}"

        def refuse(reason: str, hint: str = "") -> UnsupportedModel:
            return UnsupportedModel(f"{what} {reason}", node=node, op=op, hint=hint)

        narrow = NARROW.get(tensor.data_type)
        if narrow is None and tensor.data_type not in PLAIN:
            raise refuse(
                f"has element type {type_name(tensor.data_type)}.",
                "float32 parameters and integer shapes.",
            )
        if tensor.HasField("segment"):
            raise refuse("is stored in segments.", "a tensor in one piece.")
        count = elements(tensor.dims, self.elements_left, what=what, node=node, op=op)
        self.elements_left -= count
        if narrow is not None:
            size = narrow.bytes_of(count)
            packed = self._packed(tensor, size, refuse)
            return narrow.unpack(packed, count).reshape(tuple(tensor.dims))
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if tensor.data_location == TensorProto.EXTERNAL:
            raw = self._external(tensor, count * dtype.itemsize, refuse)
            array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
            return _without_nan(array.reshape(tuple(tensor.dims)), refuse)
        if tensor.HasField("raw_data"):
            stored, needed, unit = len(tensor.raw_data), count * dtype.itemsize, "bytes"
        else:
            field = helper.tensor_dtype_to_field(tensor.data_type)
            stored, needed, unit = len(getattr(tensor, field)), count, "values"
        _need(tensor, stored, needed, unit, refuse)
        try:
            array = numpy_helper.to_array(tensor)
        except Exception as e:  # The package may raise anything for a malformed tensor.
            raise refuse(f"cannot be read: {e}") from e
        return _without_nan(array, refuse)

    def _packed(self, tensor: onnx.TensorProto, size: int, refuse: Refuse) -> NDArray[np.uint8]:
        """Return the bytes into which integers are packed; as numbers, each is one of them."""
        if tensor.data_location == TensorProto.EXTERNAL:
            return np.frombuffer(self._external(tensor, size, refuse), np.uint8)
        if tensor.HasField("raw_data"):
            _need(tensor, len(tensor.raw_data), size, "bytes", refuse)
            return np.frombuffer(tensor.raw_data, np.uint8)
        _need(tensor, len(tensor.int32_data), size, "packed bytes", refuse)
        return (np.array(tensor.int32_data, np.int64) & 0xFF).astype(np.uint8)

    def _external(self, tensor: onnx.TensorProto, needed: int, refuse: Refuse) -> bytes:
        """Read `needed` bytes of external data from a file in the model's folder."""
        entries = {e.key: e.value for e in tensor.external_data}
        location = entries.get("location", "")
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries.get("length", str(needed)))
        except ValueError as e:
            raise refuse("has an external offset or length that is no number.") from e
        here = "external data in a file inside the model's own folder."
        if not location or "\0" in location or "\\" in location or os.path.isabs(location):
            raise refuse(f"points to external data at {location!r}.", here)
        root = self.folder.resolve()
        # Resolving follows `..` and every link, so the check below sees the true place of the file.
        path = (root / location).resolve()
        if not path.is_relative_to(root):
            raise refuse(f"points to external data outside the model's folder: {location!r}.", here)
        try:
            info = path.stat()
        except OSError as e:
            raise refuse(
                f"needs the file {location!r}, which cannot be opened.",
                "keep that file beside the model.",
            ) from e
        if not stat.S_ISREG(info.st_mode):
            raise refuse(f"points to {location!r}, which is no regular file.", here)
        if length != needed or offset < 0 or offset + length > info.st_size:
            raise refuse(
                f"needs {needed} bytes at {offset} of {location!r}, which has"
                f" {info.st_size}, and claims {length}.",
                "export the model again and copy its data file whole.",
            )
        if length > self.bytes_left:
            raise refuse("exceeds the limit for external data.", f"at most {MAX_FILE_BYTES} bytes.")
        self.bytes_left -= length
        with path.open("rb") as f:
            f.seek(offset)
            raw = f.read(length)
        if len(raw) != length:
            raise refuse(
                f"needs more bytes than {location!r} has.",
                "export the model again and copy its data file whole.",
            )
        return raw


def _need(tensor: onnx.TensorProto, stored: int, needed: int, unit: str, refuse: Refuse) -> None:
    if stored != needed:
        shape = "x".join(map(str, tensor.dims)) or "one value"
        raise refuse(
            f"of {shape} should hold {needed} {unit}, but {stored} are there.",
            "export the model again and copy the whole file.",
        )


def _without_nan(array: NDArray[Any], refuse: Refuse) -> NDArray[Any]:
    if array.dtype.kind == "f" and bool(np.isnan(array).any()):
        raise refuse("holds NaN.", "finite parameters; train and export the model again.")
    return array
