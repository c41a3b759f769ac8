"""Padding: its integer in convolutions, and its code in sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.lower.common_scale import ROUNDING


def pad_value(op: ops.ConvOp, scale: float) -> int:
    """Return the integer of a padded feature of `op`, whose inputs are `scale` times integers.

    Raises
    ------
    UnsupportedModel
        If the padding is not an integer multiple of `scale`.
    """
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
    """Raise UnsupportedModel if a window covers padding alone: its maximum would be -infinity."""
    w, size = op.window, (height, width)
    out = w.output(height, width)
    for axis in (0, 1):
        first = np.arange(out[axis]) * w.stride[axis] - w.pads[axis]
        taps = first[:, None] + np.arange(w.kernel[axis]) * w.dilation[axis]
        if not ((taps >= 0) & (taps < size[axis])).any(1).all():
            raise UnsupportedModel(
                f"a window of it holds nothing but padding: its pads (top, left, bottom, right) are"
                f" {w.pads}, its kernel is {w.kernel}.",
                node=op.node,
                op=op.op,
                hint="less padding, so that every window includes a pixel.",
            )


def resolve_pads(net: ir.IntegerNetwork) -> ir.IntegerNetwork:
    """Set the pad code of each padded sum to the code of 0.

    This comes last, because mirroring a channel changes which code stands for 0.

    Raises
    ------
    UnsupportedModel
        If the alphabet of a padded sum's input has no 0.
    """
    layers = list(net.layers)
    for index, (layer, inp, _) in enumerate(net):
        if isinstance(layer, ir.SumPool) and any(layer.window.pads):
            code = inp.alphabet.code_of(0)
            if code is None:
                raise UnsupportedModel(
                    f"its padding of 0 is none of the values that it pools, {inp.alphabet}.",
                    node=(*layer.sources, layer.name)[0],
                    op="AveragePool",
                    hint="an average pool without padding.",
                )
            layers[index] = replace(layer, pad_code=code)
    return replace(net, layers=tuple(layers))
