"""One node of an ONNX file, its attributes checked when they are read."""

from __future__ import annotations

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
"""Known operator domains; the quantisers of all exporters are the same operators."""
QONNX_ONLY = frozenset(
    {"BipolarQuant", "FloatQuant", "IntQuant", "MultiThreshold", "Quant", "Trunc"}
)
"""Operators of QONNX that some files have in the standard domain, which knows no such names."""

MAX_LIST = 64


class Node:
    """A node with what handlers ask of it.

    Parameters
    ----------
    proto : onnx.NodeProto
        As it stands in the file.
    position : int
        Its place in the file, for a node that has no name.
    tensors : TensorReader
        Reads tensor attributes.
    opset : int
        Version of the standard operators.

    Attributes
    ----------
    notes : list of str
        What a user should know about how the node was read.
    """

    def __init__(
        self, proto: onnx.NodeProto, position: int, tensors: TensorReader, opset: int
    ) -> None:
        """Index the attributes; UnsupportedModel for subgraphs."""
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
                raise self.unsupported(f"attribute {attribute.name!r} is ambiguous.")
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
        """Make the error that names this node."""
        return UnsupportedModel(reason, node=self.name, op=self.op, hint=hint)

    def _get(self, name: str, kind: Any) -> onnx.AttributeProto | None:
        attribute = self._attributes.get(name)
        if attribute is not None and attribute.type != kind:
            raise self.unsupported(f"attribute {name!r} has the wrong type.")
        return attribute

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        attribute = self._get(name, AttributeProto.INT)
        return default if attribute is None else attribute.i

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return a list of integers, None where it is absent."""
        attribute = self._get(name, AttributeProto.INTS)
        if attribute is None:
            return None
        if len(attribute.ints) > MAX_LIST:
            raise self.unsupported(f"attribute {name!r} has {len(attribute.ints)} entries.")
        return tuple(attribute.ints)

    def whole(self, value: NDArray[Any], what: str) -> tuple[int, ...]:
        """Return the numbers of an input that has to be integers, such as axes or a shape."""
        if value.dtype.kind not in "iu":
            raise self.unsupported(f"its {what} are of type {value.dtype}.", "integers.")
        if value.size > MAX_LIST:
            raise self.unsupported(f"its {what} are {value.size} numbers.")
        return tuple(int(v) for v in value.ravel())

    def number(self, name: str, default: float) -> float:
        """Return a float attribute; it is a float32."""
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
        """Return a tensor attribute, None where it is absent."""
        attribute = self._get(name, AttributeProto.TENSOR)
        if attribute is None:
            return None
        return self._tensors.read(attribute.t, node=self.name, op=self.op)

    def with_rows(self) -> Node:
        """Return the node with a kernel, strides, dilations and pads for rows as well."""
        copy = copy_of(self)
        copy._attributes = dict(self._attributes)
        for name, row in (("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("pads", 0)):
            values = self.integers(name)
            if values is None:
                continue
            count = 2 if name == "pads" else 1
            if len(values) != count:
                raise self.unsupported(f"its {name} are {values}.", "one axis, as its input has.")
            wide = [part for value in values for part in (row, value)]
            copy._attributes[name] = helper.make_attribute(name, wide)
        return copy

    def standalone(self, inputs: list[str], outputs: list[str]) -> onnx.NodeProto:
        """Copy the node with other tensor names; its tensor attributes are checked and inline."""
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
