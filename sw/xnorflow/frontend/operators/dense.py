"""Dense layers: products of features and a constant matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xnorflow.frontend.limits import MAX_FEATURES, MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.quantise import float_parameter
from xnorflow.frontend.operators.weights import layer_weights
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Activation, Constant, LayoutError, Rearrangement, Value
from xnorflow.graph import ops as graph
from xnorflow.graph.quantisers import Floats


def product(node: Node, x: Activation, matrix: Constant, bias: Floats | None = None) -> Result:
    """Import the product of the features' last axis and a matrix [in, out].

    Features of one row make a dense layer, with the matrix's rows in the order of the frame.
    Features of a row per pixel make a 1 x 1 convolution.

    Parameters
    ----------
    node : Node
        The node to import.
    x : Activation
        Features [..., in].
    matrix : Constant
        Weights.
    bias : float32 array [out], optional
        Bias of each output.

    Raises
    ------
    LayoutError
        If a row of features is not the channels of a pixel.
    UnsupportedModel
        If shapes do not fit, or the weights are not quantised.
    """
    if matrix.value.ndim != 2 or not matrix.value.size or x.index.ndim < 1:
        raise node.unsupported(
            f"its matrix has shape {matrix.value.shape}.", "a constant matrix [inputs, outputs]."
        )
    features, out = matrix.value.shape
    if x.index.shape[-1] != features:
        raise node.unsupported(
            f"its matrix has {features} rows for {x.index.shape[-1]} features.",
            "a matrix with a row for each feature.",
        )
    if x.padded:
        raise node.unsupported("its input is padded.", "padding before a convolution or pool.")
    h, w, c = x.frame
    rows = x.index.reshape(-1, features)
    single, deep = len(rows) == 1, h * w * c if len(rows) == 1 else c
    channels = rows[0] if single else rows[0] % c
    pixels = rows[:, 0] // c
    whole = len(np.unique(channels)) == deep == features
    in_rows = single or np.array_equal(rows, pixels[:, None] * c + channels)
    if not in_rows or (x.raw and not whole):
        outer = [n for n in x.index.shape[:-1] if n > 1]
        grid = (1, *outer)[-2:] if len(outer) in (1, 2) else (1, len(rows))
        raise LayoutError(
            node.unsupported(
                "it multiplies features along another axis than the channels.",
                "flattened features [1, n], or channels last.",
            ),
            Rearrangement(
                rows.reshape(*grid, features),
                np.arange(rows.size, dtype=np.int64).reshape(x.index.shape),
            ),
        )
    weights, scale = layer_weights(node, matrix, 1)
    elements((out, deep), MAX_WEIGHTS, what="its weights", node=node.name, op=node.op)
    # The rows of the matrix in the order of the frame; a feature that is read twice has the sum.
    summed = np.zeros((deep, out), weights.dtype)
    np.add.at(summed, channels, weights)
    ordered = np.ascontiguousarray(summed.T)
    before: tuple[graph.Op, ...] = ()
    if single and h * w > 1:
        before = (graph.FlattenOp(node=node.name, op=node.op),)
    frame = (1, 1, out) if single else (h, w, out)
    elements(frame, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    op = graph.ConvOp(
        ordered.reshape(out, 1, 1, deep), scale, bias=bias, node=node.name, op=node.op
    )
    index = (0 if single else pixels[:, None]) * out + np.arange(out)
    return Activation(frame, index.reshape(*x.index.shape[:-1], out)), (*before, op)


@handles("MatMul", inputs=(2, 2))
def matmul(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a product with a constant matrix on the right."""
    a, b = inputs
    if not isinstance(a, Activation) or not isinstance(b, Constant):
        raise node.unsupported(
            "it does not multiply features by a constant matrix on the right.",
            "features @ weights, the weights being constant.",
        )
    return product(node, a, b)


@handles("Gemm", attributes="alpha beta transA transB", inputs=(2, 3))
def gemm(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import ``alpha * features @ matrix + beta * bias``."""
    x = activation(node, inputs[0])
    matrix = inputs[1]
    if not isinstance(matrix, Constant) or x.index.ndim != 2:
        raise node.unsupported(
            "it does not multiply flat features by a constant matrix.",
            "features [1, n] and constant weights.",
        )
    turned = bool(node.integer("transA", 0))
    if turned:
        x = replace(x, index=x.index.T)
    if node.integer("transB", 0):
        shape = matrix.value.shape
        codes, scale = (
            None if a is None else np.broadcast_to(a, shape).T for a in (matrix.codes, matrix.scale)
        )
        matrix = Constant(matrix.value.T, codes, scale)
    try:
        x, ops = product(node, x, matrix)
    except LayoutError as e:
        if turned:
            raise LayoutError(e, *(replace(c, index=c.index.T) for c in e.choices)) from e
        raise
    alpha, beta = (np.float32(node.number(n, 1.0)) for n in ("alpha", "beta"))
    if not np.isfinite([alpha, beta]).all():
        raise node.unsupported(
            f"its alpha {alpha} or beta {beta} is not finite.", "finite alpha and beta."
        )
    if alpha != 1:
        ops += (graph.MultiplyOp(np.asarray(alpha), node=node.name, op=node.op),)
    if len(inputs) > 2 and inputs[2] is not None and beta != 0:
        given = inputs[2]
        out = x.frame[2]
        if (
            not isinstance(given, Constant)
            or given.value.size not in (1, out)
            or given.value.shape[-1:] not in ((), (1,), (out,))
        ):
            raise node.unsupported(
                "its bias is not one constant per output.", f"a constant bias of {out} values."
            )
        value = beta * float_parameter(node, given.value, "bias").ravel()
        ops += (
            graph.AddOp(value if len(value) > 1 else value.reshape(()), node=node.name, op=node.op),
        )
    return x, ops
