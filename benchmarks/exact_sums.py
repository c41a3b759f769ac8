"""A model file executed node by node with each sum taken exactly, and rounded once to float32.

Where a network's notes say that its float32 sums hang on the order in which they are taken, this is
what decides whether a difference is that and nothing else. Inputs and weights of a sum that are
whole multiples of one number, but for their rounding, are taken as such multiples.
"""

from __future__ import annotations

from collections.abc import Mapping
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
NOTHING = np.zeros(0)
MOST = 4096
"""Largest multiple that is looked for."""


def snapped(x: NDArray[Any], others: Doubles = NOTHING, *, weights: bool = False) -> Doubles | None:
    """Return values as exact multiples of one number, None where they are none but for rounding.

    Parameters
    ----------
    x : array
    others : float64 array
        Values that the same tensor has in other frames.
    weights : bool
        The number is a float32.
    """
    x = x.astype(np.float64)
    v = np.unique(np.abs(np.concatenate([x.ravel(), others])))
    v = v[v > 0]
    if len(v) < 2:
        return x
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
        own = (float(s) for s in scales if (k.astype(np.float32) * s == v.astype(np.float32)).all())
        return np.asarray(
            np.rint(x / unit) * next(own, float(near) if weights else unit), np.float64
        )
    return None


class ExactSums(Executor):
    """A model file whose sums are exact.

    Parameters
    ----------
    path : path
        As for `Executor`.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the file."""
        self._exact: dict[str, Doubles] = {}
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

    def _operand(self, name: str, known: Mapping[str, NDArray[Any]], axis: int) -> Doubles:
        """Return an input of a sum; a constant's multiples are of one number per channel."""
        if name in self._exact:
            return self._exact[name]
        value = known[name].astype(np.float64)
        weights = name in self._constants
        if not weights:
            self._seen.setdefault(name, set()).update(np.unique(value).tolist())
        known_values = np.array(self._learned.get(name, []))
        made = snapped(value, known_values, weights=weights)
        if made is not None or not weights or value.ndim < 2:
            return value if made is None else made
        rows = []
        for row in np.moveaxis(value, axis, 0):
            made = snapped(row, weights=True)
            rows.append(row if made is None else made)
        return np.moveaxis(np.stack(rows), 0, axis)

    def _sum(self, node: onnx.NodeProto, known: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        axis = 0
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and not attributes.get("transB")):
            axis = -1
        given = [self._operand(node.input[0], known, 0)]
        bias = None
        match node.op_type:
            case "Conv" | "MatMul" | "Gemm":
                given.append(self._operand(node.input[1], known, axis))
                bias = known[node.input[2]] if len(node.input) > 2 else None
                del plain.input[2:]
            case "ReduceSum" | "ReduceMean":
                given += [known[name] for name in node.input[1:]]
        total = self._double(plain, given)
        count = 1.0
        if node.op_type in ("AveragePool", "GlobalAveragePool", "ReduceMean"):
            # The sum is rounded, then the quotient.
            count = self._count(node, attributes, given[0], total)
            made = (total * count).astype(np.float32) / np.asarray(count, np.float32)
        else:
            made = total.astype(np.float32)
        self._exact[node.output[0]] = total
        if bias is not None:
            beta = np.float32(attributes.get("beta", 1.0))
            shape = (-1, *[1] * (made.ndim - 2)) if node.op_type == "Conv" else bias.shape
            made = made + (bias * beta if beta != 1 else bias).reshape(shape)
            del self._exact[node.output[0]]
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
