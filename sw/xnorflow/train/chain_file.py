"""ONNX files as the recipes write them: a chain of layers, and ways beside it that join it again.

All tensors are float32. The input is one frame of raw samples, [1, channels, rows, columns].
Weights are stored as whole numbers, and what scales their sums is a node of its own, so that every
executor gets exact sums.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""Operator set of the files."""
IR_VERSION = 8
"""ONNX IR version of the files."""


class ChainFile:
    """A file under construction.

    Parameters
    ----------
    name : str
        Name of the network.
    frame : tuple of int
        Channels, rows and columns of the input.

    Attributes
    ----------
    flat : bool
        Whether the last tensor is [1, features] rather than [1, channels, rows, columns].
    at : str
        Name of the last tensor. What sets it back to an earlier map starts a second way from there,
        which `join` brings together with the first.
    """

    def __init__(self, name: str, frame: tuple[int, int, int]) -> None:
        """Start with the input ``x``."""
        self.name, self.frame, self.flat = name, frame, False
        self.at = "x"
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.TensorProto] = []

    def add(self, op: str, *constants: ArrayLike | None, first: int = 0, **attributes: Any) -> None:
        """Append a node that reads the last tensor and constants.

        Parameters
        ----------
        op : str
            Operator of the standard domain.
        *constants : arrays or None
            Its other inputs; None omits an optional one. Integers are stored as int64, all other
            numbers as float32.
        first : int
            Number of constants that stand before the last tensor.
        **attributes
            Attributes of the node.
        """
        made = f"{op.lower()}_{len(self._nodes)}"
        names = [
            "" if value is None else self._store(f"{made}_{i}", np.asarray(value))
            for i, value in enumerate(constants)
        ]
        inputs = [*names[:first], self.at, *names[first:]]
        self._nodes.append(helper.make_node(op, inputs, [made], name=made, **attributes))
        self.at = made

    def join(self, op: str, *others: str, **attributes: Any) -> None:
        """Append a node that reads the last tensor and others, by their names."""
        made = f"{op.lower()}_{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(op, [self.at, *others], [made], name=made, **attributes)
        )
        self.at = made

    def dense(self, weights: NDArray[Any], bias: NDArray[Any] | None = None) -> None:
        """Append a dense layer with weights [outputs, inputs] and a bias [outputs]."""
        self.flatten()
        others = [_floats(weights)] + ([] if bias is None else [_floats(bias)])
        self.add("Gemm", *others, transB=1)

    def convolution(
        self, weights: NDArray[Any], pad: int = 0, groups: int = 1, stride: int = 1
    ) -> None:
        """Append a convolution with weights [outputs, inputs per group, rows, columns].

        It is padded with 0 on all sides.
        """
        self.add("Conv", _floats(weights), pads=[pad] * 4, group=groups, strides=[stride] * 2)

    def max_pool(self, size: int, stride: int | None = None) -> None:
        """Append a max-pool of size x size pixels, which leaves out an incomplete last row.

        Windows stand side by side unless there is a stride.
        """
        self.add("MaxPool", kernel_shape=[size] * 2, strides=[stride or size] * 2)

    def average_pool(self, size: int, stride: int, pad: int = 0) -> None:
        """Append means over size x size pixels; pixels of the padding count as 0."""
        self.add(
            "AveragePool",
            kernel_shape=[size] * 2,
            strides=[stride] * 2,
            pads=[pad] * 4,
            count_include_pad=1,
        )

    def pad(self, size: int, value: float) -> None:
        """Append a border of so many pixels of one value."""
        ends = [0, 0, size, size]
        self.add("Pad", np.array(ends * 2, np.int64), np.float32(value))

    def batch_norm(
        self, mean: ArrayLike, variance: ArrayLike, gamma: ArrayLike, beta: ArrayLike, eps: float
    ) -> None:
        """Append a batch normalisation with its running mean and variance, all [channels]."""
        self.add("BatchNormalization", *map(_floats, (gamma, beta, mean, variance)), epsilon=eps)

    def per_channel(self, op: str, values: ArrayLike) -> None:
        """Append Add, Sub or Mul with one number or one per channel, [channels]."""
        array = _floats(values)
        self.add(op, array if self.flat or not array.ndim else array[:, None, None])

    def sign(self) -> None:
        """Append the sign: -1 below 0, +1 otherwise."""
        self.compare(0.0, 1.0, -1.0)

    def compare(self, bound: ArrayLike, then: float, otherwise: float) -> None:
        """Append a choice: one value where the last tensor is at least `bound`, or the other."""
        self.add("GreaterOrEqual", _floats(bound))
        truth = self.at
        made = f"where_{len(self._nodes)}"
        names = [self._store(f"{made}_{i}", _floats(v)) for i, v in enumerate((then, otherwise))]
        self._nodes.append(helper.make_node("Where", [truth, *names], [made], name=made))
        self.at = made

    def stepped(self, factor: float, least: float, most: float) -> None:
        """Append a rounding of the last tensor times `factor` to whole numbers from least to most.

        One half is rounded to the even neighbour.
        """
        if factor != 1:
            self.per_channel("Mul", factor)
        self.add("Round")
        self.add("Clip", np.float32(least), np.float32(most))

    def flatten(self) -> None:
        """Append a flattening to [1, features], unless the last tensor is flat."""
        if not self.flat:
            self.add("Flatten", axis=1)
        self.flat = True

    def reshape(self, *shape: int) -> None:
        """Append a reshape; one number makes a flat tensor [1, features]."""
        self.add("Reshape", np.array([1, *shape], np.int64))
        self.flat = len(shape) == 1

    def save(self, path: Path, outputs: int, about: str) -> None:
        """Write the file.

        Parameters
        ----------
        path : Path
            File to write.
        outputs : int
            Number of scores.
        about : str
            Text on where the network comes from.
        """
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *self.frame])
        made = helper.make_tensor_value_info(self.at, TensorProto.FLOAT, [1, outputs])
        graph = helper.make_graph(self._nodes, self.name, [given], [made], self._stored)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="xnorflow",
        )
        model.doc_string = about
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))

    def _store(self, name: str, array: NDArray[Any]) -> str:
        if array.dtype != np.int64:
            array = array.astype(np.float32)
        self._stored.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _floats(values: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)
