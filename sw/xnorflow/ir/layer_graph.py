"""The layers of a network with the feature maps between them.

A network is a directed acyclic graph. Most are chains, in which each layer reads the map before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Ints
from xnorflow.ir.features import Features
from xnorflow.ir.input_kind import UINT8_KIND, InputKind
from xnorflow.ir.input_order import InputOrder, natural
from xnorflow.ir.joins import AllScores
from xnorflow.ir.layer import FRAME, Layer
from xnorflow.ir.layers import Scores


@dataclass(frozen=True, eq=False)
class Output:
    """An output of the imported file.

    Parameters
    ----------
    name : str
        Its name in the file.
    shape : tuple of int
        Its shape without the axis of frames.
    gather : int64 array [elements]
        Index among a frame's scores of each element, in the order of the output's own shape.
    """

    name: str
    shape: tuple[int, ...]
    gather: Ints

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def of(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the output [frames, *shape] of scores [frames, score_count], of any dtype."""
        return np.asarray(scores)[:, self.gather].reshape(len(scores), *self.shape)


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """The layers of a network in order of execution, with the feature maps between them.

    Parameters
    ----------
    name : str
        An identifier; the generated Verilog is named after it.
    shape : tuple of int
        Height, width and channels of an input frame.
    layers : tuple of Layer
        Layers in order of execution; the last is a `Scores`, or an `AllScores` of several.
    classes : tuple of str
        Names of the classes, one per score; empty if unknown.
    notes : tuple of str
        Facts about the import that a user should know, one sentence each.
    order : InputOrder, optional
        The order in which users hold samples; row, column, channel by default.
    samples : InputKind
        The kind of samples; uint8 by default.
    outputs : tuple of Output
        Outputs of the imported file, where they are more than one vector of scores; empty if the
        scores are its only output.
    """

    name: str
    shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    order: InputOrder | None = None
    samples: InputKind = UINT8_KIND
    outputs: tuple[Output, ...] = ()

    @property
    def input_order(self) -> InputOrder:
        """The order in which users hold samples."""
        return natural(self.shape) if self.order is None else self.order

    @cached_property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """The maps that each layer reads, as indices into `features`.

        Raises
        ------
        ValueError
            If a layer reads one that does not come before it.
        """
        index, found = {FRAME: 0}, []
        for k, layer in enumerate(self.layers):
            unknown = [name for name in layer.inputs if name not in index]
            if unknown:
                raise ValueError(
                    f"layer {layer.name!r} reads {unknown[0]!r}, which is no layer before it"
                )
            found.append(tuple(index[name] for name in layer.inputs) or (k,))
            index[layer.name] = k + 1
        return tuple(found)

    @property
    def chain(self) -> bool:
        """Whether every layer reads the map before it, and no other."""
        return all(maps == (k,) for k, maps in enumerate(self.reads))

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """The layers that read each map of `features`, as indices into `layers`."""
        found: list[list[int]] = [[] for _ in range(len(self.layers) + 1)]
        for k, maps in enumerate(self.reads):
            for at in maps:
                found[at].append(k)
        return tuple(map(tuple, found))

    @cached_property
    def features(self) -> tuple[Features, ...]:
        """The feature map before the first layer, then the map after each layer."""
        maps = [Features(*self.shape, self.samples.alphabet)]
        for layer, read in zip(self.layers, self.reads, strict=True):
            maps.append(layer.output(*(maps[k] for k in read)))
        return tuple(maps)

    def __iter__(self) -> Iterator[tuple[Layer, Features, Features]]:
        """Yield each layer with its input, the first of several, and its output feature map."""
        for k, (layer, read) in enumerate(zip(self.layers, self.reads, strict=True)):
            yield layer, self.features[read[0]], self.features[k + 1]

    @property
    def scores(self) -> Scores:
        """The last layer; ValueError if it is not a `Scores`."""
        if not self.layers or not isinstance(last := self.layers[-1], Scores):
            raise ValueError("the last layer is not a Scores")
        return last

    @property
    def score_layers(self) -> tuple[Scores, ...]:
        """The layers that make the scores, in the order of the scores: one for each output."""
        if not isinstance(last := self.layers[-1], AllScores):
            return (self.scores,)
        found = [self.layers[k - 1] for k in self.reads[-1]]
        if wrong := [layer.name for layer in found if not isinstance(layer, Scores)]:
            raise ValueError(f"layer {last.name!r} reads {wrong[0]!r}, which makes no scores")
        return tuple(layer for layer in found if isinstance(layer, Scores))

    @property
    def score_count(self) -> int:
        """Number of scores of a frame, those of all outputs together."""
        return self.features[-1].size


def with_inputs(net: LayerGraph) -> list[Layer]:
    """Return the layers of a network, each with the names of all that it reads."""
    names = (FRAME, *(layer.name for layer in net.layers))
    return [
        replace(layer, inputs=tuple(names[at] for at in maps))
        for layer, maps in zip(net.layers, net.reads, strict=True)
    ]


def without_usual_inputs(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return layers of which those that read nothing but the map before them name no inputs."""
    found, before = [], FRAME
    for layer in layers:
        found.append(replace(layer, inputs=() if layer.inputs == (before,) else layer.inputs))
        before = layer.name
    return tuple(found)
