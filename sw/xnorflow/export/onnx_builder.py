"""Writes an ONNX graph node by node, and follows the shape of the one tensor that runs through it.

Tensors are [frames, channels, rows, columns] in float32, or [frames, channels] where there is one
pixel and a dense layer asked for it. The input is [frames, rows, columns, channels].
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from xnorflow.ir import BIPOLAR, TERNARY, UNIPOLAR, Alphabet, Window
from xnorflow.version import __version__

QONNX = "qonnx.custom_op.general"
OPSET = 17
IR_VERSION = 8


def datatype(alphabet: Alphabet) -> str:
    """Return QONNX's name of the type that holds an alphabet."""
    named = {BIPOLAR: "BIPOLAR", UNIPOLAR: "BINARY", TERNARY: "TERNARY"}
    if alphabet in named:
        return named[alphabet]
    if alphabet.lo >= 0:
        return f"UINT{max(1, alphabet.hi.bit_length())}"
    return f"INT{1 + max((-alphabet.lo - 1).bit_length(), max(0, alphabet.hi).bit_length())}"


class OnnxBuilder:
    """A graph under construction.

    Parameters
    ----------
    name : str
        Of the network.
    shape : tuple of int
        Rows, columns and channels of a frame.
    samples : int
        ONNX's element type of the input ``x``.

    Attributes
    ----------
    at : str
        Name of the tensor that was made last.
    shape : tuple of int
        Its rows, columns and channels.
    flat : bool
        Whether it is [frames, channels].
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

    def add(self, op: str, name: str, *others: str, domain: str = "", **attributes: Any) -> str:
        """Append a node that reads the last tensor, then `others`; its output becomes the last.

        An empty tensor name in `others` leaves an optional input out; "@" stands for the last
        tensor where that is not the first input.
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
        """Keep a constant; give its name."""
        made = self._unique(name)
        self._stored[made] = numpy_helper.from_array(np.ascontiguousarray(array), made)
        if alphabet is not None:
            self._types[made] = datatype(alphabet)
        return made

    def _unique(self, name: str) -> str:
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}_{count}" if count or name == "x" else name

    def mark(self, shape: tuple[int, int, int], alphabet: Alphabet | None = None) -> None:
        """Note the shape of the last tensor, and the type that its values fit."""
        self.shape = shape
        height, width, channels = shape
        dims: list[str | int | None] = ["frames", channels]
        if not self.flat:
            dims += [height, width]
        self._values.append(helper.make_tensor_value_info(self.at, TensorProto.FLOAT, dims))
        if alphabet is not None:
            self._types[self.at] = datatype(alphabet)

    def annotate(self, tensor: str, alphabet: Alphabet) -> None:
        """Note the type that a tensor's values fit."""
        self._types[tensor] = datatype(alphabet)

    def per_channel(self, name: str, values: NDArray[Any], dtype: type = np.float32) -> str:
        """Keep one value for all, or one per channel, so that it broadcasts over a map."""
        values = np.asarray(values, dtype)
        return self.store(name, values if self.flat or not values.ndim else values[:, None, None])

    def to_flat(self) -> None:
        """Read a map of one pixel as [frames, channels]."""
        if not self.flat:
            assert self.shape[:2] == (1, 1), self.shape
            self.add("Flatten", f"{self.at}_flat", axis=1)
            self.flat = True

    def to_map(self) -> None:
        """Read [frames, channels] as a map of one pixel."""
        if self.flat:
            target = np.array([0, self.shape[2], 1, 1], np.int64)
            self.add("Reshape", f"{self.at}_map", self.store("pixel", target))
            self.flat = False

    def flatten(self, name: str) -> None:
        """Read the frame, in row, column, channel order, as channels."""
        height, width, channels = self.shape
        if not self.flat:
            if height * width > 1 and channels > 1:
                self.add("Transpose", f"{name}_channels_last", perm=[0, 2, 3, 1])
            self.add("Flatten", name, axis=1)
        self.flat = True

    def pad_sum(self, name: str, window: Window, value: float) -> tuple[int, ...]:
        """Pad with a value, unless it is 0; give the padding that is left to the next node."""
        return self._pad(name, window, value) if value else window.pads

    def pad_pool(self, name: str, window: Window, value: float) -> tuple[int, ...]:
        """Pad with a value where a pool may not; give the padding that is left to the next node.

        A pool's own padding has to be smaller than its kernel.
        """
        kernel = window.kernel * 2
        small = all(pad < size for pad, size in zip(window.pads, kernel, strict=True))
        return window.pads if small else self._pad(name, window, value)

    def _pad(self, name: str, window: Window, value: float) -> tuple[int, ...]:
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
        outputs: Sequence[tuple[str, int, int]],
        *,
        about: dict[str, str],
        classes: Sequence[str],
    ) -> onnx.ModelProto:
        """Finish the model.

        Parameters
        ----------
        outputs : sequence of (str, int, int)
            Name, ONNX element type and number of features of each output [frames, features].
        about : dict of str to str
            Metadata.
        classes : sequence of str
            Their names, empty where unknown.
        """
        given = helper.make_tensor_value_info("x", self.samples, ["frames", *self._frame])
        made = [helper.make_tensor_value_info(n, kind, ["frames", k]) for n, kind, k in outputs]
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
