"""A step of the lowering, which is a network of float operations, as a QONNX model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from xnorflow.export import step_functions as steps
from xnorflow.export.integer_model import group_attribute, window_attributes
from xnorflow.export.join_nodes import stretch_nodes
from xnorflow.export.onnx_builder import QONNX, OnnxBuilder, Place
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
from xnorflow.graph.join_ops import (
    AddMapOp,
    ConcatOp,
    JoinOp,
    MaximumOp,
    OrderOp,
    ProductOp,
    StretchOp,
    SumOp,
)
from xnorflow.ir import UINT8, Features, Window
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
    names = [b.reserve(output.name) for output in graph.outputs]
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
    # The last entry is the samples', which an index of -1 names.
    places = {-1: b.place}
    for index, (op, reads) in enumerate(zip(graph.ops, graph.reads, strict=True)):
        name = f"{op.node or type(op).__name__}.{index}"
        read = [places[k] for k in reads]
        shape = _shape_after(op, [place.shape for place in read])
        if isinstance(op, JoinOp):
            _write_join(op, b, name, read)
        else:
            b.go(read[0])
            _write_op(op, b, name)
        if isinstance(op, NOT_FLOAT):
            b.shape = shape
        else:
            b.mark(shape)
        places[index] = b.place
    if not graph.outputs:
        if b.shape[:2] == (1, 1):
            b.to_flat()
        else:
            b.flatten("flattened")
        features = int(np.prod(b.shape))
        b.add("Identity", "scores")
        return b.model([(b.at, TensorProto.FLOAT, [features])], about={}, classes=graph.classes)
    made = {op.name: k for k, op in enumerate(graph.ops) if op.name}
    for name, output in zip(names, graph.outputs, strict=True):
        b.go(places[made[output.value]])
        b.flatten(f"{name}.flat")
        b.add("Gather", f"{name}.elements", b.store(f"{name}.places", output.gather), axis=1)
        target = np.array([0, *output.shape], np.int64)
        b.finish("Reshape", name, b.store(f"{name}.shape", target))
    ends = [(n, TensorProto.FLOAT, o.shape) for n, o in zip(names, graph.outputs, strict=True)]
    return b.model(ends, about={}, classes=graph.classes)


def _shape_after(op: g.Op, shapes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Return the height, width and channels after an operation on values of `shapes`."""
    match op:
        case JoinOp():
            return op.output_shape(*shapes)
        case StretchOp():
            return op.layer.output(Features(*shapes[0], UINT8)).shape
        case AddMapOp() | OrderOp():
            return shapes[0]
        case _:
            return output_shape(op, shapes[0])


def _write_join(op: JoinOp, b: OnnxBuilder, name: str, places: list[Place]) -> None:
    """Append the nodes of an operation on several values; UnsupportedModel if there are none."""
    names = []
    for place in places:
        b.go(place)
        b.to_map()
        names.append(b.at)
    b.at = names[0]
    match op:
        case SumOp():
            for k, (sign, other) in enumerate(zip(op.signs[1:], names[1:], strict=True)):
                b.add("Add" if sign > 0 else "Sub", f"{name}.{k}", other)
        case ProductOp():
            b.add("Mul", name, names[1])
        case MaximumOp():
            b.add("Min" if op.minimum else "Max", name, *names[1:])
        case ConcatOp():
            b.add("Concat", name, *names[1:], axis=(2, 3, 1)[op.axis])
        case _:
            raise steps.no_node(op)


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
        case AddMapOp():
            b.to_map()
            b.add("Add", name, b.store(f"{name}.map", op.value.transpose(2, 0, 1)))
        case OrderOp():
            b.add("Identity", name)
        case StretchOp():
            stretch_nodes(op.layer, b, name)
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
