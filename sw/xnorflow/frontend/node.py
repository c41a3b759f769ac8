"""One node of an ONNX file, whose attributes are checked when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy as copy_of
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, helper, numpy_helper

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.tensors import TensorReader

STANDARD = ""
QONNX = "qonnx"
MICROSOFT = "com.microsoft"
DOMAINS = {
    "": STANDARD,
    "ai.onnx": STANDARD,
    "qonnx.custom_op.general": QONNX,
    "finn.custom_op.general": QONNX,
    "onnx.brevitas": QONNX,
    "com.microsoft": MICROSOFT,
}
"""Known operator domains with their family; QONNX's quantisers have three domains."""
QONNX_ONLY = frozenset(
    {"BipolarQuant", "FloatQuant", "IntQuant", "MultiThreshold", "Quant", "Trunc"}
)
"""QONNX operators that some files put into the standard domain, which has no such names."""

MAX_LIST = 64
"""Most entries of an attribute that is a list."""


class Node:
    """A node of the file.

    Parameters
    ----------
    proto : onnx.NodeProto
        The node's message in the file.
    position : int
        Number of the node in the file, which names a node without name and outputs.
    tensors : TensorReader
        Reader of tensor attributes.
    opset : int
        Version of the standard operators.

    Attributes
    ----------
    op, domain : str
        Operator and its domain, as in the file.
    name : str
        Name of the node, or of its first output.
    inputs, outputs : tuple of str
        Names of tensors; empty for optional ones that are absent.
    notes : list of str
        Facts that a user should know about the import of the node, one sentence each.
    """

    def __init__(
        self, proto: onnx.NodeProto, position: int, tensors: TensorReader, opset: int
    ) -> None:
        """Index the attributes; UnsupportedModel for subgraphs and ambiguous attributes."""
        self.op = proto.op_type
        self.opset = opset
        self.domain = proto.domain
        self.inputs = tuple(proto.input)
        self.outputs = tuple(proto.output)
        named = next((o for o in self.outputs if o), f"number {position}")
        self.name = proto.name or named
        self.notes: list[str] = []
        self._tensors = tensors
        self._attributes: dict[str, onnx.AttributeProto] = {}
        for attribute in proto.attribute:
            if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
                raise self.unsupported(
                    "it holds a subgraph (control flow).", "a plain feed-forward network."
                )
            if attribute.ref_attr_name or attribute.name in self._attributes:
                raise self.unsupported(
                    f"attribute {attribute.name!r} is ambiguous: it is given twice, or refers to a"
                    " function's attribute.",
                    "each attribute once, with a value.",
                )
            self._attributes[attribute.name] = attribute

    @property
    def family(self) -> str | None:
        """STANDARD, QONNX, MICROSOFT, or None for an unknown domain."""
        family = DOMAINS.get(self.domain)
        return QONNX if family == STANDARD and self.op in QONNX_ONLY else family

    @property
    def attribute_names(self) -> frozenset[str]:
        """Names of the attributes that are given."""
        return frozenset(self._attributes)

    def unsupported(self, reason: str, hint: str = "") -> UnsupportedModel:
        """Build the error that names this node; `hint` says what would work."""
        return UnsupportedModel(reason, node=self.name, op=self.op, hint=hint)

    def _get(self, name: str, kind: Any) -> onnx.AttributeProto | None:
        attribute = self._attributes.get(name)
        if attribute is not None and attribute.type != kind:
            raise self.unsupported(
                f"attribute {name!r} has the wrong type.",
                f"{AttributeProto.AttributeType.Name(kind)}, as in the operator's specification.",
            )
        return attribute

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        attribute = self._get(name, AttributeProto.INT)
        return default if attribute is None else attribute.i

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return an attribute that is a list of integers; None if it is absent."""
        attribute = self._get(name, AttributeProto.INTS)
        if attribute is None:
            return None
        if len(attribute.ints) > MAX_LIST:
            raise self.unsupported(
                f"attribute {name!r} has {len(attribute.ints)} entries.",
                f"at most {MAX_LIST} entries.",
            )
        return tuple(attribute.ints)

    def whole(self, value: NDArray[Any], what: str) -> tuple[int, ...]:
        """Return the integers of a constant input, such as axes or a shape; `what` names it."""
        if value.dtype.kind not in "iu":
            raise self.unsupported(f"its {what} are of type {value.dtype}.", "integers.")
        if value.size > MAX_LIST:
            raise self.unsupported(f"its {what} are {value.size} numbers.")
        return tuple(int(v) for v in value.ravel())

    def number(self, name: str, default: float) -> float:
        """Return a float attribute, which is a float32 number."""
        attribute = self._get(name, AttributeProto.FLOAT)
        return default if attribute is None else attribute.f

    def array(self, name: str) -> NDArray[Any]:
        """Return the numbers of a list, float32 or int64 [n], which may be long."""
        attribute = self._attributes[name]
        if attribute.type == AttributeProto.FLOATS:
            return np.array(attribute.floats, np.float32)
        if attribute.type == AttributeProto.INTS:
            return np.array(attribute.ints, np.int64)
        raise self.unsupported(f"attribute {name!r} has the wrong type.")

    def text(self, name: str, default: str) -> str:
        """Return a string attribute."""
        attribute = self._get(name, AttributeProto.STRING)
        if attribute is None:
            return default
        return attribute.s.decode("utf-8", errors="replace")

    def tensor(self, name: str) -> NDArray[Any] | None:
        """Return a tensor attribute; None if it is absent."""
        attribute = self._get(name, AttributeProto.TENSOR)
        if attribute is None:
            return None
        return self._tensors.read(attribute.t, node=self.name, op=self.op)

    def with_rows(self) -> Node:
        """Return a two-dimensional copy of a node along a line: its geometry, with one row."""
        copy = copy_of(self)
        copy._attributes = dict(self._attributes)
        rows = {"kernel_shape": 1, "strides": 1, "dilations": 1, "pads": 0, "output_padding": 0}
        for name, row in rows.items():
            values = self.integers(name)
            if values is None:
                continue
            count = 2 if name == "pads" else 1
            if len(values) != count:
                raise self.unsupported(f"its {name} are {values}.", "one axis, as its input has.")
            wide = [part for value in values for part in (row, value)]
            copy._attributes[name] = helper.make_attribute(name, wide)
        return copy

    def changed(self, lists: Mapping[str, tuple[int, ...]], *, without: Iterable[str]) -> Node:
        """Return a copy with other lists of integers as attributes, and without some attributes."""
        copy = copy_of(self)
        copy._attributes = {n: a for n, a in self._attributes.items() if n not in without}
        for name, values in lists.items():
            copy._attributes[name] = helper.make_attribute(name, values)
        return copy

    def standalone(self, inputs: list[str], outputs: list[str]) -> onnx.NodeProto:
        """Build a NodeProto of the node with other tensor names and with checked tensors inline."""
        copy = helper.make_node(self.op, inputs, outputs)
        for name, attribute in self._attributes.items():
            array = None
            if attribute.type in (
                AttributeProto.TENSOR,
                AttributeProto.SPARSE_TENSOR,
                AttributeProto.TENSORS,
                AttributeProto.SPARSE_TENSORS,
            ):
                array = self.tensor(name)
            if array is None:
                copy.attribute.append(attribute)
            else:
                copy.attribute.append(helper.make_attribute(name, numpy_helper.from_array(array)))
        return copy
