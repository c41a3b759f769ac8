"""A step of the lowering, which is a network of float operations, as a QONNX model."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from xnorflow.export import step_functions as steps
from xnorflow.export.integer_model import group_attribute, window_attributes
from xnorflow.export.onnx_builder import QONNX, OnnxBuilder
from xnorflow.export.samples import element_type, read_samples
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import (
    CastOp,
    DequantizeLinearOp,
    DividedOp,
    FunctionOp,
    QuantizeLinearOp,
    TruncOp,
)
from xnorflow.ir import Window
from xnorflow.lower.passes import output_shape

NOT_FLOAT = (CastOp, FunctionOp, QuantizeLinearOp)
"""Operations whose values may have another element type than float32."""


def step_model(graph: g.Graph) -> onnx.ModelProto:
    """Build the QONNX model of an imported network.

    Parameters
    ----------
    graph : Graph
        What to write. The model's input ``x`` is [frames, rows, columns, channels], of the type
        that `xnorflow.export.samples.element_type` chooses for the network's kind of samples.

    Raises
    ------
    UnsupportedModel
        If samples are not uint8, or no ONNX nodes compute an operation.
    """
    b = OnnxBuilder(graph.name, graph.shape, element_type(graph.samples, graph.name))
    if graph.samples.plain:
        b.add("Cast", "samples", to=TensorProto.FLOAT)
    else:
        read_samples(b, graph.samples)
    scale = graph.input_scale
    if scale.divisor:
        b.add("Div", "input", b.store("input_divisor", np.array(scale.divisor, np.float32)))
    elif scale.factor != 1:
        b.add("Mul", "input", b.store("input_scale", np.array(scale.factor, np.float32)))
    b.mark(graph.shape)
    shape = graph.shape
    for index, op in enumerate(graph.ops):
        name = f"{op.node or type(op).__name__}.{index}"
        shape = output_shape(op, shape)
        _write_op(op, b, name)
        if isinstance(op, NOT_FLOAT):
            b.shape = shape
        else:
            b.mark(shape)
    if shape[:2] == (1, 1):
        b.to_flat()
    else:
        b.flatten("flattened")
    features = int(np.prod(shape))
    b.add("Identity", "scores")
    return b.model([(b.at, TensorProto.FLOAT, features)], about={}, classes=graph.classes)


def _write_op(op: g.Op, b: OnnxBuilder, name: str) -> None:
    """Append the nodes of an operation; UnsupportedModel if there are none."""

    def constant(what: str, value: NDArray[np.float32] | float) -> str:
        return b.per_channel(f"{name}.{what}", np.asarray(value))

    match op:
        case g.AddOp():
            b.add("Add", name, constant("value", op.value))
        case g.SubtractOp(reverse=True):
            b.add("Sub", name, constant("value", op.value), "@")
        case g.SubtractOp():
            b.add("Sub", name, constant("value", op.value))
        case g.MultiplyOp():
            b.add("Mul", name, constant("value", op.value))
        case g.DivideOp():
            b.add("Div", name, constant("value", op.value))
        case g.BatchNormOp():
            _batch_norm(op, b, name)
        case g.ClipOp(lo=0.0, hi=np.inf):
            b.add("Relu", name)
        case g.ClipOp():
            bounds = [constant(w, v) if np.isfinite(v) else "" for w, v in _bounds(op)]
            b.add("Clip", name, *bounds)
        case g.SignOp():
            b.add("Sign", name)
        case g.BipolarQuantOp():
            b.add("BipolarQuant", name, constant("scale", op.scale), domain=QONNX)
        case g.QuantOp():
            _quant(op, b, name, constant("scale", op.scale), constant("zero", op.zero_point))
        case g.MultiThresholdOp():
            b.add(
                "MultiThreshold",
                name,
                b.store(f"{name}.thresholds", op.thresholds),
                domain=QONNX,
                out_dtype="FLOAT32",
                out_scale=float(op.out_scale),
                out_bias=float(op.out_bias),
                data_layout="NC" if b.flat else "NCHW",
            )
        case FunctionOp():
            steps.write_function(op, b, name, _write_op)
        case DividedOp():
            # All divisors give the same.
            divide = g.DivideOp(np.array(op.divisors[0], np.float32))
            for i, inner in enumerate((divide, *op.behind)):
                _write_op(inner, b, f"{name}.{i}")
        case CastOp():
            steps.write_cast(op, b, name)
        case QuantizeLinearOp():
            steps.write_quantize_linear(op, b, name)
        case DequantizeLinearOp():
            steps.write_dequantize_linear(op, b, name)
        case TruncOp():
            steps.write_trunc(op, b, name)
        case g.LookupOp():
            b.add("Cast", f"{name}.indices", to=TensorProto.INT64)
            values = b.store(f"{name}.values", np.array(op.values, np.float32))
            b.add("Gather", name, values, "@", axis=0)
        case g.FlattenOp():
            b.flatten(name)
        case g.MaxPoolOp():
            b.to_map()
            pads = b.pad_pool(name, op.window, -np.inf)
            b.add("MaxPool", name, **window_attributes(op.window, pads))
        case g.SumPoolOp():
            _sum(op.window, b, name)
        case g.AveragePoolOp():
            _average(op, b, name)
        case g.ConvOp():
            _convolve(op, b, name)
        case _:
            raise steps.no_node(op)


def _bounds(op: g.ClipOp) -> tuple[tuple[str, float], ...]:
    return ("lo", op.lo), ("hi", op.hi)


def _batch_norm(op: g.BatchNormOp, b: OnnxBuilder, name: str) -> None:
    channels = b.shape[2]
    stored = [
        b.store(f"{name}.{what}", np.broadcast_to(getattr(op, what), (channels,)))
        for what in ("gamma", "beta", "mean", "var")
    ]
    b.add("BatchNormalization", name, *stored, epsilon=float(op.epsilon))


def _quant(op: g.QuantOp, b: OnnxBuilder, name: str, scale: str, zero: str) -> None:
    b.add(
        "Quant",
        name,
        scale,
        zero,
        b.store(f"{name}.bits", np.array(op.bits, np.float32)),
        domain=QONNX,
        signed=int(op.signed),
        narrow=int(op.narrow),
        rounding_mode=op.rounding,
    )


def _sum(window: Window, b: OnnxBuilder, name: str) -> None:
    """Append the sum of each channel's taps, by a convolution with ones, which rounds alike."""
    b.to_map()
    channels = b.shape[2]
    ones = b.store(f"{name}.ones", np.ones((channels, 1, *window.kernel), np.float32))
    b.add("Conv", name, ones, group=channels, **window_attributes(window, window.pads))


def _average(op: g.AveragePoolOp, b: OnnxBuilder, name: str) -> None:
    counts = op.counts(*b.shape[:2]).astype(np.float32)
    _sum(op.window, b, f"{name}.sum")
    b.add("Div", name, b.store(f"{name}.counts", counts))


def _convolve(op: g.ConvOp, b: OnnxBuilder, name: str) -> None:
    scale = np.asarray(op.scale, np.float32)
    weights = op.weights.astype(np.float32) * (scale[:, None, None, None] if scale.ndim else scale)
    if b.shape[:2] == (1, 1) and op.window == Window() and op.groups == 1:
        b.to_flat()
        b.add("MatMul", name, b.store(f"{name}.weights", weights[:, 0, 0].T))
        if op.bias is not None:
            b.add("Add", f"{name}.biased", b.store(f"{name}.bias", np.asarray(op.bias)))
        return
    b.to_map()
    pads = b.pad_sum(name, op.window, op.pad_value)
    stored = [b.store(f"{name}.weights", weights.transpose(0, 3, 1, 2))]
    if op.bias is not None:
        full = np.broadcast_to(np.asarray(op.bias, np.float32), (len(op.weights),))
        stored.append(b.store(f"{name}.bias", full))
    attributes = window_attributes(op.window, pads) | group_attribute(op.groups)
    b.add("Conv", name, *stored, **attributes)
