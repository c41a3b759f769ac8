"""Transposed convolutions: one convolution makes all pixels of each cell of the result.

Each pixel of the result is a sum over the taps that lie on a pixel of the input, which are the same
for every `stride`-th row and column. So the pixels of a cell of stride x stride are the channels of
a convolution, which a stretch then puts side by side; there are no zeros between pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_FEATURES, MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.one_dimensional import also_along_a_line
from xnorflow.frontend.operators.windows import GEOMETRY, bias, conv
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Constant, Value
from xnorflow.graph.quantisers import Floats

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Axis:
    """The geometry of an axis.

    Parameters
    ----------
    kernel, stride, dilation : int
        Of the node.
    start : int
        Rows or columns of the whole result that are cropped ahead of the first.
    size : int
        Rows or columns of the node's result.
    cells : int
        Cells that the convolution has to make.
    """

    kernel: int
    stride: int
    dilation: int
    start: int
    size: int
    cells: int

    @property
    def reach(self) -> int:
        """Number of cells that the last tap is away from the first."""
        return (self.kernel - 1) * self.dilation // self.stride

    def tap(self, k: int) -> Pair:
        """Return the place in a cell that tap `k` adds to, and its place in the new kernel."""
        return k * self.dilation % self.stride, self.reach - k * self.dilation // self.stride


@handles("ConvTranspose", attributes=f"{GEOMETRY} group output_padding output_shape", inputs=(2, 3))
@also_along_a_line
def conv_transpose(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a transposed convolution."""
    x = activation(node, inputs[0])
    stored = inputs[1]
    if not isinstance(stored, Constant):
        raise node.unsupported("its weights depend on the input.", "constant weights.")
    if stored.value.ndim != 4 or not stored.value.size or x.index.ndim != 4:
        raise node.unsupported(
            f"its weights have shape {stored.value.shape}.",
            "a transposed convolution of one or two dimensions.",
        )
    channels, per_group, *kernel = stored.value.shape
    groups = node.integer("group", 1)
    if groups < 1 or channels % groups or channels != x.index.shape[1]:
        raise node.unsupported(
            f"weights {stored.value.shape} in {groups} groups do not fit {x.index.shape[1]}"
            " channels.",
            "weights [channels, out / group, rows, columns], with a group that divides both.",
        )
    if (node.integers("kernel_shape") or tuple(kernel)) != tuple(kernel):
        raise node.unsupported(
            "its kernel_shape is not that of its weights.", "no kernel_shape, or that."
        )
    axes = _axes(node, x.index.shape[2:], (kernel[0], kernel[1]))
    rows, columns = axes
    cell = (rows.stride, columns.stride)
    out = per_group * groups
    deep = (out * cell[0] * cell[1], channels // groups, rows.reach + 1, columns.reach + 1)
    elements(deep, MAX_WEIGHTS, what="its weights", node=node.name, op=node.op)
    size = (out, rows.size, columns.size)
    elements(size, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    values = bias(node, inputs[2] if len(inputs) > 2 else None, out)
    spread: Constant | None = None
    if values is not None:
        spread = Constant(_by_cell(values.reshape(groups, 1, 1, per_group), cell))
    ends = [a.cells - n for a, n in zip(axes, x.index.shape[2:], strict=True)]
    geometry = {
        "pads": (rows.reach, columns.reach, *(max(0, e) for e in ends)),
        "strides": (1, 1),
        "dilations": (1, 1),
        "kernel_shape": (rows.reach + 1, columns.reach + 1),
    }
    made, done = conv(
        node.changed(geometry, without=("auto_pad", "output_padding", "output_shape")),
        [x, _weights(stored, groups, axes), spread],
    )
    # The convolution's channels are [groups, rows, columns of a cell, outputs of a group].
    index = made.index[0].reshape(groups, *cell, per_group, *made.index.shape[2:])
    y, dy = np.divmod(np.arange(rows.size) + rows.start, rows.stride)
    z, dz = np.divmod(np.arange(columns.size) + columns.start, columns.stride)
    # Index arrays that stand apart give the first axes: [rows, columns, groups, outputs].
    picked = index[:, dy[:, None], dz, :, y[:, None], z]
    ordered = picked.transpose(2, 3, 0, 1).reshape(1, out, rows.size, columns.size)
    return replace(made, index=np.ascontiguousarray(ordered)), done


def _axes(node: Node, sizes: Sequence[int], kernel: Pair) -> tuple[_Axis, _Axis]:
    """Return the geometry of rows and columns; UnsupportedModel if nothing is left."""
    auto = node.text("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID") or node.integers("output_shape"):
        raise node.unsupported(
            "its padding is computed (auto_pad or output_shape).", "explicit pads."
        )
    strides = node.integers("strides") or (1, 1)
    dilations = node.integers("dilations") or (1, 1)
    added = node.integers("output_padding") or (0, 0)
    pads = node.integers("pads") or (0, 0, 0, 0)
    pads = (0, 0, 0, 0) if auto == "VALID" else pads
    for name, values, count, least in (
        ("strides", strides, 2, 1),
        ("dilations", dilations, 2, 1),
        ("output_padding", added, 2, 0),
        ("pads", pads, 4, 0),
    ):
        if len(values) != count or not all(least <= v < 1 << 16 for v in values):
            raise node.unsupported(f"its {name} are {values}.", f"{count} numbers from {least}.")
    found = []
    for a in (0, 1):
        extent = (kernel[a] - 1) * dilations[a] + 1
        size = (sizes[a] - 1) * strides[a] + extent + added[a] - pads[a] - pads[a + 2]
        if size < 1:
            raise node.unsupported("its pads leave nothing of its result.", "smaller pads.")
        cells = -(-(size + pads[a]) // strides[a])
        found.append(_Axis(kernel[a], strides[a], dilations[a], pads[a], size, cells))
    return found[0], found[1]


def _by_cell(values: Floats, cell: Pair) -> Floats:
    """Return values [groups, 1, 1, outputs] for each place of a cell, flat."""
    groups, _, _, outputs = values.shape
    return np.broadcast_to(values, (groups, *cell, outputs)).ravel()


def _weights(stored: Constant, groups: int, axes: tuple[_Axis, _Axis]) -> Constant:
    """Return the weights of the convolution, [outputs of all cells, in / groups, rows, columns]."""
    rows, columns = axes

    def turned(a: NDArray[Any]) -> NDArray[Any]:
        channels, outputs, *_ = stored.value.shape
        full = np.broadcast_to(a, stored.value.shape)
        parts = full.reshape(groups, channels // groups, outputs, rows.kernel, columns.kernel)
        made = np.zeros(
            (
                *(groups, rows.stride, columns.stride, outputs, channels // groups),
                *(rows.reach + 1, columns.reach + 1),
            ),
            a.dtype,
        )
        for k in range(rows.kernel):
            for m in range(columns.kernel):
                (i, p), (j, q) = rows.tap(k), columns.tap(m)
                made[:, i, j, :, :, p, q] = parts[..., k, m].transpose(0, 2, 1)
        return made.reshape(-1, *made.shape[4:])

    if stored.codes is None or stored.scale is None:
        return Constant(turned(stored.value))
    scale = np.broadcast_to(stored.scale, stored.value.shape)
    by_output = scale[:1, :, :1, :1]
    if not (scale == by_output).all():
        return Constant(turned(stored.value))
    of_all = np.tile(by_output.reshape(1, 1, 1, -1), (groups, 1, 1, 1))
    flat = _by_cell(of_all, (rows.stride, columns.stride))
    return Constant(turned(stored.value), turned(stored.codes), flat.reshape(-1, 1, 1, 1))
