"""Layers that change nothing vanish."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xnorflow import ir
from xnorflow.ir.layer_graph import with_inputs
from xnorflow.merge.rebuild import rebuilt

TAILS = (ir.Threshold, ir.CodeTable, ir.Rescale, ir.Scores)
"""Layers that hardware computes on the results of the layer before."""


def drop_plain(net: ir.IntegerNetwork) -> Iterator[ir.IntegerNetwork]:
    """Yield networks without a layer that hands on its only input.

    A layer stays where the tails behind it would have none to act on the results of.
    """
    layers = with_inputs(net)
    for k, layer in enumerate(layers):
        if len(layer.inputs) != 1 or not is_plain(layer, net.features[net.reads[k][0]]):
            continue
        behind = [layers[at] for at in net.readers[k + 1]]
        if any(isinstance(x, TAILS) for x in behind):
            continue
        if not behind and len(net.score_layers) != 1:
            continue
        rest = [*layers[:k], *layers[k + 1 :]]
        made = rebuilt(net, rest, {layer.name: layer.inputs[0]})
        if made is not None:
            yield made


def is_plain(layer: ir.Layer, inp: ir.Features) -> bool:
    """Return whether a layer hands on its only input as it is."""
    match layer:
        case ir.Conv():
            return _picks_all(layer, inp.channels)
        case ir.MaxPool() | ir.SumPool():
            return layer.window == ir.Window()
        case ir.Flatten():
            return inp.shape[:2] == (1, 1)
        case ir.Stretch():
            return layer.factors == (1, 1) and not any(layer.crop)
        case ir.AddMap():
            return not layer.values.any() and layer.output(inp).shape == inp.shape
        case ir.Add() | ir.Maximum():
            return bool((layer.multiply == 1).all()) and layer.output(inp).shape == inp.shape
        case ir.Concat():
            return True
        case ir.AllScores():
            return inp.shape[:2] == (1, 1)
        case (
            ir.InputTable()
            | ir.Threshold()
            | ir.CodeTable()
            | ir.Rescale()
            | ir.Scores()
            | ir.Multiply()
        ):
            return False
        case _:
            raise TypeError(f"there is no rule when layers of type {type(layer).__name__} vanish")


def _picks_all(conv: ir.Conv, channels: int) -> bool:
    """Return whether each output of a convolution is the input of the same number."""
    if conv.window != ir.Window() or len(conv.weights) != channels:
        return False
    group = conv.weights.shape[3]
    own = conv.weights.reshape(conv.groups, -1, group)
    return own.shape[1] == group and bool((own == np.eye(group, dtype=np.int64)).all())
