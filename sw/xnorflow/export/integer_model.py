"""An integer network as an ONNX model that any executor runs exactly.

All values are integers in float32, which is exact up to 2**24 in every order of summation; a layer
with larger sums is refused. Thresholds become comparisons and counts, or QONNX MultiThreshold
nodes; input tables and ranks become Gather nodes; a rescaling computes in int64, and leaves int64
what float32 does not hold; scores are int64.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.export.join_nodes import EXACT, furthest, write_add_map, write_join, write_stretch
from xnorflow.export.onnx_builder import QONNX, OnnxBuilder, datatype
from xnorflow.export.samples import MAX_COMPARISONS, element_type, read_samples


def integer_model(net: ir.IntegerNetwork, *, qonnx: bool = False) -> onnx.ModelProto:
    """Build the ONNX model of an integer network.

    Parameters
    ----------
    net : IntegerNetwork
        The network. The model's input ``x`` is [frames, rows, columns, channels], of the type that
        `xnorflow.export.samples.element_type` chooses for the network's kind of samples. Its output
        ``scores`` is int64 [frames, classes]; of a network with named outputs, each has its name
        and shape, and is int64.
    qonnx : bool
        Whether to write thresholds as QONNX MultiThreshold nodes; otherwise all operators are
        standard ones. In both cases types are annotated as in QONNX.

    Returns
    -------
    onnx.ModelProto
        The model.

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
    names = [b.reserve(output.name) for output in net.outputs]
    tables = all(isinstance(net.layers[k], ir.InputTable) for k in net.readers[0])
    if samples.quantiser is not None or not tables:
        read_samples(b, samples)
    places = [b.place]
    for layer, reads, out in zip(net.layers, net.reads, net.features[1:], strict=True):
        inputs = [net.features[k] for k in reads]
        if isinstance(layer, ir.Join):
            write_join(layer, b, [places[k] for k in reads], inputs, out)
        else:
            b.go(places[reads[0]])
            _write(layer, b, inputs[0], out, qonnx)
        places.append(b.place)
    about = {"xnorflow_network": net.digest}
    about |= {f"note_{i}": note for i, note in enumerate(net.notes)}
    if not net.outputs:
        shape: tuple[int, ...] = (net.score_count,)
        if not b.flat and net.features[-1].shape[:2] != (1, 1):
            b.flatten("scores_of_all_pixels")
        return b.model([(b.at, TensorProto.INT64, shape)], about=about, classes=net.classes)
    b.flatten("all_scores")
    every = b.at
    for name, output in zip(names, net.outputs, strict=True):
        b.at = every
        b.add("Gather", f"{name}_elements", b.store(f"{name}_places", output.gather), axis=1)
        target = np.array([0, *output.shape], np.int64)
        b.finish("Reshape", name, b.store(f"{name}_shape", target))
    made = [(n, TensorProto.INT64, o.shape) for n, o in zip(names, net.outputs, strict=True)]
    return b.model(made, about=about, classes=net.classes)


def _need_exact(largest: int, layer: ir.Layer) -> None:
    """Raise UnsupportedModel if float32 does not hold all integers up to `largest`."""
    if largest > EXACT:
        raise UnsupportedModel(
            f"its sums go up to {largest}, and float32 holds integers up to {EXACT} only.",
            node=layer.name,
            op=type(layer).__name__,
            hint="the weights alone, as .npz, hex or C; or fewer bits of weights or activations.",
        )


@singledispatch
def _write(
    layer: ir.Layer, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    """Append the nodes of a layer with input `inp` and output `out` to the graph `b`."""
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
def _add_map(
    layer: ir.AddMap, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    write_add_map(layer, b, inp, out)


@_write.register
def _stretch(
    layer: ir.Stretch, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    write_stretch(layer, b, inp, out)


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
    _need_exact(max(int(magnitude.max()), 1) * furthest(inp, pad), layer)
    if inp.shape[:2] == (1, 1) and layer.window == ir.Window() and layer.groups == 1:
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
            **group_attribute(layer.groups),
        )
    b.mark(out.shape, out.alphabet)


@_write.register
def _gather(
    layer: ir.Gather, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    """Write slices of the map, picks of channels, and their sums, as such layers are exported."""
    pad = layer.pad_value if any(layer.window.pads) else 0
    _need_exact(layer.lookups * furthest(inp, pad), layer)
    b.to_map()
    name, window = layer.name, layer.window
    if any(window.pads):
        b.pad(name, window, pad)
    place, axes = b.place, b.store(f"{name}_axes", np.array([2, 3], np.int64))
    steps = b.store(f"{name}_steps", np.array(window.stride, np.int64))
    terms = b.store(f"{name}_terms", np.array([2], np.int64))
    size, channels, total = np.array(out.shape[:2]), layer.channels, ""
    for tap in np.ndindex(*window.kernel):
        b.go(place)
        own = f"{name}_{tap[0]}_{tap[1]}"
        start = np.array(tap, np.int64) * window.dilation
        end = start + (size - 1) * window.stride + 1
        ends = [b.store(f"{own}_{what}", at) for what, at in (("start", start), ("end", end))]
        b.add("Slice", f"{own}_slice", *ends, axes, steps)
        picks = b.store(f"{own}_indices", channels[:, tap[0], tap[1]])
        b.add("Gather", f"{own}_entries", picks, axis=1)
        b.add("ReduceSum", f"{own}_sum", terms, keepdims=0)
        if total:
            b.add("Add", f"{own}_total", total)
        total = b.at
    if layer.negative.any():
        signs = b.per_channel(f"{name}_signs", np.where(layer.negative, -1, 1))
        b.add("Mul", name, signs)
    b.mark(out.shape, out.alphabet)


def group_attribute(groups: int) -> dict[str, Any]:
    """Return ONNX's attribute of a convolution's groups, none where it has its default."""
    return {"group": groups} if groups != 1 else {}


def window_attributes(window: ir.Window, pads: tuple[int, ...]) -> dict[str, Any]:
    """Return the ONNX attributes of a window, with `pads` in place of its own."""
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
    _need_exact(furthest(inp), layer)
    b.to_map()
    signs = None
    if layer.minimum.any():
        signs = b.per_channel(f"{layer.name}_signs", np.where(layer.minimum, -1, 1))
        b.add("Mul", f"{layer.name}_turned", signs)
    # No value is below the padding, and every window has a real tap, so padding changes no maximum.
    pads = b.pad_pool(layer.name, layer.window, -furthest(inp))
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
    _need_exact(taps * furthest(inp), layer)
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
    # Thresholds beyond the input's range are always or never reached; clipped, float32 holds them.
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
                hint="QONNX (--format qonnx), whose MultiThreshold compares one after the other.",
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
    """Append ``lo + step * code``."""
    if step != 1:
        factor = b.store(f"{name}_step", np.array(step, np.float32))
        b.add("Mul", f"{name}_scaled", factor)
    b.add("Add", name, b.store(f"{name}_lowest", np.array(lo, np.float32)))


@_write.register
def _code_table(
    layer: ir.CodeTable, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    name, a = layer.name, inp.alphabet
    _need_exact(furthest(inp), layer)
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
def _rescale(
    layer: ir.Rescale, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    name, a = layer.name, layer.alphabet
    wide = furthest(out) > EXACT

    def stored(what: str, numbers: ir.Ints) -> str:
        return b.per_channel(f"{name}_{what}", numbers, np.int64)

    b.add("Cast", f"{name}_integers", to=TensorProto.INT64)
    b.add("Mul", f"{name}_products", stored("factors", layer.multiply))
    total = b.add("Add", f"{name}_sums", stored("offsets", layer.offset))
    if layer.shift:
        # ONNX's quotient is rounded towards 0, but without its remainder, which has the sign of
        # the divisor, a sum is a multiple of it.
        divisor = b.store(f"{name}_divisor", np.array(1 << layer.shift, np.int64))
        rest = b.add("Mod", f"{name}_rest", divisor)
        b.at = total
        b.add("Sub", f"{name}_multiples", rest)
        b.add("Div", f"{name}_shifted", divisor)
    b.add("Max", f"{name}_at_least", stored("least", layer.least))
    b.add("Min", f"{name}_codes", stored("most", layer.most))
    if a.step != 1:
        b.add("Mul", f"{name}_steps", b.store(f"{name}_step", np.array(a.step, np.int64)))
    lowest = b.store(f"{name}_lowest", np.array(a.lo, np.int64))
    b.add("Add", name if wide else f"{name}_values", lowest)
    if not wide:
        b.add("Cast", name, to=TensorProto.FLOAT)
    b.mark(out.shape, out.alphabet, TensorProto.INT64 if wide else TensorProto.FLOAT)


@_write.register
def _scores(
    layer: ir.Scores, b: OnnxBuilder, inp: ir.Features, out: ir.Features, qonnx: bool
) -> None:
    if inp.shape[:2] == (1, 1):
        b.to_flat()
    if layer.steps:
        _steps(layer, b)
    else:
        b.add("Cast", "sums", to=TensorProto.INT64)
        if layer.factor != 1:
            b.add("Mul", "multiples", b.store("factor", np.array(layer.factor)))
        if layer.ranks is None or layer.rank_lo is None:
            b.add("Add", "scores", b.per_channel("offsets", layer.offsets, np.int64))
        else:
            classes, width = layer.ranks.shape
            starts = np.arange(classes, dtype=np.int64) * width - layer.rank_lo
            b.add("Add", "entries", b.per_channel("starts", starts, np.int64))
            b.add("Gather", "scores", b.store("ranks", layer.ranks.ravel()), "@", axis=0)
    b.mark(out.shape, None, TensorProto.INT64)


def _steps(layer: ir.Scores, b: OnnxBuilder) -> None:
    """Append the steps of scores: float32 rounds each operation as a step does."""
    for k, step in enumerate(layer.steps):
        shifts = (step.multiply & (step.multiply - 1) == 0) & (step.multiply > 0)
        floats = [c.astype(np.float32) for c in (step.multiply, step.add)]
        exact = all(
            (f.astype(np.float64).astype(np.int64) == c).all()
            for f, c in zip(floats, (step.multiply, step.add), strict=True)
        )
        if not exact or (step.add.any() and not shifts.all()):
            raise UnsupportedModel(
                "float32 does not hold the constants of its scores, or would round them twice.",
                node=layer.name,
                op="Scores",
                hint="the weights alone, as .npz, hex or C; or scales that are float32 values.",
            )
        b.add("Mul", f"product_{k}", b.per_channel(f"multiply_{k}", floats[0]))
        if step.add.any():
            b.add("Add", f"sum_{k}", b.per_channel(f"add_{k}", floats[1]))
        if step.shift:
            b.add("Mul", f"step_{k}", b.store(f"scale_{k}", np.array(0.5**step.shift, np.float32)))
    b.add("Cast", "scores", to=TensorProto.INT64)
