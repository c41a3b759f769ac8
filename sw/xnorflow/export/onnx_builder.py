"""A builder of ONNX graphs, node by node.

It tracks the name and the shape of the last tensor, and can go back to another. Tensors are float32
[frames, channels, rows, columns], or *flat*, [frames, channels], for maps of one pixel after a
dense layer or a flattening. The input is [frames, rows, columns, channels].
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from xnorflow.ir import BIPOLAR, TERNARY, UNIPOLAR, Alphabet, Window
from xnorflow.version import __version__

QONNX = "qonnx.custom_op.general"
OPSET = 17
"""Operator set of the files."""
IR_VERSION = 8
"""ONNX IR version of the files."""


def datatype(alphabet: Alphabet) -> str:
    """Return the QONNX name of the narrowest datatype that holds an alphabet."""
    named = {BIPOLAR: "BIPOLAR", UNIPOLAR: "BINARY", TERNARY: "TERNARY"}
    if alphabet in named:
        return named[alphabet]
    if alphabet.lo >= 0:
        return f"UINT{max(1, alphabet.hi.bit_length())}"
    return f"INT{1 + max((-alphabet.lo - 1).bit_length(), max(0, alphabet.hi).bit_length())}"


@dataclass(frozen=True)
class Place:
    """A tensor that a builder can go back to.

    Parameters
    ----------
    at : str
        Its name.
    shape : tuple of int
        Rows, columns and channels.
    flat : bool
        Whether it is [frames, channels].
    """

    at: str
    shape: tuple[int, int, int]
    flat: bool


class OnnxBuilder:
    """A graph under construction.

    Parameters
    ----------
    name : str
        Name of the network.
    shape : tuple of int
        Rows, columns and channels of a frame.
    samples : int
        ONNX's element type of the input ``x``.

    Attributes
    ----------
    at : str
        Name of the last tensor; it may be set to continue from another.
    shape : tuple of int
        Rows, columns and channels of the last tensor.
    flat : bool
        Whether the last tensor is [frames, channels].
    """

    def __init__(self, name: str, shape: tuple[int, int, int], samples: int) -> None:
        """Start with the input, brought to channels-first order."""
        self.samples = samples
        self.name, self.shape, self.flat = name, shape, False
        self._frame = shape
        self._nodes: list[onnx.NodeProto] = []
        self._stored: dict[str, onnx.TensorProto] = {}
        self._types: dict[str, str] = {}
        self._values: list[onnx.ValueInfoProto] = []
        self._names: dict[str, int] = {}
        self.at = "x"
        height, width, channels = shape
        if height * width > 1 and channels > 1:
            self.add("Transpose", "channels_first", perm=[0, 3, 1, 2])
        else:
            target = np.array([0, channels, height, width], np.int64)
            self.add("Reshape", "channels_first", self.store("frame", target))

    @property
    def place(self) -> Place:
        """The last tensor."""
        return Place(self.at, self.shape, self.flat)

    def go(self, place: Place) -> None:
        """Continue from another tensor."""
        self.at, self.shape, self.flat = place.at, place.shape, place.flat

    def reserve(self, name: str) -> str:
        """Return a name for an output, which no node gets: `name`, or one like it if taken."""
        return self._unique(name)

    def finish(self, op: str, name: str, *others: str, **attributes: Any) -> None:
        """Append the node of an output with a name from `reserve`."""
        self._nodes.append(
            helper.make_node(op, [self.at, *others], [name], name=name, **attributes)
        )
        self.at = name

    def add(self, op: str, name: str, *others: str, domain: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its output, which becomes the last tensor.

        Parameters
        ----------
        op : str
            Operator.
        name : str
            Wanted name of the node and its output; a number is added if it is taken.
        *others : str
            Names of the inputs after the first, which is the last tensor. An empty name omits an
            optional input. If "@" is among them, `others` are all inputs, and "@" is the last
            tensor.
        domain : str
            Domain of the operator.
        **attributes
            Attributes of the node.
        """
        inputs = [self.at, *others]
        if "@" in others:
            inputs = [self.at if name == "@" else name for name in others]
        made = self._unique(name)
        self._nodes.append(
            helper.make_node(op, inputs, [made], name=made, domain=domain, **attributes)
        )
        self.at = made
        return made

    def store(self, name: str, array: NDArray[Any], alphabet: Alphabet | None = None) -> str:
        """Store a constant, annotated with the type of `alphabet`, and return its name."""
        made = self._unique(name)
        self._stored[made] = numpy_helper.from_array(np.ascontiguousarray(array), made)
        if alphabet is not None:
            self._types[made] = datatype(alphabet)
        return made

    def _unique(self, name: str) -> str:
        """Return `name`, with a number if it is taken."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}_{count}" if count or name == "x" else name

    def mark(
        self,
        shape: tuple[int, int, int],
        alphabet: Alphabet | None = None,
        kind: int = TensorProto.FLOAT,
    ) -> None:
        """Record the shape and the ONNX element type of the last tensor.

        It is annotated with the type of `alphabet`.
        """
        self.shape = shape
        height, width, channels = shape
        dims: list[str | int | None] = ["frames", channels]
        if not self.flat:
            dims += [height, width]
        self._values.append(helper.make_tensor_value_info(self.at, kind, dims))
        if alphabet is not None:
            self._types[self.at] = datatype(alphabet)

    def annotate(self, tensor: str, alphabet: Alphabet) -> None:
        """Note the type that a tensor's values fit."""
        self._types[tensor] = datatype(alphabet)

    def per_channel(self, name: str, values: NDArray[Any], dtype: type = np.float32) -> str:
        """Store a scalar or [channels] in a shape that broadcasts over the last tensor."""
        values = np.asarray(values, dtype)
        return self.store(name, values if self.flat or not values.ndim else values[:, None, None])

    def to_flat(self) -> None:
        """Reshape a map of one pixel to [frames, channels], if it is not yet."""
        if not self.flat:
            assert self.shape[:2] == (1, 1), self.shape
            self.add("Flatten", f"{self.at}_flat", axis=1)
            self.flat = True

    def to_map(self) -> None:
        """Reshape [frames, channels] to a map of one pixel, if it is not yet."""
        if self.flat:
            target = np.array([0, self.shape[2], 1, 1], np.int64)
            self.add("Reshape", f"{self.at}_map", self.store("pixel", target))
            self.flat = False

    def flatten(self, name: str) -> None:
        """Reshape the frame, in row, column, channel order, to [frames, features]."""
        height, width, channels = self.shape
        if not self.flat:
            if height * width > 1 and channels > 1:
                self.add("Transpose", f"{name}_channels_last", perm=[0, 2, 3, 1])
            self.add("Flatten", name, axis=1)
        self.flat = True

    def pad_sum(self, name: str, window: Window, value: float) -> tuple[int, ...]:
        """Append padding with a value, unless it is 0; return the pads of the next node.

        A convolution pads with 0 itself.
        """
        return self.pad(name, window, value) if value else window.pads

    def pad_pool(self, name: str, window: Window, value: float) -> tuple[int, ...]:
        """Append padding with a value if a pool cannot pad itself; return the pads of the pool.

        The pads of an ONNX pool have to be smaller than its kernel.
        """
        kernel = window.kernel * 2
        small = all(pad < size for pad, size in zip(window.pads, kernel, strict=True))
        return window.pads if small else self.pad(name, window, value)

    def pad(self, name: str, window: Window, value: float) -> tuple[int, ...]:
        """Append a Pad node, and return the pads that are left: none."""
        top, left, bottom, right = window.pads
        amounts = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        self.add(
            "Pad",
            f"{name}_padded",
            self.store(f"{name}_pads", amounts),
            self.store(f"{name}_pad_value", np.array(value, np.float32)),
        )
        return (0, 0, 0, 0)

    def model(
        self,
        outputs: Sequence[tuple[str, int, Sequence[int]]],
        *,
        about: dict[str, str],
        classes: Sequence[str],
    ) -> onnx.ModelProto:
        """Build the model of the graph.

        Parameters
        ----------
        outputs : sequence of (str, int, sequence of int)
            Name, ONNX element type and shape, without the axis of frames, of each output.
        about : dict of str to str
            Metadata of the model.
        classes : sequence of str
            Names of the classes, which go into the doc_string; empty if unknown.
        """
        given = helper.make_tensor_value_info("x", self.samples, ["frames", *self._frame])
        made = [
            helper.make_tensor_value_info(name, kind, ["frames", *shape])
            for name, kind, shape in outputs
        ]
        graph = helper.make_graph(
            self._nodes, self.name, [given], made, list(self._stored.values())
        )
        known = {name for name, _, _ in outputs}
        graph.value_info.extend(v for v in self._values if v.name not in known)
        for tensor, kind in self._types.items():
            annotation = graph.quantization_annotation.add(tensor_name=tensor)
            annotation.quant_parameter_tensor_names.add(key="finn_datatype", value=kind)
        domains = [helper.make_opsetid("", OPSET)]
        if any(node.domain == QONNX for node in self._nodes):
            domains.append(helper.make_opsetid(QONNX, 1))
        model = helper.make_model(
            graph,
            opset_imports=domains,
            ir_version=IR_VERSION,
            producer_name="xnorflow",
            producer_version=__version__,
        )
        if classes:
            model.doc_string = json.dumps({"classes": list(classes)})
        helper.set_model_props(model, about)
        return model
