"""Import of comparisons, selections, casts, roundings and activation functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper

from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.broadcast import combined
from xnorflow.frontend.operators.joins.alignment import grown
from xnorflow.frontend.operators.joins.meeting import function_of, tensor
from xnorflow.frontend.registry import Joined, Outcome, activation, handles
from xnorflow.frontend.steps import extended
from xnorflow.frontend.tensors import type_name
from xnorflow.frontend.values import FLOAT32, Constant, Value, dtype_of
from xnorflow.graph.function_ops import CastOp
from xnorflow.graph.ops import DivideOp

BOOL = np.dtype(np.bool_)
CASTS = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
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
"""Element types that features may have between two layers."""


def _same_types(node: Node, inputs: Sequence[Value | None], *, bools: bool = False) -> None:
    """Check that all inputs are present and have one type, bool if `bools`."""
    types = {dtype_of(v) for v in inputs if v is not None}
    if None in inputs or len(types) != 1 or (bools and types != {BOOL}):
        listed = " and ".join(sorted(map(str, types)))
        absent = ", and one is absent" if None in inputs else ""
        raise node.unsupported(
            f"its inputs have types {listed}{absent}.",
            "bool." if bools else "one type for all inputs.",
        )


def _scalar(value: float) -> Constant:
    return Constant(np.array(value, np.float32))


@handles(
    *("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"),
    inputs=(2, 2),
    any_type=True,
    joins=True,
)
def compare(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a comparison."""
    _same_types(node, inputs)
    return function_of(node, node.op, inputs, dtype=BOOL)


@handles("And", "Or", "Xor", inputs=(2, 2), any_type=True, joins=True)
@handles("Not", any_type=True)
def logic(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a logical function."""
    _same_types(node, inputs, bools=True)
    return function_of(node, node.op, inputs)


@handles("Where", inputs=(3, 3), any_type=True, joins=True)
def where(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a selection."""
    _same_types(node, inputs[:1], bools=True)
    _same_types(node, inputs[1:])
    chosen = inputs[1]
    assert chosen is not None
    return function_of(node, "Where", inputs, dtype=dtype_of(chosen))


@handles("Cast", attributes="to saturate round_mode", any_type=True)
@handles("CastLike", attributes="saturate round_mode", inputs=(2, 2), any_type=True, joins=True)
def cast(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a conversion to another element type."""
    x = activation(node, inputs[0])
    if x.ended:
        return x, ()
    if node.op == "CastLike":
        like = inputs[1]
        if like is None:
            raise node.unsupported("it has no type to convert to.", "a second input.")
        to = dtype_of(like)
        known = to.kind in "biu" or to in (np.float32, np.float64)
        name = str(to)
    else:
        number = node.integer("to", 0)
        known, name = number in CASTS, type_name(number)
        to = helper.tensor_dtype_to_np_dtype(number) if known else FLOAT32
    if not known:
        raise node.unsupported(
            f"it converts features to {name}.", "float32, bool, or integers of at least 8 bits."
        )
    if to == x.dtype:
        return Joined(x)
    pad = float(np.array(x.pad_value).astype(x.dtype).astype(to)) if x.padded else 0.0
    low = max(x.low, 0.0) if to == BOOL else x.low if to == FLOAT32 else -np.inf
    op = CastOp(to.name, node=node.name, op=node.op)
    made = replace(x, pad_value=pad, low=low, dtype=to)
    return Joined(replace(made, made_by=extended(x.made_by, [op], x.frame)))


@handles(*("Sigmoid", "Tanh", "Erf", "Exp", "Log", "Softplus", "Softsign", "Mish"))
@handles(*("Round", "Floor", "Ceil", "Sqrt", "Reciprocal"))
@handles("Abs", "Neg", any_type=True)
def function(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a function of one value that has no parameters."""
    return combined(node, node.op, [activation(node, inputs[0])])


@handles("LeakyRelu", "ThresholdedRelu", "Elu", "Celu", attributes="alpha")
def with_alpha(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a function with one parameter."""
    alpha = node.number("alpha", 0.01 if node.op == "LeakyRelu" else 1.0)
    return combined(node, node.op, [activation(node, inputs[0]), _scalar(alpha)])


@handles("PRelu", inputs=(2, 2))
def prelu(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a rectifier with constant slopes for negative values, one or one per channel."""
    slope = inputs[1]
    if not isinstance(slope, Constant):
        raise node.unsupported("its slopes depend on the input.", "constant slopes.")
    _same_types(node, inputs)
    return combined(node, "LeakyRelu", [activation(node, inputs[0]), slope])


@handles("Selu", attributes="alpha gamma")
def selu(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a scaled exponential linear unit."""
    alpha = node.number("alpha", 1.67326319217681884765625)
    gamma = node.number("gamma", 1.05070102214813232421875)
    return combined(node, "Selu", [activation(node, inputs[0]), _scalar(alpha), _scalar(gamma)])


@handles("HardSigmoid", attributes="alpha beta")
@handles("HardSwish")
def hard(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a piecewise linear function."""
    swish = node.op == "HardSwish"
    alpha = 1 / 6 if swish else node.number("alpha", 0.2)
    beta = 0.5 if swish else node.number("beta", 0.5)
    return combined(node, node.op, [activation(node, inputs[0]), _scalar(alpha), _scalar(beta)])


@handles("Gelu", attributes="approximate")
def gelu(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a Gaussian error linear unit."""
    kinds = {"none": "Gelu", "tanh": "GeluTanh"}
    kind = node.text("approximate", "none")
    if kind not in kinds:
        raise node.unsupported(f"its approximation {kind!r} is unknown.", "none or tanh.")
    return combined(node, kinds[kind], [activation(node, inputs[0])])


@handles("Min", "Max", "Sum", inputs=(1, 64), any_type=True, joins=True)
def extreme(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a minimum, maximum or sum."""
    _same_types(node, inputs)
    return function_of(node, node.op, inputs)


@handles("Mean", inputs=(1, 64), joins=True)
def mean(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a mean: the sum, divided by the number of terms."""
    _same_types(node, inputs)
    if len(inputs) == 1:
        return combined(node, "Identity", inputs)
    made = tensor(function_of(node, "Sum", inputs), inputs)
    count = np.array(len(inputs), np.float32)
    return Joined(grown(made, DivideOp(count, node=node.name, op=node.op)))


@handles("Pow", inputs=(2, 2))
def power(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a power with a constant exponent; a square is a product, which is exact."""
    x, exponent = activation(node, inputs[0]), inputs[1]
    if not isinstance(exponent, Constant) or exponent.value.dtype.kind not in "iuf":
        raise node.unsupported("its exponent is not constant.", "a constant exponent.")
    values = set(exponent.value.ravel().tolist())
    if values == {2}:
        return combined(node, "Mul", [x, x])
    return combined(node, "Pow", [x, Constant(exponent.value.astype(np.float32))])
