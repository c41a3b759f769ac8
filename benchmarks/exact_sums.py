"""A model file executed node by node with each sum taken exactly, and rounded once to float32.

Where a network's notes say that its float32 sums hang on the order in which they are taken, this is
what decides whether a difference is that and nothing else. Inputs and weights of a sum that are
whole multiples of one number, but for their rounding, are taken as such multiples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from xnorflow.evidence.executor import Executor, Tensors

Doubles = NDArray[np.float64]
SUMS = frozenset(
    {"Conv", "MatMul", "Gemm", "AveragePool", "GlobalAveragePool", "ReduceSum", "ReduceMean"}
)
FUNCTIONS = frozenset(
    {
        *("Sigmoid", "Tanh", "Erf", "Exp", "Log", "Pow", "Softplus", "Elu", "Celu", "Selu"),
        *("Gelu", "Mish"),
    }
)
"""Functions of which every executor has an approximation of its own."""
ONE = np.array(1.0)
MOST = 4096
"""Largest multiple that is looked for."""


@dataclass(frozen=True, eq=False)
class Multiples:
    """Values as integers times a unit, whose sums are exact; else as they are, times 1.

    Parameters
    ----------
    values : float64 array
    unit : float64 array, [] or [outputs]
        Of weights there may be one per output.
    whole : bool
        The values are integers.
    """

    values: Doubles
    unit: Doubles
    whole: bool


def unit_of(values: Doubles, *, weights: bool = False, float_unit: bool = True) -> float | None:
    """Return what values are whole multiples of, but for rounding; None where there is nothing.

    Parameters
    ----------
    values : float64 array
    weights : bool
        The unit is a float32.
    float_unit : bool
        A float32 is preferred, where several numbers give the values.
    """
    v = np.unique(np.abs(values))
    v = v[v > 0]
    if not len(v):
        return 1.0
    top = float(v[-1])
    for most in range(1, MOST + 1):
        unit = top / most
        if v[0] < unit / 2:
            continue
        k = np.rint(v / unit)
        if (np.abs(k * unit - v) > 2.0**-22 * top).any():
            continue
        # The file's own scale gives all of its values; that of weights is a float32 in any case.
        near = np.float32(unit)
        scales = [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))]
        if not float_unit and not weights and ((k * unit).astype(np.float32) == v).all():
            return unit
        own = (float(s) for s in scales if (k.astype(np.float32) * s == v.astype(np.float32)).all())
        return next(own, float(near) if weights or float_unit else unit)
    return None


class ExactSums(Executor):
    """A model file whose sums are exact.

    Parameters
    ----------
    path : path
        As for `Executor`.
    float_unit : bool
        Which unit is preferred where the values of a tensor are multiples of several numbers, all
        of them within their rounding.
    """

    def __init__(self, path: str | Path, *, float_unit: bool = True) -> None:
        """Read the file."""
        self._float_unit = float_unit
        self._exact: dict[str, Multiples] = {}
        self._seen: dict[str, set[float]] = {}
        self._learned: dict[str, list[float]] = {}
        super().__init__(path)

    def frames(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the scores [N, K] of frames in the file's own shape.

        What number a tensor's values are multiples of is learned from all frames.
        """
        for frame in x:
            self._exact.clear()
            self.tensors(frame[None])
        self._learned = {name: list(values) for name, values in self._seen.items()}
        rows = []
        for frame in x:
            self._exact.clear()
            rows.append(np.asarray(self.tensors(frame[None])[self.scores]).reshape(-1))
        return np.stack(rows)

    def _step(self, index: int, known: Mapping[str, NDArray[Any]]) -> Tensors:
        node = self.nodes[index]
        given = [known[name] for name in node.input if name]
        floats = bool(given) and all(v.dtype == np.float32 for v in given[:1])
        if node.op_type in SUMS and floats:
            return {node.output[0]: self._sum(node, known)}
        if node.op_type in FUNCTIONS and floats:
            made = self._double(node, [v.astype(np.float64) for v in given])
            return {node.output[0]: made.astype(np.float32)}
        return super()._step(index, known)

    def _operand(self, name: str, known: Mapping[str, NDArray[Any]]) -> Multiples:
        """Return what a sum is of: as learned from all frames, or the sum of a sum."""
        if name in self._exact:
            return self._exact[name]
        value = known[name].astype(np.float64)
        self._seen.setdefault(name, set()).update(np.unique(value).tolist())
        seen = np.array(self._learned.get(name, np.unique(value)))
        unit = unit_of(seen, float_unit=self._float_unit)
        if unit is None:
            return Multiples(value, ONE, whole=False)
        return Multiples(np.rint(value / unit), np.array(unit), whole=True)

    def _weights(self, value: NDArray[Any], axis: int) -> Multiples:
        """Return weights as multiples of one number, or of one for each output."""
        value = value.astype(np.float64)
        unit = unit_of(value, weights=True)
        if unit is not None:
            return Multiples(np.rint(value / unit), np.array(unit), whole=True)
        rows = np.moveaxis(value, axis, 0)
        units = [unit_of(row, weights=True) for row in rows]
        if any(u is None for u in units):
            return Multiples(value, ONE, whole=False)
        made = np.array(units, np.float64)
        codes = np.rint(rows / made.reshape(-1, *[1] * (rows.ndim - 1)))
        return Multiples(np.moveaxis(codes, 0, axis), made, whole=True)

    def _sum(self, node: onnx.NodeProto, known: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        x = self._operand(node.input[0], known)
        given: list[NDArray[Any]] = [x.values]
        unit, whole, bias = x.unit, x.whole, None
        channels = 1 if node.op_type == "Conv" else -1
        match node.op_type:
            case "Conv" | "MatMul" | "Gemm":
                first = node.op_type == "Conv" or attributes.get("transB")
                w = self._weights(known[node.input[1]], 0 if first else -1)
                given.append(w.values)
                unit, whole = unit * w.unit, whole and w.whole
                bias = known[node.input[2]] if len(node.input) > 2 else None
                del plain.input[2:]
            case "ReduceSum" | "ReduceMean":
                given += [known[name] for name in node.input[1:]]
        total = self._double(plain, given)
        count: Any = 1.0
        if node.op_type in ("AveragePool", "GlobalAveragePool", "ReduceMean"):
            count = self._count(node, attributes, x.values, total)
            total = np.rint(total * count) if whole else total * count
        if unit.ndim:
            shape = [1] * total.ndim
            shape[channels] = -1
            unit = unit.reshape(shape)
        # A mean's sum is rounded, then the quotient.
        made = (total * unit).astype(np.float32) / np.asarray(count, np.float32)
        if bias is not None:
            beta = np.float32(attributes.get("beta", 1.0))
            around = (-1, *[1] * (made.ndim - 2)) if node.op_type == "Conv" else bias.shape
            made = made + (bias * beta if beta != 1 else bias).reshape(around)
        elif unit.ndim or np.ndim(count) or count != 1:
            self._exact.pop(node.output[0], None)
        else:
            self._exact[node.output[0]] = Multiples(total, unit, whole)
        return np.asarray(made, np.float32)

    def _count(
        self, node: onnx.NodeProto, attributes: dict[str, Any], x: Doubles, total: Doubles
    ) -> Any:
        """Return how many values each mean is of, as numbers shaped like the result."""
        if node.op_type != "AveragePool":
            return float(x.size // total.size)
        if attributes.get("count_include_pad") or not any(attributes.get("pads", [0])):
            return float(np.prod(attributes["kernel_shape"]))
        zeros = onnx.NodeProto()
        zeros.CopyFrom(node)
        zeros.attribute.append(helper.make_attribute("count_include_pad", 1))
        share = self._double(zeros, [np.ones_like(x)])
        return np.rint(share * np.prod(attributes["kernel_shape"]))

    def _double(self, node: onnx.NodeProto, values: list[NDArray[Any]]) -> Doubles:
        """Run a node in double precision by its definition in ONNX."""
        names = [name for name in node.input if name]
        given = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for name, v in dict(zip(names, values, strict=True)).items()
        ]
        kind = onnx.TensorProto.DOUBLE
        made = [helper.make_tensor_value_info(node.output[0], kind, None)]
        graph = helper.make_graph([node], "node", given, made)
        opsets = [o for o in self._opsets if o.domain == ""]
        model = helper.make_model(graph, opset_imports=opsets)
        (result,) = ReferenceEvaluator(model).run(None, dict(zip(names, values, strict=True)))
        return np.asarray(result, np.float64)
