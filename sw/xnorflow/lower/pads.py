"""Padding: float values to integers, and what padded sums count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.lower.common_scale import ROUNDING


def pad_value(op: ops.ConvOp, scale: float) -> int:
    """Return the integer that padded features of `op` have, where activations are scaled so."""
    if not any(op.window.pads):
        return 0
    value = float(np.float32(op.pad_value))
    pad = round(value / scale)
    if abs(pad * scale - value) > ROUNDING * abs(value):
        raise UnsupportedModel(
            f"its padding of {op.pad_value} is no integer multiple of the activation scale"
            f" {scale}.",
            node=op.node,
            op=op.op,
            hint="padding with 0, or with a value that the quantiser before it can give.",
        )
    return pad


def check_pool(op: ops.MaxPoolOp, height: int, width: int) -> None:
    """Refuse windows of padding alone: their maximum would be minus infinity."""
    w, size = op.window, (height, width)
    out = w.output(height, width)
    for axis in (0, 1):
        first = np.arange(out[axis]) * w.stride[axis] - w.pads[axis]
        taps = first[:, None] + np.arange(w.kernel[axis]) * w.dilation[axis]
        if not ((taps >= 0) & (taps < size[axis])).any(1).all():
            raise UnsupportedModel(
                "a window of it holds nothing but padding.",
                node=op.node,
                op=op.op,
                hint="less padding.",
            )


def resolve_pads(net: ir.IntegerNetwork) -> ir.IntegerNetwork:
    """Set the code of 0 for padded sums, now that no channel will be negated any more."""
    layers = list(net.layers)
    for index, (layer, inp, _) in enumerate(net):
        if isinstance(layer, ir.SumPool) and any(layer.window.pads):
            code = inp.alphabet.code_of(0)
            if code is None:
                raise UnsupportedModel(
                    "its padding of 0 is beyond the range of what it pools.",
                    node=(*layer.sources, layer.name)[0],
                    op="AveragePool",
                    hint="an average pool without padding.",
                )
            layers[index] = replace(layer, pad_code=code)
    return replace(net, layers=tuple(layers))
