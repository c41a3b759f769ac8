"""Operations on each value alone: arithmetic with constants, normalisation, quantisers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import QONNX, Node
from xnorflow.frontend.operators.broadcast import Make, apply, combined
from xnorflow.frontend.operators.joins.meeting import function_of
from xnorflow.frontend.operators.joins.on_branches import on_each, plus_map, repeats, widened
from xnorflow.frontend.operators.quantise import (
    QUANT_ATTRIBUTES,
    QUANTS,
    bipolar_scale,
    constant_parameters,
    float_parameter,
    quant_parameters,
)
from xnorflow.frontend.registry import Joined, Outcome, Result, activation, handles
from xnorflow.frontend.values import FLOAT32, Activation, Constant, LayoutError, Value
from xnorflow.graph import ops
from xnorflow.graph.quantisers import Floats


@handles("Add", "Mul", "Sub", "Div", inputs=(2, 2), any_type=True, joins=True)
def arithmetic(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import arithmetic of features and a constant, or of two tensors."""
    first, second = inputs
    types = {v.dtype if isinstance(v, Activation) else v.value.dtype for v in inputs if v}
    if len(types) > 1:
        raise node.unsupported(
            f"its inputs have types {' and '.join(sorted(map(str, types)))}.", "one type for both."
        )
    x, constant = (first, second) if isinstance(first, Activation) else (second, first)
    reverse = isinstance(second, Activation)
    divisor = isinstance(constant, Constant) and node.op == "Div" and not reverse
    if divisor and isinstance(constant, Constant) and not constant.value.all():
        raise node.unsupported("it divides by zero.", "a divisor without zeros.")
    plain = isinstance(x, Activation) and isinstance(constant, Constant) and types == {FLOAT32}
    if not plain or (node.op == "Div" and reverse):
        return function_of(node, node.op, inputs)
    assert isinstance(x, Activation) and isinstance(constant, Constant)
    value = float_parameter(node, constant.value, "constant")
    where = {"node": node.name, "op": node.op}
    make: dict[str, Make] = {
        "Add": lambda v: ops.AddOp(v, **where),
        "Mul": lambda v: ops.MultiplyOp(v, **where),
        "Sub": lambda v: ops.SubtractOp(v, reverse, **where),
        "Div": lambda v: ops.DivideOp(v, **where),
    }
    x = widened(node, x, value)
    try:
        return apply(node, x, [value], make[node.op])
    except LayoutError as e:
        instead: Callable[[], Outcome] | None = None
        if node.op in ("Add", "Sub") and not x.padded:
            added = -value if node.op == "Sub" and not reverse else value
            negated = node.op == "Sub" and reverse
            instead = partial(_added_map, node, x, added, negated=negated)
        elif repeats(x):
            instead = partial(_on_each, node, x, value, make[node.op])
        raise LayoutError(e, *e.choices, by_layers=False, instead=instead) from e


def _added_map(node: Node, x: Activation, value: Floats, *, negated: bool) -> Outcome:
    return Joined(plus_map(node, x, value, negated=negated))


def _on_each(node: Node, x: Activation, value: Floats, make: Make) -> Outcome:
    return Joined(on_each(node, x, value, make))


@handles("BatchNormalization", attributes="epsilon momentum training_mode spatial", inputs=(5, 5))
def batch_normalization(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a batch normalisation that uses running statistics."""
    x = activation(node, inputs[0])
    if node.integer("training_mode", 0) or not node.integer("spatial", 1):
        raise node.unsupported(
            "it normalises by the statistics of each batch or pixel.",
            "export the network in inference mode (model.eval()).",
        )
    if x.index.ndim < 2:
        raise node.unsupported(
            f"its input of shape {x.index.shape} has no channel dimension.",
            "features [1, channels, ...].",
        )
    shape = (-1,) + (1,) * (x.index.ndim - 2)
    parameters = []
    for what, value in zip(("gamma", "beta", "mean", "variance"), inputs[1:], strict=True):
        if not isinstance(value, Constant):
            raise node.unsupported(f"its {what} is not constant.", "constant parameters.")
        if value.value.shape != x.index.shape[1:2]:
            raise node.unsupported(
                f"its {what} has {value.value.size} values for {x.index.shape[1]} channels.",
                "one value per channel.",
            )
        parameters.append(float_parameter(node, value.value, what).reshape(shape))
    epsilon = node.number("epsilon", 1e-5)
    if not np.isfinite(epsilon) or not (parameters[3] + np.float32(epsilon) > 0).all():
        raise node.unsupported(
            "its variance plus epsilon is not positive.",
            "the running statistics of a trained network; export it again.",
        )
    return apply(
        node,
        x,
        parameters,
        lambda gamma, beta, mean, var: ops.BatchNormOp(
            gamma, beta, mean, var, epsilon, node=node.name, op=node.op
        ),
    )


@handles("Relu", "Sign", any_type=True)
def unary(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a rectifier or a sign."""
    x = activation(node, inputs[0])
    if x.dtype != FLOAT32:
        zero = Constant(np.zeros((), x.dtype))
        return combined(node, *(("Sign", [x]) if node.op == "Sign" else ("Max", [x, zero])))
    op = (
        ops.SignOp(node=node.name, op=node.op)
        if node.op == "Sign"
        else ops.ClipOp(0.0, np.inf, node=node.name, op=node.op)
    )
    return apply(node, x, [], lambda: op)


@handles("Clip", attributes="min max", inputs=(1, 3), any_type=True)
def clip(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a clip to an interval; its ends are attributes before operator set 11."""
    x = activation(node, inputs[0])
    if x.dtype != FLOAT32:
        return _integer_clip(node, x, inputs[1:])
    ends = [node.number("min", -np.inf), node.number("max", np.inf)]
    for i, value in enumerate(inputs[1:]):
        if value is None:
            continue
        if not isinstance(value, Constant) or value.value.size != 1:
            raise node.unsupported(
                "its limits are not constant scalars.", "one constant for min and one for max."
            )
        ends[i] = float(value.value.reshape(()))
    if not ends[0] <= ends[1]:
        raise node.unsupported(
            f"its limits {ends[0]} and {ends[1]} are in the wrong order.",
            "a lower limit that is not above the upper one.",
        )
    return apply(node, x, [], lambda: ops.ClipOp(*ends, node=node.name, op=node.op))


def _integer_clip(node: Node, x: Activation, limits: Sequence[Value | None]) -> Outcome:
    """Import a clip of integers."""
    if x.dtype.kind not in "iu":
        raise node.unsupported(f"its features are of type {x.dtype}.", "float32 or integers.")
    ends = [Constant(np.array(getattr(np.iinfo(x.dtype), end), x.dtype)) for end in ("min", "max")]
    for i, value in enumerate(limits):
        if value is None:
            continue
        if not isinstance(value, Constant) or value.value.size != 1 or value.value.dtype != x.dtype:
            raise node.unsupported(
                f"its limits are not constant scalars of type {x.dtype}.",
                "one constant for min and one for max, of the features' type.",
            )
        ends[i] = Constant(value.value.reshape(()))
    return combined(node, "Clip", [x, *ends])


@handles("BipolarQuant", inputs=(2, 2), family=QONNX)
def bipolar_quant(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a binarisation."""
    scale = bipolar_scale(node, constant_parameters(node, inputs[1:]))
    return apply(
        node,
        activation(node, inputs[0]),
        [scale],
        lambda s: ops.BipolarQuantOp(s, node=node.name, op=node.op),
    )


@handles(*QUANTS, attributes=" ".join(QUANT_ATTRIBUTES), inputs=(4, 4), family=QONNX)
def quant(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a uniform quantiser."""
    q = quant_parameters(node, constant_parameters(node, inputs[1:]))
    return apply(
        node,
        activation(node, inputs[0]),
        [q.scale, q.zero_point],
        lambda s, z: replace(q, scale=s, zero_point=z),
    )


@handles(
    "MultiThreshold",
    attributes="out_dtype out_scale out_bias data_layout",
    inputs=(2, 2),
    family=QONNX,
)
def multi_threshold(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a count of reached thresholds; without a layout, QONNX's default axis has channels."""
    x = activation(node, inputs[0])
    thresholds = float_parameter(node, constant_parameters(node, inputs[1:])[0], "threshold")
    rank = x.index.ndim
    layout = node.text("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank, "")
    if len(layout) != rank or layout.count("C") != 1:
        raise node.unsupported(
            f"its layout {layout!r} does not fit {rank} dimensions.",
            "data_layout NC, NCHW or NHWC.",
        )
    axis = layout.index("C")
    channels = x.index.shape[axis]
    if thresholds.ndim != 2 or thresholds.shape[0] not in (1, channels) or not thresholds.size:
        raise node.unsupported(
            f"thresholds of shape {thresholds.shape} do not fit {channels} channels.",
            f"thresholds [1 or {channels}, n].",
        )
    scale, bias = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    if not np.isfinite([scale, bias]).all():
        raise node.unsupported(
            f"its output scale {scale} or bias {bias} is not finite.", "finite parameters."
        )
    # The number of a channel's row of thresholds is a constant per channel, like any other.
    rows = np.arange(len(thresholds)).reshape([-1 if a == axis else 1 for a in range(rank)])

    def make(r: NDArray[Any]) -> ops.Elementwise:
        count = (r.size, thresholds.shape[1])
        elements(count, MAX_WEIGHTS, what="its thresholds", node=node.name, op=node.op)
        return ops.MultiThresholdOp(
            thresholds[np.atleast_1d(r)], scale, bias, node=node.name, op=node.op
        )

    return apply(node, x, [rows], make)
