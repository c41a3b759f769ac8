"""Find equal chains of layers that begin at one map and end at one join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xnorflow import ir

OneMap = (
    ir.Conv
    | ir.MaxPool
    | ir.SumPool
    | ir.Threshold
    | ir.CodeTable
    | ir.Rescale
    | ir.AddMap
    | ir.Flatten
    | ir.Stretch
    | ir.Add
)
"""Layers that a chain may have; an `Add` reads a single map."""


@dataclass(frozen=True, eq=False)
class ParallelChain:
    """A chain of layers, each of which is read by the next one alone.

    Parameters
    ----------
    start : str
        Name of the map that the first layer reads, which others may read, too.
    layers : tuple of Layer
        At least one, each with its inputs.
    inputs : tuple of Features
        The map that each reads.
    place : int
        Place of the last layer's map among those that the join reads.
    """

    start: str
    layers: tuple[OneMap, ...]
    inputs: tuple[ir.Features, ...]
    place: int

    @property
    def key(self) -> Any:
        """What chains have in common that can become one chain."""
        pairs = zip(self.layers, self.inputs, strict=True)
        return self.start, tuple(_key(x, inp, k == 0) for k, (x, inp) in enumerate(pairs))


def chain_before(
    name: str,
    place: int,
    by_name: Mapping[str, ir.Layer],
    features: Mapping[str, ir.Features],
    read: Counter[str],
) -> ParallelChain | None:
    """Return the longest chain that ends with a layer; None if that has other readers.

    Parameters
    ----------
    name : str
        The layer.
    place : int
        Place of its map among those of the join.
    by_name : mapping of str to Layer
        All layers.
    features : mapping of str to Features
        The map of each layer and of the frame.
    read : Counter
        How often each map is read.
    """
    found: list[OneMap] = []
    while read[name] == 1 and (layer := by_name.get(name)) is not None and _may_join(layer):
        found.insert(0, layer)  # type: ignore[arg-type]
        name = layer.inputs[0]
    if not found:
        return None
    inputs = tuple(features[layer.inputs[0]] for layer in found)
    return ParallelChain(name, tuple(found), inputs, place)


def _may_join(layer: ir.Layer) -> bool:
    """Return whether a layer may be part of a chain."""
    if isinstance(layer, ir.Stretch):
        return layer.fill != "blocks"
    return isinstance(layer, OneMap) and len(layer.inputs) == 1


def _key(layer: OneMap, inp: ir.Features, first: bool) -> Any:
    """Return what a layer has in common with those that it can become one layer with."""
    kind = layer.kind
    match layer:
        case ir.Conv():
            pad = layer.pad_value if any(layer.window.pads) else 0
            # The first layers read one map; later ones read a part each, and parts have one size.
            own = (0,) if first else (len(layer.weights), inp.alphabet)
            return kind, layer.window, layer.weights.shape[1:], layer.groups, pad, *own
        case ir.MaxPool():
            return kind, layer.window
        case ir.SumPool():
            padded = any(layer.window.pads)
            return kind, layer.window, (layer.pad_code, inp.alphabet) if padded else 0
        case ir.Threshold():
            return kind, layer.alphabet
        case ir.CodeTable():
            return kind, layer.alphabet, inp.alphabet
        case ir.Rescale():
            return kind, layer.alphabet, layer.shift
        case ir.AddMap() | ir.Add():
            return kind, inp.shape[:2]
        case ir.Flatten():
            return kind, inp.shape
        case ir.Stretch():
            return kind, layer.factors, layer.fill, layer.crop
        case _:
            raise TypeError(f"layers of type {type(layer).__name__} are not part of chains")
