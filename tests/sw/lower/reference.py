"""A graph executed in float32 by NumPy: the truth that lowering is compared with.

Sums of products are accumulated in float64 and rounded once to float32, so a test whose scales are
powers of two sees exactly what any framework computes.
"""

import numpy as np

from xnorflow.graph import join_ops, ops
from xnorflow.graph.gather_op import GatherOp


def windows(x, window, pad):
    """Return [frames, rows, columns, kernel_rows, kernel_cols, channels]."""
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


def cell(op, x):
    """Stretch and crop a map, pixel by pixel."""
    (fy, fx), (top, left, bottom, right) = op.factors, op.crop
    n, rows, cols, channels = x.shape
    channels //= fy * fx if op.fill == "blocks" else 1
    out = np.zeros((n, rows * fy, cols * fx, channels), x.dtype)
    for y in range(rows * fy):
        for z in range(cols * fx):
            pixel, (i, j) = x[:, y // fy, z // fx], (y % fy, z % fx)
            if op.fill == "blocks":
                out[:, y, z] = pixel[:, (i * fx + j) * channels : (i * fx + j + 1) * channels]
            elif op.fill == "repeat" or (i, j) == (0, 0):
                out[:, y, z] = pixel
    return out[:, top : rows * fy - bottom, left : cols * fx - right]


def step(op, x, *others):
    """Run one operation on float32 [frames, rows, columns, channels]."""
    match op:
        case join_ops.SumOp():
            for sign, other in zip(op.signs[1:], others, strict=True):
                x = (x + np.float32(sign) * other).astype(np.float32)
            return x
        case join_ops.ProductOp():
            return x * others[0]
        case join_ops.MaximumOp():
            stack = np.stack(np.broadcast_arrays(x, *others))
            return stack.min(0) if op.minimum else stack.max(0)
        case join_ops.ConcatOp():
            return np.concatenate([x, *others], op.axis + 1)
        case join_ops.AddMapOp():
            return x + op.value
        case join_ops.OrderOp():
            return x
        case join_ops.StretchOp():
            return cell(op, x)
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
        case GatherOp():
            taps = windows(x, op.window, 0).astype(np.float64)
            out, tables = len(op.indices), op.indices.shape[3]
            weights = np.zeros((out, *op.window.kernel, tables, op.words))
            for at in np.ndindex(op.indices.shape):
                weights[(*at, op.indices[at])] = 1
            weights = weights.reshape(out, *op.window.kernel, -1)
            return np.einsum("nyxklc,oklc->nyxo", taps, weights).astype(np.float32)
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
    made = [values]
    for op, reads in zip(graph.ops, graph.reads, strict=True):
        made.append(step(op, *(made[k + 1] for k in reads)))
    if not graph.outputs:
        return made[-1].reshape(len(x), -1)
    at = {op.name: k + 1 for k, op in enumerate(graph.ops) if op.name}
    parts = [made[at[o.value]].reshape(len(x), -1)[:, o.gather] for o in graph.outputs]
    return np.concatenate(parts, 1)
