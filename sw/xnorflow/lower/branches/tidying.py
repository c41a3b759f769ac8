"""The last steps on the layers of a branching network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from xnorflow import ir
from xnorflow.ir.layer_graph import without_usual_inputs
from xnorflow.lower.passes import Shape
from xnorflow.lower.pending import Mark

TAILS = (ir.Threshold, ir.CodeTable, ir.Rescale, ir.Scores)
"""Layers that hardware computes on the results of another."""


class Layers:
    """Layers with their inputs by name, and what the marks point at.

    Parameters
    ----------
    layers : sequence of Layer
        In order of execution, each with its inputs.
    marks : sequence of Mark
        Of these layers.
    """

    def __init__(self, layers: Sequence[ir.Layer], marks: Sequence[Mark]) -> None:
        self.layers = list(layers)
        self.marks = [(m, m.layer.name) for m in marks]

    def renamed(self, names: dict[str, str]) -> None:
        """Let the readers of some layers read others."""
        self.layers = [
            replace(x, inputs=tuple(names.get(n, n) for n in x.inputs)) for x in self.layers
        ]

    @property
    def readers(self) -> Counter[str]:
        """How many layers read each one."""
        return Counter(n for x in self.layers for n in x.inputs)

    def merge_equal(self) -> None:
        """Keep one of several equal layers that read the same."""
        kept: dict[Any, str] = {}
        names: dict[str, str] = {}
        layers = []
        for layer in self.layers:
            layer = replace(layer, inputs=tuple(names.get(n, n) for n in layer.inputs))
            key = _key(layer)
            if key in kept and not isinstance(layer, ir.Scores):
                names[layer.name] = kept[key]
                continue
            kept[key] = layer.name
            layers.append(layer)
        self.layers = layers

    def drop_unread(self) -> None:
        """Drop layers that no score depends on."""
        needed = {self.layers[-1].name}
        kept = []
        for layer in reversed(self.layers):
            if layer.name in needed:
                needed |= set(layer.inputs)
                kept.append(layer)
        self.layers = kept[::-1]

    def merge_sums(self, shape: Shape, samples: ir.InputKind) -> None:
        """Let a sum read what a sum reads that nothing else does."""
        at = 0
        while at < len(self.layers):
            made = self._merged(self.layers[at], shape, samples)
            if made is None:
                at += 1
                continue
            before, layer = made
            self.layers[at] = layer
            self.layers.remove(before)
            at -= 1

    def _merged(
        self, layer: ir.Layer, shape: Shape, samples: ir.InputKind
    ) -> tuple[ir.Layer, ir.Layer] | None:
        """Return a sum that a sum alone reads, and the sum in place of both; None without such."""
        if not isinstance(layer, ir.Add):
            return None
        readers, by_name = self.readers, {x.name: x for x in self.layers}
        for k, name in enumerate(layer.inputs):
            before = by_name.get(name)
            if not isinstance(before, ir.Add) or readers[name] > 1:
                continue
            own = before.multiply * layer.multiply[k]
            rows = [*layer.multiply[:k], *own, *layer.multiply[k + 1 :]]
            inputs = (*layer.inputs[:k], *before.inputs, *layer.inputs[k + 1 :])
            multiply = np.stack(np.broadcast_arrays(*rows))
            named = tuple(dict.fromkeys((*before.sources, *layer.sources)))
            made = replace(layer, multiply=multiply, inputs=inputs, sources=named)
            features = self._features(shape, samples)
            try:
                made.check(*(features[n] for n in inputs))
            except ValueError:
                continue
            return before, made
        return None

    def _features(self, shape: Shape, samples: ir.InputKind) -> dict[str, ir.Features]:
        """Return the map of every layer."""
        found = {ir.FRAME: ir.Features(*shape, samples.alphabet)}
        for layer in self.layers:
            found[layer.name] = layer.output(*(found[n] for n in layer.inputs))
        return found

    def separate_tails(self) -> None:
        """Put a copy between a tail and a layer that has several readers, or has no results."""
        layers: list[ir.Layer] = []
        readers = self.readers
        names = {x.name: x for x in self.layers}
        for layer in self.layers:
            source = layer.inputs[0]
            moved = isinstance(names.get(source), ir.Flatten)
            if isinstance(layer, TAILS) and (readers[source] > 1 or moved):
                name = f"{source}_copy"
                while name in names:
                    name += "_"
                one = np.ones((1, 1), np.int64)
                layers.append(ir.Add(name, one, inputs=layer.inputs))
                names[name] = layers[-1]
                layer = replace(layer, inputs=(name,))
            layers.append(layer)
        self.layers = layers

    def finished(self) -> tuple[tuple[ir.Layer, ...], tuple[Mark, ...]]:
        """Return the layers and the marks; what reads the layer before it names no input."""
        layers = without_usual_inputs(self.layers)
        by_name = {x.name: x for x in layers}
        marks = [replace(m, layer=by_name[n]) for m, n in self.marks if n in by_name]
        return layers, tuple(marks)


def _key(layer: ir.Layer) -> Any:
    """Return what two equal layers have in common: all but their names and sources."""
    found: list[Any] = [type(layer)]
    for f in fields(layer):
        value = getattr(layer, f.name)
        if f.name in ("name", "sources"):
            continue
        if isinstance(value, np.ndarray):
            found.append((value.shape, value.dtype.str, value.tobytes()))
        else:
            found.append(value if f.name != "steps" else id(value))
    return tuple(found)
