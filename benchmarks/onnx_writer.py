"""Writes ONNX files node by node, each operator in the form that its operator set has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
DOMAINS = (QONNX, "onnx.brevitas", "finn.custom_op.general")
"""Names of one and the same operators; some exporters write each."""
FLOAT, INT32, INT64, BOOL = (
    int(n) for n in (TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL)
)


def f32(values: ArrayLike) -> NDArray[np.float32]:
    """Return values as float32."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Value:
    """A tensor of the network under construction.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Without the batch, channels first: (C, H, W), (C, L) or (F,).
    size : float
        Magnitude that is usual.
    few : bool
        Has so few values that a layer may read it.
    amplitude : float
        Values are -amplitude and +amplitude; 0 where they are others.
    whole : bool
        Values are integers.
    """

    name: str
    shape: tuple[int, ...]
    size: float
    few: bool = False
    amplitude: float = 0.0
    whole: bool = False

    @property
    def features(self) -> int:
        """Number of features."""
        return int(np.prod(self.shape))


class Writer:
    """A file under construction: call it with an operator and its inputs.

    Parameters
    ----------
    rng : Generator
        Draws how a thing is written where there are several ways.
    opset : int
        Operator set of the standard domain.
    domain : str
        That of the quantisers.
    twin : bool
        Leave out what straight-through estimators add and subtract again.
    """

    def __init__(
        self, rng: np.random.Generator, opset: int, domain: str = QONNX, *, twin: bool = False
    ) -> None:
        self.rng, self.opset, self.domain, self.twin = rng, opset, domain, twin
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.domains = {"": opset}
        self.tags: set[str] = set()

    def chance(self, percent: int) -> bool:
        """Draw true in so many of a hundred cases."""
        return bool(self.rng.integers(0, 100) < percent)

    def pick(self, *options: Any) -> Any:
        """Draw one of the options."""
        return options[int(self.rng.integers(0, len(options)))]

    def __call__(
        self, op: str, *inputs: Any, domain: str = "", outputs: int = 1, **attributes: Any
    ) -> str:
        """Write a node; inputs that are no names become constants. Returns its first output."""
        names = [x if isinstance(x, str) else self.store(x) for x in inputs]
        made = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(
                op, names, made, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes
            )
        )
        self.domains.setdefault(domain, 1)
        self.tags.add(op)
        return made[0]

    def own(self, op: str, *inputs: Any, **attributes: Any) -> str:
        """Write a node of the quantisers' domain."""
        return self(op, *inputs, domain=self.domain, **attributes)

    def store(self, array: Any) -> str:
        """Write a constant, as an initializer or a Constant node."""
        tensor = numpy_helper.from_array(np.asarray(array))
        if self.chance(15):
            return self("Constant", value=tensor)
        tensor.name = f"c{len(self.initializers)}"
        self.initializers.append(tensor)
        return tensor.name

    # Operators that were written otherwise in older sets.

    def clip(self, x: str, low: float, high: float) -> str:
        """Write a Clip."""
        if self.opset < 11:
            return self("Clip", x, min=float(low), max=float(high))
        return self("Clip", x, f32(low), f32(high))

    def axes(self, op: str, x: str, axes: Sequence[int], since: int, **attributes: Any) -> str:
        """Write an operator whose axes are an input since that set, and an attribute before."""
        if self.opset < since:
            return self(op, x, axes=list(axes), **attributes)
        return self(op, x, np.array(axes, np.int64), **attributes)

    def reaches(self, x: str, y: Any) -> str:
        """Write x >= y."""
        if self.opset < 12 or self.chance(20):
            return self("Not", self("Less", x, y))
        return self("GreaterOrEqual", x, y)

    def truth(self, x: str) -> str:
        """Write a truth as the floats 0 and 1."""
        return self("Cast", x, to=FLOAT)

    def where(self, truth: str, yes: ArrayLike, no: ArrayLike) -> str:
        """Write a choice between two numbers."""
        if self.opset < 9:
            t = self.truth(truth)
            return self("Add", self("Mul", t, f32(yes) - f32(no)), f32(no))
        return self("Where", truth, f32(yes), f32(no))

    def sign(self, x: str) -> str:
        """Write the sign, 0 for 0."""
        if self.opset < 9:
            up, down = (self.truth(self(op, x, f32(0))) for op in ("Greater", "Less"))
            return self("Sub", up, down)
        return self("Sign", x)

    def round(self, x: str) -> str:
        """Write a rounding to integers."""
        if self.opset < 11:
            return self("Floor", self("Add", x, f32(0.5)))
        return self("Round", x)

    def pad(self, x: str, pads: Sequence[int], value: float) -> str:
        """Write a Pad of constant value."""
        if self.opset < 11:
            return self("Pad", x, pads=list(pads), value=float(value))
        return self("Pad", x, np.array(pads, np.int64), f32(value))

    def slice(self, x: str, axis: int, start: int, end: int) -> str:
        """Write a Slice of one axis."""
        if self.opset < 10:
            return self("Slice", x, axes=[axis], starts=[start], ends=[end])
        return self("Slice", x, np.array([start]), np.array([end]), np.array([axis]))

    def per_channel(self, x: Value, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return a value per channel in one of the shapes that are broadcast along `x`."""
        rest = (1,) * (len(x.shape) - 1)
        lead = (1,) if self.chance(30) else ()
        return f32(values).reshape(*lead, -1, *rest)

    def model(
        self, shape: Sequence[int], output: str, kind: int = FLOAT, datatype: str = ""
    ) -> onnx.ModelProto:
        """Return the file.

        Parameters
        ----------
        shape : sequence of int
            Of the input `x`, without the batch.
        output : str
            Name of the network's output.
        kind : int
            Element type of the input.
        datatype : str
            What FINN's annotation says of the input, if anything.
        """
        graph = helper.make_graph(
            self.nodes,
            "drawn",
            [helper.make_tensor_value_info("x", kind, [1, *shape])],
            [onnx.ValueInfoProto(name=output)],
            self.initializers,
        )
        if datatype:
            note = onnx.TensorAnnotation(tensor_name="x")
            note.quant_parameter_tensor_names.add(key="finn_datatype", value=datatype)
            graph.quantization_annotation.append(note)
        opsets = [helper.make_opsetid(d, v) for d, v in self.domains.items()]
        version = 8 if self.opset < 19 else 10
        return helper.make_model(graph, opset_imports=opsets, ir_version=version)
