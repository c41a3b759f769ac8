"""Convolutions and pools along a line, [1, channels, length], as those of maps of height 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import wraps

from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import LayerHandler, Result
from xnorflow.frontend.values import Activation, Constant, LayoutError, Value

LINE = 3
"""Number of dimensions of features along a line."""


def also_along_a_line(handler: LayerHandler) -> LayerHandler:
    """Return a handler of convolutions or pools that takes one-dimensional ones as well."""

    @wraps(handler)
    def lifted(node: Node, inputs: Sequence[Value | None]) -> Result:
        x = inputs[0] if inputs else None
        if not isinstance(x, Activation) or x.index.ndim != LINE:
            return handler(node, inputs)
        high = [replace(x, index=x.index[:, :, None]), *map(_weights, inputs[1:])]
        try:
            result, ops = handler(node.with_rows(), high)
        except LayoutError as e:
            low = [replace(c, index=c.index[:, :, 0]) for c in e.choices]
            raise LayoutError(e, *low, by_layers=e.by_layers) from e
        return replace(result, index=result.index[:, :, 0]), ops

    return lifted


def _weights(value: Value | None) -> Value | None:
    """Return weights [out, in, taps] as [out, in, 1, taps], and any other value itself."""
    if not isinstance(value, Constant) or value.value.ndim != LINE:
        return value
    shape = value.value.shape
    codes, scale = (
        a if a is None or a.ndim < LINE else a.reshape(*a.shape[:2], 1, a.shape[2])
        for a in (value.codes, value.scale)
    )
    return Constant(value.value.reshape(*shape[:2], 1, shape[2]), codes, scale)
