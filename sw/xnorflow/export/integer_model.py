"""An integer network as an ONNX model that any executor runs exactly.

All values are integers in float32, which holds every sum exactly in whatever order it is taken: a
layer whose sums could leave that range is refused. Thresholds are comparisons and counts, or QONNX
MultiThreshold nodes; the input table and ranks are Gather nodes; scores are int64.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.export.onnx_builder import QONNX, OnnxBuilder, datatype
from xnorflow.export.samples import MAX_COMPARISONS, element_type, read_samples

EXACT = 1 << 24
"""Every integer up to it is a float32."""


def integer_model(net: ir.IntegerNetwork, *, qonnx: bool = False) -> onnx.ModelProto:
    """Write an integer network as a model from samples to int64 scores.

    Parameters
    ----------
    net : IntegerNetwork
        What to write. The model's input ``x`` is [frames, rows, columns, channels], of the type
        that `xnorflow.export.samples.element_type` chooses for the network's kind of samples; its
        output ``scores`` is int64 [frames, classes].
    qonnx : bool
        Write thresholds as QONNX MultiThreshold nodes; of standard operators otherwise. Types are
        annotated either way, as QONNX does.

    Raises
    ------
    UnsupportedModel
        If no element type holds the samples, float32 cannot hold a layer's sums, a layer would
        take too much memory, or no nodes compute it.
    """
    samples = net.samples
    b = OnnxBuilder(net.name, net.shape, element_type(samples, net.name))
    if samples.quantiser is None and not samples.plain:
        b.annotate("x", samples.alphabet)
    if samples.quantiser is not None or not isinstance(net.layers[0], ir.InputTable):
        read_samples(b, samples)
    for layer, inp, out in net:
        _write(layer, b, inp, out, qonnx)
    about = {"xnorflow_network": net.digest}
    about |= {f"note_{i}": note for i, note in enumerate(net.notes)}
    return b.model(
        [(b.at, TensorProto.INT64, len(net.scores.offsets))], about=about, classes=net.classes
    )


def _need_exact(largest: int, layer: ir.Layer) -> None:
    if largest > EXACT:
        raise UnsupportedModel(
            f"its sums go up to {largest}, and float32 holds integers up to {EXACT} only.",
            node=layer.name,
            op=type(layer).__name__,
            hint="the weights alone, as .npz, hex or C; or fewer bits of weights or activations.",
        )


def _furthest(features: ir.Features, *others: int) -> int:
    return max(abs(features.alphabet.lo), abs(features.alphabet.hi), *map(abs, others))


@singledispatch
def _write(
    layer: ir.Layer, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    """Append the nodes of a layer."""
    raise UnsupportedModel(
        "no ONNX nodes are known that compute it.",
        node=layer.name,
        op=type(layer).__name__,
        hint="the weights alone, as .npz, hex or C.",
    )


@_write.register
def _input(
    layer: ir.InputTable, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    values = layer.alphabet.values(layer.table)
    name, a = layer.name, inp.alphabet
    b.add("Cast", f"{name}_samples", to=TensorProto.INT64)
    if a.lo:
        b.add("Sub", f"{name}_from_lowest", b.store(f"{name}_lowest", np.array(a.lo, np.int64)))
    if a.step != 1:
        b.add("Div", f"{name}_codes", b.store(f"{name}_step", np.array(a.step, np.int64)))
    if len(values) > 1:
        rows = b.per_channel(f"{name}_rows", a.levels * np.arange(len(values)), np.int64)
        b.add("Add", f"{name}_entries", rows)
    table = b.store(f"{name}_table", values.astype(np.float32).ravel(), layer.alphabet)
    b.add("Gather", name, table, "@", axis=0)
    b.mark(out.shape, out.alphabet)


@_write.register
def _flatten(
    layer: ir.Flatten, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    b.flatten(layer.name)
    b.mark(out.shape, out.alphabet)


@_write.register
def _conv(layer: ir.Conv, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool) -> None:
    pad = layer.pad_value if any(layer.window.pads) else 0
    magnitude = np.abs(layer.weights).reshape(len(layer.weights), -1).sum(1)
    _need_exact(int(magnitude.max()) * _furthest(inp, pad), layer)
    if inp.shape[:2] == (1, 1) and layer.window == ir.Window():
        b.to_flat()
        weights = layer.weights[:, 0, 0].T.astype(np.float32)
        b.add("MatMul", layer.name, b.store(f"{layer.name}_weights", weights, layer.alphabet))
    else:
        b.to_map()
        pads = b.pad_sum(layer.name, layer.window, pad)
        weights = layer.weights.transpose(0, 3, 1, 2).astype(np.float32)
        b.add(
            "Conv",
            layer.name,
            b.store(f"{layer.name}_weights", weights, layer.alphabet),
            **window_attributes(layer.window, pads),
        )
    b.mark(out.shape, out.alphabet)


def window_attributes(window: ir.Window, pads: tuple[int, ...]) -> dict[str, Any]:
    """Return ONNX's attributes of a window."""
    return {
        "kernel_shape": list(window.kernel),
        "strides": list(window.stride),
        "dilations": list(window.dilation),
        "pads": list(pads),
    }


@_write.register
def _max_pool(
    layer: ir.MaxPool, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    b.to_map()
    signs = None
    if layer.minimum.any():
        signs = b.per_channel(f"{layer.name}_signs", np.where(layer.minimum, -1, 1))
        b.add("Mul", f"{layer.name}_turned", signs)
    # Nothing is below it, and no window holds it alone.
    pads = b.pad_pool(layer.name, layer.window, -_furthest(inp))
    name = layer.name if signs is None else f"{layer.name}_greatest"
    b.add("MaxPool", name, **window_attributes(layer.window, pads))
    if signs is not None:
        b.add("Mul", layer.name, signs)
    b.mark(out.shape, out.alphabet)


@_write.register
def _sum_pool(
    layer: ir.SumPool, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    taps = layer.window.kernel[0] * layer.window.kernel[1]
    _need_exact(taps * _furthest(inp), layer)
    b.to_map()
    value = inp.alphabet.lo + inp.alphabet.step * layer.pad_code
    pads = b.pad_sum(layer.name, layer.window, value)
    ones = np.ones((inp.channels, 1, *layer.window.kernel), np.float32)
    b.add(
        "Conv",
        layer.name,
        b.store(f"{layer.name}_ones", ones),
        group=inp.channels,
        **window_attributes(layer.window, pads),
    )
    b.mark(out.shape, out.alphabet)


@_write.register
def _threshold(
    layer: ir.Threshold, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    lowest, beyond = inp.alphabet.lo, inp.alphabet.hi + 1
    _need_exact(max(abs(lowest), abs(beyond)), layer)
    # What lies further out is never, or always, reached; closer in float32 holds it.
    steps = np.clip(layer.thresholds, lowest, beyond).astype(np.float32)
    name, a = layer.name, layer.alphabet
    count = steps.shape[1]
    if qonnx and count:
        b.add(
            "MultiThreshold",
            name,
            b.store(f"{name}_thresholds", steps),
            domain=QONNX,
            out_dtype=datatype(a),
            out_scale=float(a.step),
            out_bias=float(a.lo),
            data_layout="NC" if b.flat else "NCHW",
        )
    elif count == 1:
        b.add("GreaterOrEqual", f"{name}_reached", b.per_channel(f"{name}_thresholds", steps[:, 0]))
        high, low = (np.array(value, np.float32) for value in (a.hi, a.lo))
        b.add("Where", name, "@", b.store(f"{name}_high", high), b.store(f"{name}_low", low))
    elif count:
        if count * inp.size > MAX_COMPARISONS:
            raise UnsupportedModel(
                f"it compares {inp.size} features with {count} thresholds each.",
                node=name,
                op="Threshold",
                hint="QONNX (--format qonnx), whose MultiThreshold takes one after the other.",
            )
        axis = np.array([-1], np.int64)
        b.add("Unsqueeze", f"{name}_feature", b.store(f"{name}_axis", axis))
        shape = (-1, count) if b.flat else (-1, 1, 1, count)
        b.add("GreaterOrEqual", f"{name}_each", b.store(f"{name}_thresholds", steps.reshape(shape)))
        b.add("Cast", f"{name}_reached", to=TensorProto.FLOAT)
        b.add("ReduceSum", f"{name}_codes", b.store(f"{name}_axis", axis), keepdims=0)
        _affine(b, name, a.step, a.lo)
    else:
        _affine(b, name, 0, a.lo)
    b.mark(out.shape, out.alphabet)


def _affine(b: OnnxBuilder, name: str, step: int, lo: int) -> None:
    if step != 1:
        factor = b.store(f"{name}_step", np.array(step, np.float32))
        b.add("Mul", f"{name}_scaled", factor)
    b.add("Add", name, b.store(f"{name}_lowest", np.array(lo, np.float32)))


@_write.register
def _code_table(
    layer: ir.CodeTable, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    name, a = layer.name, inp.alphabet
    channels, levels = layer.table.shape
    b.add("Sub", f"{name}_from_lowest", b.store(f"{name}_lowest", np.array(a.lo, np.float32)))
    if a.step != 1:
        b.add("Div", f"{name}_codes", b.store(f"{name}_step", np.array(a.step, np.float32)))
    b.add("Cast", f"{name}_indices", to=TensorProto.INT64)
    rows = b.per_channel(f"{name}_rows", levels * np.arange(channels), np.int64)
    b.add("Add", f"{name}_entries", rows)
    values = layer.alphabet.values(layer.table).astype(np.float32)
    b.add("Gather", name, b.store(f"{name}_table", values.ravel(), layer.alphabet), "@", axis=0)
    b.mark(out.shape, out.alphabet)


@_write.register
def _scores(
    layer: ir.Scores, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    b.to_flat()
    b.add("Cast", "sums", to=TensorProto.INT64)
    if layer.ranks is None or layer.rank_lo is None:
        b.add("Add", "scores", b.store("offsets", layer.offsets))
        return
    classes, width = layer.ranks.shape
    starts = np.arange(classes, dtype=np.int64) * width - layer.rank_lo
    b.add("Add", "entries", b.store("starts", starts))
    b.add("Gather", "scores", b.store("ranks", layer.ranks.ravel()), "@", axis=0)
