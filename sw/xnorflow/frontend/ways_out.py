"""Hints for operators that cannot be mapped: what would work instead."""

from __future__ import annotations

ANY = (
    "convolutions, dense layers, pools, batch normalisation, functions of one value and quantisers"
    " (docs/operators.md lists all)."
)
FEED_FORWARD = "a feed-forward network of convolutions and dense layers."
BATCH_NORM = "BatchNormalization, whose statistics are constant in inference."
STATIC_SCALES = "static quantisation: QuantizeLinear with constant scales."
QDQ = "QuantizeLinear and DequantizeLinear around the plain operator (the QDQ format)."

WAYS_OUT = {
    "Einsum": "MatMul, Gemm or Conv with constant weights.",
    "InstanceNormalization": BATCH_NORM,
    "LayerNormalization": BATCH_NORM,
    "GroupNormalization": BATCH_NORM,
    "LpNormalization": BATCH_NORM,
    "LRN": BATCH_NORM,
    "DynamicQuantizeLinear": STATIC_SCALES,
    "DynamicQuantizeMatMul": STATIC_SCALES,
    "QLinearAdd": QDQ,
    "QLinearMul": QDQ,
    "QLinearConcat": QDQ,
    "LSTM": FEED_FORWARD,
    "GRU": FEED_FORWARD,
    "RNN": FEED_FORWARD,
    "Attention": FEED_FORWARD,
    "If": FEED_FORWARD,
    "Loop": FEED_FORWARD,
    "Scan": FEED_FORWARD,
}
"""Hints by operator; `ANY` is for all others."""


def way_out(op: str) -> str:
    """Return the hint for an operator: what would work instead."""
    return WAYS_OUT.get(op, ANY)
