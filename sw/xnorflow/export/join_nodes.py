"""ONNX nodes of layers that join maps or change a map's size.

Values that float32 does not hold are joined in int64, which only a rescaling or scores read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
from onnx import TensorProto

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.export.onnx_builder import OnnxBuilder, Place

EXACT = 1 << 24
"""Largest integer up to which float32 holds every integer."""


def furthest(features: ir.Features, *others: int) -> int:
    """Return the largest magnitude of the features' values and of `others`."""
    return max(abs(features.alphabet.lo), abs(features.alphabet.hi), *map(abs, others))


def write_join(
    layer: ir.Join,
    b: OnnxBuilder,
    places: Sequence[Place],
    inputs: Sequence[ir.Features],
    out: ir.Features,
) -> None:
    """Append the nodes of a layer that joins maps.

    Parameters
    ----------
    layer : Join
        The layer.
    b : OnnxBuilder
        The graph.
    places : sequence of Place
        Tensors of its inputs.
    inputs : sequence of Features
        Its inputs.
    out : Features
        Its output.

    Raises
    ------
    UnsupportedModel
        If no nodes are known that compute it.
    """
    if isinstance(layer, ir.AllScores):
        _all_scores(layer, b, places, out)
        return
    largest = _largest(layer, inputs, out)
    kind = TensorProto.FLOAT if largest <= EXACT else TensorProto.INT64
    names = []
    for place in places:
        b.go(place)
        b.to_map()
        if kind != TensorProto.FLOAT:
            b.add("Cast", f"{layer.name}_integers", to=kind)
        names.append(b.at)
    b.flat = False
    _combine(layer, b, names, np.float32 if kind == TensorProto.FLOAT else np.int64)
    b.mark(out.shape, out.alphabet, kind)


def _largest(layer: ir.Join, inputs: Sequence[ir.Features], out: ir.Features) -> int:
    """Return the largest magnitude of all values and of all sums on the way to the output."""
    reached = [furthest(f) for f in inputs]
    if isinstance(layer, ir.Add | ir.Maximum):
        factors = abs(layer.multiply).max(1).tolist()
        reached += [m * f for m, f in zip(factors, reached, strict=True)]
        if isinstance(layer, ir.Add):
            reached.append(sum(reached[len(inputs) :]))
    return max(furthest(out), *reached)


@singledispatch
def _combine(layer: ir.Join, b: OnnxBuilder, names: list[str], dtype: type) -> None:
    """Append the nodes of a join of the maps [frames, channels, rows, columns] that are named."""
    raise UnsupportedModel(
        "no ONNX nodes are known that compute it.",
        node=layer.name,
        op=type(layer).__name__,
        hint="the weights alone, as .npz, hex or C.",
    )


def _scaled(layer: ir.Add | ir.Maximum, b: OnnxBuilder, names: list[str], dtype: type) -> list[str]:
    """Append the products of the maps and their factors."""
    scaled = []
    for k, (name, factors) in enumerate(zip(names, layer.multiply, strict=True)):
        b.at = name
        if (factors != 1).any():
            stored = b.per_channel(f"{layer.name}_factors_{k}", factors, dtype)
            b.add("Mul", f"{layer.name}_times_{k}", stored)
        scaled.append(b.at)
    return scaled


def _in_pairs(op: str, b: OnnxBuilder, name: str, terms: list[str]) -> None:
    """Append an operation of two tensors from left to right, or none if there is one tensor."""
    b.at = terms[0]
    for k, term in enumerate(terms[1:], 2):
        b.add(op, name if k == len(terms) else f"{name}_of_{k}", term)
    if len(terms) == 1:
        b.add("Identity", name)


@_combine.register
def _add(layer: ir.Add, b: OnnxBuilder, names: list[str], dtype: type) -> None:
    _in_pairs("Add", b, layer.name, _scaled(layer, b, names, dtype))


@_combine.register
def _maximum(layer: ir.Maximum, b: OnnxBuilder, names: list[str], dtype: type) -> None:
    op = "Min" if layer.minimum else "Max"
    _in_pairs(op, b, layer.name, _scaled(layer, b, names, dtype))


@_combine.register
def _multiply(layer: ir.Multiply, b: OnnxBuilder, names: list[str], dtype: type) -> None:
    _in_pairs("Mul", b, layer.name, names)


@_combine.register
def _concat(layer: ir.Concat, b: OnnxBuilder, names: list[str], dtype: type) -> None:
    b.at = names[0]
    b.add("Concat", layer.name, *names[1:], axis=(2, 3, 1)[layer.axis])


def _all_scores(
    layer: ir.AllScores, b: OnnxBuilder, places: Sequence[Place], out: ir.Features
) -> None:
    names: list[str] = []
    for place in places:
        b.go(place)
        b.flatten(f"{layer.name}_of_{len(names)}")
        names.append(b.at)
    b.at = names[0]
    b.add("Concat", layer.name, *names[1:], axis=1)
    b.mark(out.shape, None, TensorProto.INT64)


def write_add_map(layer: ir.AddMap, b: OnnxBuilder, inp: ir.Features, out: ir.Features) -> None:
    """Append the nodes of the sum with a constant map."""
    b.to_map()
    wide = max(furthest(inp), furthest(out), int(abs(layer.values).max())) > EXACT
    if wide:
        b.add("Cast", f"{layer.name}_integers", to=TensorProto.INT64)
    values = layer.values.transpose(2, 0, 1).astype(np.int64 if wide else np.float32)
    b.add("Add", layer.name, b.store(f"{layer.name}_map", values))
    b.mark(out.shape, out.alphabet, TensorProto.INT64 if wide else TensorProto.FLOAT)


def write_stretch(layer: ir.Stretch, b: OnnxBuilder, inp: ir.Features, out: ir.Features) -> None:
    """Append the nodes of a stretch; they work on tensors of any type that `b` has."""
    stretch_nodes(layer, b, layer.name)
    wide = furthest(inp) > EXACT
    b.mark(out.shape, out.alphabet, TensorProto.INT64 if wide else TensorProto.FLOAT)


def stretch_nodes(layer: ir.Stretch, b: OnnxBuilder, name: str) -> None:
    """Append the nodes of a stretch of float32 or int64 values.

    Parameters
    ----------
    layer : Stretch
        What to compute.
    b : OnnxBuilder
        The graph; its last tensor is stretched.
    name : str
        Name of the result.
    """
    b.to_map()
    (height, width, channels), (fy, fx) = b.shape, layer.factors
    if layer.fill == "blocks":
        channels //= fy * fx
    if (fy, fx) != (1, 1):
        _cells(layer, b, name, (height, width, channels))
        whole = [0, channels, height * fy, width * fx]
        b.add("Reshape", f"{name}_whole", b.store(f"{name}_size", np.array(whole, np.int64)))
    top, left, bottom, right = layer.crop
    if any(layer.crop):
        ends = [height * fy - bottom, width * fx - right]
        parts = [
            b.store(f"{name}_{what}", np.array(values, np.int64))
            for what, values in (("starts", [top, left]), ("ends", ends), ("axes", [2, 3]))
        ]
        b.add("Slice", name, *parts)
    elif (fy, fx) == (1, 1):
        b.add("Identity", name)


def _cells(layer: ir.Stretch, b: OnnxBuilder, name: str, shape: tuple[int, int, int]) -> None:
    """Append the cells of all pixels, [frames, channels, rows, cell rows, columns, cell columns].

    `shape` is the height, the width and the channels behind the cells.
    """
    (height, width, channels), (fy, fx) = shape, layer.factors

    def reshape(*sizes: int) -> None:
        b.add("Reshape", f"{name}_cells", b.store(f"{name}_axes", np.array(sizes, np.int64)))

    match layer.fill:
        case "repeat":
            reshape(0, channels, height, 1, width, 1)
            sizes = b.store(f"{name}_cell", np.array([1, 1, 1, fy, 1, fx], np.int64))
            b.add("Expand", f"{name}_copies", sizes)
        case "zeros":
            reshape(0, channels, height, 1, width, 1)
            pads = np.zeros((2, 6), np.int64)
            pads[1, 3], pads[1, 5] = fy - 1, fx - 1
            b.add("Pad", f"{name}_zeros", b.store(f"{name}_pads", pads.ravel()))
        case "blocks":
            reshape(0, fy, fx, channels, height, width)
            b.add("Transpose", f"{name}_blocks", perm=[0, 3, 4, 1, 5, 2])
        case _:
            raise ValueError(f"there is no fill {layer.fill!r}")
