"""A graph executed in float32 by NumPy: the truth that lowering is compared with.

Sums of products are accumulated in float64 and rounded once to float32, so a test whose scales are
powers of two sees exactly what any framework computes.
"""

import numpy as np

from xnorflow.graph import ops


def windows(x, window, pad):
    """Give [frames, rows, columns, kernel_rows, kernel_cols, channels]."""
    top, left, bottom, right = window.pads
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad)
    rows, cols = window.output(x.shape[1] - top - bottom, x.shape[2] - left - right)
    out = np.empty((len(x), rows, cols, *window.kernel, x.shape[3]), x.dtype)
    for row in range(rows):
        for col in range(cols):
            for ky in range(window.kernel[0]):
                for kx in range(window.kernel[1]):
                    y = row * window.stride[0] + ky * window.dilation[0]
                    z = col * window.stride[1] + kx * window.dilation[1]
                    out[:, row, col, ky, kx] = x[:, y, z]
    return out


def step(op, x):
    """Run one operation on float32 [frames, rows, columns, channels]."""
    match op:
        case ops.Elementwise():
            with np.errstate(all="ignore"):
                return op.apply(x)
        case ops.FlattenOp():
            return x.reshape(len(x), 1, 1, -1)
        case ops.MaxPoolOp():
            lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
            return windows(x, op.window, lowest).max(axis=(3, 4))
        case ops.SumPoolOp():
            taps = windows(x, op.window, 0).astype(np.float64)
            return taps.sum(axis=(3, 4)).astype(np.float32)
        case ops.AveragePoolOp():
            taps = windows(x, op.window, 0).astype(np.float64)
            total = taps.sum(axis=(3, 4)).astype(np.float32)
            return total / op.counts(*x.shape[1:3]).astype(np.float32)[..., None]
        case ops.ConvOp():
            scale = np.broadcast_to(np.asarray(op.scale, np.float64), (len(op.weights),))
            taps = windows(x, op.window, op.pad_value).astype(np.float64)
            weights = ops.widened(op.weights, op.groups) * scale[:, None, None, None]
            out = np.einsum("nyxklc,oklc->nyxo", taps, weights).astype(np.float32)
            return out if op.bias is None else out + op.bias
    raise TypeError(type(op))


def run(graph, x):
    """Return float32 scores [frames, classes] of uint8 frames [frames, rows, columns, channels]."""
    n, factor = graph.input_scale.divisor, graph.input_scale.factor
    values = x.astype(np.float32)
    values = values / np.float32(n) if n else values * np.float32(factor)
    for op in graph.ops:
        values = step(op, values)
    return values.reshape(len(x), -1)
