"""Constant folding: the evaluation of nodes that depend on stored tensors and static shapes only.

Such are the computation of shapes, and quantisers and transpositions of weights. Standard operators
are evaluated by the reference evaluator of the ``onnx`` package, within a budget of elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from xnorflow.frontend.limits import MAX_FOLDED, elements
from xnorflow.frontend.narrow import is_narrow, widened
from xnorflow.frontend.node import QONNX, STANDARD, Node
from xnorflow.frontend.operators.broadcast import residue_note
from xnorflow.frontend.operators.integers import linear_constant
from xnorflow.frontend.operators.quantise import QUANTS, bipolar_scale, quant_parameters
from xnorflow.frontend.operators.reshape import MOVES, move
from xnorflow.frontend.values import Constant
from xnorflow.graph import ops

BROADCAST = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Min",
        "Max",
        "Mod",
        "Equal",
        "Greater",
        "Less",
        "GreaterOrEqual",
        "LessOrEqual",
        "And",
        "Or",
        "Not",
        "Where",
        "Sqrt",
        "Neg",
        "Abs",
        "Sign",
        "Exp",
        "Log",
        "Reciprocal",
        "Floor",
        "Ceil",
        "Round",
        "Clip",
        "Relu",
        "Cast",
        "CastLike",
        "Sum",
        "Mean",
        "Xor",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Softplus",
        "Softsign",
        "HardSigmoid",
        "LeakyRelu",
        "PRelu",
        "Elu",
    }
)
"""Operators whose result has the broadcast shape of their inputs."""
GATHERING = frozenset(
    {
        "Slice",
        "Concat",
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
    }
)
"""Operators whose result has at most as many elements as their inputs together."""

CASTS = ("Cast", "CastLike")
"""Operators that make numbers of integers of 2 or 4 bits, and such integers of numbers."""


class Folder:
    """An evaluator of one file's nodes whose inputs are all constants.

    Parameters
    ----------
    opset : int
        Version of the standard operators.

    Attributes
    ----------
    notes : list of str
        Facts that a user should know, one sentence each.
    """

    def __init__(self, opset: int) -> None:
        """Start with the whole budget of elements."""
        self.opset = opset
        self.notes: list[str] = []
        self.elements_left = MAX_FOLDED

    def fold(self, node: Node, inputs: Sequence[Constant | None]) -> Constant:
        """Compute a node's first output.

        Parameters
        ----------
        node : Node
            The node.
        inputs : sequence of Constant or None
            Its inputs; None for an optional input that is absent.

        Raises
        ------
        UnsupportedModel
            If the operator is not one that is folded, the node is malformed, or the result is too
            large or NaN.
        """
        values = [None if c is None else c.value for c in inputs]
        if node.family == QONNX and node.op in ("FloatQuant", "Trunc"):
            raise node.unsupported(
                f"weights of {node.op} are not supported.", "weights of Quant or BipolarQuant."
            )
        quantiser = node.family == QONNX and node.op in ("BipolarQuant", *QUANTS)
        linear = node.family == STANDARD and node.op in ("QuantizeLinear", "DequantizeLinear")
        if not quantiser and node.family != STANDARD:
            raise node.unsupported(
                f"operators of the domain {node.domain!r} are unknown.",
                "QONNX and standard ONNX operators.",
            )
        if node.op == "Constant":
            return Constant(_constant(node))
        narrow = next((v.dtype for v in values if v is not None and is_narrow(v.dtype)), None)
        if narrow is not None and not linear and node.op not in (*MOVES, *CASTS):
            raise node.unsupported(
                f"its constants are of type {narrow}, with which no operator computes.",
                "a DequantizeLinear or a Cast of them first.",
            )
        # The budget also bounds long chains of nodes whose results are all kept.
        shape = values[0].shape if values and values[0] is not None else ()
        if not quantiser and not linear and node.op not in MOVES:
            shape = self._shape(node, values)
        self.elements_left -= elements(
            shape, self.elements_left, what="the folded constant", node=node.name, op=node.op
        )
        if quantiser:
            return _quantised(node, inputs)
        if linear:
            return linear_constant(node, inputs)
        if node.op in MOVES:
            return _moved(node, inputs)
        made = self._evaluate(node, values)
        if node.op in ("Add", "Sub") and len(inputs) == 2 and None not in inputs:
            first, second = (c for c in inputs if c is not None)
            made = replace(made, parts=(node.op, first, second))
            rest = made.without_residue()
            if rest is not None:
                self.notes.append(residue_note(node))
                return rest
        return made

    def _shape(self, node: Node, values: list[NDArray[Any] | None]) -> tuple[int, ...]:
        """Return a shape of at least the result's size, before anything of that size exists."""
        given = [v for v in values if v is not None]
        if not given:
            raise node.unsupported("it has no input.")
        try:
            if node.op in BROADCAST:
                return np.broadcast_shapes(*(v.shape for v in given))
            if node.op in GATHERING:
                return (sum(v.size for v in given),)
            if node.op == "ConstantOfShape":
                return tuple(int(d) for d in given[0].ravel())
            if node.op == "Expand":
                return np.broadcast_shapes(given[0].shape, tuple(int(d) for d in given[1].ravel()))
            if node.op == "Gather":
                axis = given[0].shape[node.integer("axis", 0)]
                return (given[0].size // max(axis, 1), given[1].size)
            if node.op == "Range":
                start, stop, step = (float(v.ravel()[0]) for v in given)
                return (max(0, math.ceil((stop - start) / step)),)
        except (ValueError, IndexError, ZeroDivisionError, OverflowError, TypeError) as e:
            raise node.unsupported(f"its inputs do not fit: {e}.") from e
        raise node.unsupported(
            "this operator is not evaluated on constants.",
            "fold constants before the export, for example with onnxsim.",
        )

    def _evaluate(self, node: Node, values: list[NDArray[Any] | None]) -> Constant:
        if node.op in CASTS and values[0] is not None:
            values = [widened(values[0]), *values[1:]]
        made = checked(node, self.evaluate(node, values, first=True)[0])
        if is_narrow(made.dtype) and values[0] is not None and (widened(made) != values[0]).any():
            raise node.unsupported(
                f"it converts constants that {made.dtype} cannot hold.", "a Clip before it."
            )
        return Constant(made)

    def evaluate(
        self, node: Node, values: Sequence[NDArray[Any] | None], *, first: bool = False
    ) -> list[NDArray[Any]]:
        """Compute a node's outputs, or the `first` alone, in the reference evaluator.

        The caller has to check the size of the result beforehand.
        """
        names = ["" if v is None else f"i{i}" for i, v in enumerate(values)]
        outputs = [f"o{i}" for i in range(1 if first else len(node.outputs))]
        any_type = TensorProto.FLOAT  # The evaluator takes types from the arrays.
        model = helper.make_model(
            helper.make_graph(
                [node.standalone(names, outputs)],
                "fold",
                [helper.make_tensor_value_info(n, any_type, None) for n in names if n],
                [helper.make_tensor_value_info(o, any_type, None) for o in outputs],
            ),
            opset_imports=[helper.make_opsetid("", self.opset)],
        )
        feeds = {n: v for n, v in zip(names, values, strict=True) if v is not None}
        try:
            with np.errstate(all="ignore"):
                return [np.asarray(a) for a in ReferenceEvaluator(model).run(None, feeds)]
        except Exception as e:  # The evaluator may raise anything for malformed inputs.
            raise node.unsupported(f"it cannot be evaluated: {e}.") from e


def checked(node: Node, value: NDArray[Any]) -> NDArray[Any]:
    """Return `value`; UnsupportedModel if it holds NaN."""
    if value.dtype.kind == "f" and bool(np.isnan(value).any()):
        raise node.unsupported("its constant result holds NaN.", "finite parameters.")
    return value


def _moved(node: Node, inputs: Sequence[Constant | None]) -> Constant:
    """Return a constant with its elements moved, and its integers and scales with them."""
    x = inputs[0] if inputs else None
    if x is None:
        raise node.unsupported("it has no input.")
    operands = [None if c is None else c.value for c in inputs[1:]]

    def moved(a: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if a is None else move(node, np.broadcast_to(a, x.value.shape), operands)

    return Constant(move(node, x.value, operands), moved(x.codes), moved(x.scale))


def _quantised(node: Node, inputs: Sequence[Constant | None]) -> Constant:
    """Compute a QONNX quantiser of a constant; the result keeps its integers and scale."""
    given = [c.value for c in inputs if c is not None]
    if len(given) != len(inputs) or not given or given[0].dtype != np.float32:
        raise node.unsupported("it needs float32 constants for all its inputs.")
    x = given[0]
    if node.op == "BipolarQuant":
        scale = bipolar_scale(node, given[1:])
        codes = np.where(x >= 0, np.float32(1), np.float32(-1))
        offset = np.zeros((), np.float32)
    else:
        q: ops.QuantOp = quant_parameters(node, given[1:])
        scale, offset = q.scale, q.zero_point
    try:
        if np.broadcast_shapes(x.shape, scale.shape, offset.shape) != x.shape:
            raise ValueError("its parameters have more elements than the tensor it quantises")
        with np.errstate(all="ignore"):
            if node.op != "BipolarQuant":
                codes = q.codes(x) - offset
            return Constant(checked(node, codes * scale), codes, scale)
    except ValueError as e:
        raise node.unsupported(f"its shapes do not fit: {e}.") from e


def _constant(node: Node) -> NDArray[Any]:
    """Return the value of a Constant node."""
    (name,) = sorted(node.attribute_names) if len(node.attribute_names) == 1 else ("",)
    if name == "value":
        value = node.tensor("value")
        assert value is not None
        return value
    if name == "value_float":
        return np.array(node.number(name, 0.0), np.float32)
    if name == "value_int":
        return np.array(node.integer(name, 0), np.int64)
    if name in ("value_floats", "value_ints"):
        return checked(node, node.array(name))
    raise node.unsupported("its value is not a plain tensor.", "a dense tensor of numbers.")
