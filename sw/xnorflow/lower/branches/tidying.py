"""The last steps on the layers of a branching network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from xnorflow import ir
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

    def fold_signs(self) -> None:
        """Multiply the factors of an `Add` by those of an `Add` that alone reads it."""
        readers = self.readers
        by_name = {x.name: k for k, x in enumerate(self.layers)}
        gone: dict[str, str] = {}
        for layer in self.layers:
            if not isinstance(layer, ir.Add) or len(layer.inputs) != 1:
                continue
            at = by_name.get(layer.inputs[0])
            before = self.layers[at] if at is not None else None
            if isinstance(before, ir.Add) and readers[before.name] == 1 and at is not None:
                self.layers[at] = replace(before, multiply=before.multiply * layer.multiply)
                gone[layer.name] = before.name
        self.layers = [x for x in self.layers if x.name not in gone]
        self.renamed(gone)

    def separate_tails(self) -> None:
        """Put a copy between a layer that has several readers and a tail."""
        layers: list[ir.Layer] = []
        readers = self.readers
        names = {x.name for x in self.layers}
        for layer in self.layers:
            if isinstance(layer, TAILS) and readers[layer.inputs[0]] > 1:
                name = f"{layer.inputs[0]}_copy"
                while name in names:
                    name += "_"
                names.add(name)
                one = np.ones((1, 1), np.int64)
                layers.append(ir.Add(name, one, inputs=layer.inputs))
                layer = replace(layer, inputs=(name,))
            layers.append(layer)
        self.layers = layers

    def finished(self) -> tuple[tuple[ir.Layer, ...], tuple[Mark, ...]]:
        """Return the layers and the marks; what reads the layer before it names no input."""
        layers, before = [], ir.FRAME
        for layer in self.layers:
            layers.append(replace(layer, inputs=() if layer.inputs == (before,) else layer.inputs))
            before = layer.name
        by_name = {x.name: x for x in layers}
        marks = [replace(m, layer=by_name[n]) for m, n in self.marks if n in by_name]
        return tuple(layers), tuple(marks)


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
