"""The layers of a network with the feature maps between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from xnorflow.ir.features import Features
from xnorflow.ir.input_kind import UINT8_KIND, InputKind
from xnorflow.ir.input_order import InputOrder, natural
from xnorflow.ir.layer import Layer
from xnorflow.ir.layers import Scores


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
        Layers in order of execution; the last is a `Scores`.
    classes : tuple of str
        Names of the classes, one per score; empty if unknown.
    notes : tuple of str
        Facts about the import that a user should know, one sentence each.
    order : InputOrder, optional
        The order in which users hold samples; row, column, channel by default.
    samples : InputKind
        The kind of samples; uint8 by default.
    """

    name: str
    shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    order: InputOrder | None = None
    samples: InputKind = UINT8_KIND

    @property
    def input_order(self) -> InputOrder:
        """The order in which users hold samples."""
        return natural(self.shape) if self.order is None else self.order

    @cached_property
    def features(self) -> tuple[Features, ...]:
        """The feature map before the first layer, then the map after each layer."""
        maps = [Features(*self.shape, self.samples.alphabet)]
        for layer in self.layers:
            maps.append(layer.output(maps[-1]))
        return tuple(maps)

    def __iter__(self) -> Iterator[tuple[Layer, Features, Features]]:
        """Yield each layer with its input and output feature maps."""
        yield from zip(self.layers, self.features, self.features[1:], strict=False)

    @property
    def scores(self) -> Scores:
        """The last layer; ValueError if it is not a `Scores`."""
        if not self.layers or not isinstance(last := self.layers[-1], Scores):
            raise ValueError("the last layer is not a Scores")
        return last
