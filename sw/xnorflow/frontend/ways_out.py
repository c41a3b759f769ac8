"""Hints for operators that cannot be mapped: what would work instead."""

from __future__ import annotations

ANY = (
    "convolutions, dense layers, pools, batch normalisation, functions of one value and quantisers"
    " (docs/operators.md lists all)."
)
FEED_FORWARD = "a feed-forward network of convolutions and dense layers."
NO_BRANCH = "a network without branches and residual connections."
BATCH_NORM = "BatchNormalization, whose statistics are constant in inference."
STATIC_SCALES = "static quantisation: QuantizeLinear with constant scales."

WAYS_OUT = {
    "Resize": "no resizing between layers, or a network that ends before it.",
    "Upsample": "no resizing between layers, or a network that ends before it.",
    "ConvTranspose": "a convolution, or a network that ends before it.",
    "Einsum": "MatMul, Gemm or Conv with constant weights.",
    "InstanceNormalization": BATCH_NORM,
    "LayerNormalization": BATCH_NORM,
    "GroupNormalization": BATCH_NORM,
    "LpNormalization": BATCH_NORM,
    "LRN": BATCH_NORM,
    "DynamicQuantizeLinear": STATIC_SCALES,
    "DynamicQuantizeMatMul": STATIC_SCALES,
    "QLinearAdd": NO_BRANCH,
    "QLinearConcat": NO_BRANCH,
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
