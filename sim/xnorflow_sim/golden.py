"""The golden model: an integer network, executed layer by layer in NumPy.

It is the specification of what the hardware computes. All values are integers. Matrix products go
through BLAS in float32 or float64, but only where every partial sum fits the mantissa: then the
float result is the integer result, whatever the order of summation.

Where there is a C++ compiler, `run` leaves parts of a network to the room `compiled`, and holds the
scores of the first frames to NumPy's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import reduce, singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput, CheckFailed
from xnorflow.ir.alphabet import Ints
from xnorflow.ir.features import Features, Window
from xnorflow.ir.joins import Add, AllScores, Concat, Join, Maximum, Multiply
from xnorflow.ir.layer import Layer
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import (
    CodeTable,
    Conv,
    Flatten,
    InputTable,
    MaxPool,
    Rescale,
    Scores,
    SumPool,
    Threshold,
)
from xnorflow.ir.looked_up import Gather
from xnorflow.ir.score_steps import run as run_steps
from xnorflow.ir.stretches import AddMap, Stretch
from xnorflow_sim.compiled.compiled_layers import CompiledLayers, compiled_layers

BATCH_BYTES = 1 << 26
"""Most memory for the largest feature map of a batch, in bytes."""
PATCH_BYTES = 1 << 22
"""Most memory for the windows that are multiplied at once, in bytes; a cache holds that."""

ENGINE = "XNORFLOW_GOLDEN"
"""Variable that chooses who computes scores: ``numpy``, ``compiled`` (an error where it cannot be
built), or ``auto``, the default."""
ENGINES = ("auto", "numpy", "compiled")
FEW = 16
"""Fewer frames are computed in NumPy alone, unless ``compiled`` is asked for."""
CHECKED = 2
"""Frames of every run whose scores are computed in NumPy, too."""


def frames(net: LayerGraph, x: NDArray[Any]) -> NDArray[Any]:
    """Turn a user's samples into what the stream carries: codes, in its order.

    Parameters
    ----------
    net : LayerGraph
        Its `input_order` says which shapes `x` may have, and in what order its samples are.
    x : array [N, ...]
        Samples of the type that `net.samples` names.

    Returns
    -------
    uint8 array [N, height, width, channels]
        The codes, uint16 where samples have more than 8 bits; a uint8 sample is its own code.

    Raises
    ------
    BadInput
        If `x` is of another type or does not hold frames of the network's shape.
    """
    x = np.asarray(x)
    takes = (
        f"data of type {x.dtype} and shape {list(x.shape)} do not fit {net.name}: it takes"
        f" {net.samples} {net.input_order.describe(net.shape)}"
    )
    wrong = net.samples.fits(x)
    if wrong or x.ndim < 2:
        raise BadInput(takes + (f"; {wrong}" if wrong else ""))
    try:
        return net.samples.encode(net.input_order.frames(x, net.shape))
    except BadInput as e:
        raise BadInput(f"{takes}; {e}") from e


Edges = int | NDArray[Any] | None
"""How many edges of each layer are enabled: one number for all frames, or one for each; None for
all edges. A layer with fewer edges computes with all of its own."""


def run(
    net: LayerGraph,
    x: NDArray[Any],
    progress: Callable[[int, int], object] | None = None,
    edges: Edges = None,
) -> Ints:
    """Compute the scores of a network.

    Parameters
    ----------
    net : LayerGraph
        Network to execute.
    x : uint8 array [N, ...]
        A user's samples, as for `frames`.
    progress : callable, optional
        Is called with the numbers of frames that are done and of all frames.
    edges : int or int array [N], optional
        Number of enabled edges; see `Edges`.

    Returns
    -------
    int64 array [N, classes]
        Scores of each frame.

    Raises
    ------
    BadInput
        If `x` does not fit the network, or `edges` not its edges.
    """
    return run_frames(net, frames(net, x), progress, edges)


def run_frames(
    net: LayerGraph,
    x: NDArray[Any],
    progress: Callable[[int, int], object] | None = None,
    edges: Edges = None,
) -> Ints:
    """Compute the scores of frames that `frames` made; otherwise as `run`.

    Raises
    ------
    CheckFailed
        If compiled layers give other scores than NumPy does.
    """
    out = np.empty((len(x), net.score_count), np.int64)
    step = max(1, BATCH_BYTES // (8 * _widest(net)))
    counts = enabled_edges(net, len(x), edges)
    fast = _chosen(net, len(x)) if (counts == net.edge_count).all() else None
    done = 0
    for count in np.unique(counts).tolist():
        chosen = np.flatnonzero(counts == count)
        for first in range(0, len(chosen), step):
            at = chosen[first : first + step]
            out[at] = _frame_scores(net, x[at], count, fast)
            done += len(at)
            if progress:
                progress(done, len(x))
    if fast:
        _hold(net, x[:CHECKED], out[:CHECKED])
    return out


def _frame_scores(
    net: LayerGraph,
    x: NDArray[Any],
    count: int | None = None,
    fast: CompiledLayers | None = None,
) -> NDArray[Any]:
    """Return the scores of frames [N, scores], as `trace` computes them."""
    *_, (_, values) = trace(net, x, count, fast)
    return values.reshape(len(x), -1)


def _chosen(net: LayerGraph, count: int) -> CompiledLayers | None:
    """Return the compiled layers that a run of so many frames takes; None for NumPy alone."""
    engine = os.environ.get(ENGINE) or "auto"
    if engine not in ENGINES:
        raise BadInput(f"{ENGINE} is {engine!r}, but it can only be {', '.join(ENGINES)}")
    if engine == "numpy" or (engine == "auto" and count < FEW):
        return None
    return compiled_layers(net, needed=engine == "compiled")


def _hold(net: LayerGraph, x: NDArray[Any], scores: NDArray[Any]) -> None:
    """Compare scores of compiled layers with those of NumPy; CheckFailed if they differ."""
    wrong = (scores != _frame_scores(net, x)).any(1)
    if wrong.any():
        raise CheckFailed(
            f"network {net.name}: its compiled layers give frame {int(wrong.argmax())} other scores"
            f" than NumPy, so its scores cannot be trusted. What would work: set {ENGINE}=numpy"
        )


def enabled_edges(net: LayerGraph, count: int, edges: Edges) -> Ints:
    """Return the number of enabled edges of each of `count` frames.

    Raises
    ------
    BadInput
        If it is no number of edges of the network, or not one for every frame.
    """
    found = np.asarray(net.edge_count if edges is None else edges)
    most = net.edge_count
    if found.dtype.kind not in "iu" or found.shape not in ((), (count,)):
        raise BadInput(
            f"edges of type {found.dtype} and shape {list(found.shape)} do not fit: one whole"
            f" number for all frames is needed, or one for each of the {count}"
        )
    if found.size and not 1 <= found.min() <= found.max() <= most:
        raise BadInput(
            f"{found.min()} to {found.max()} enabled edges are not possible: layers of {net.name}"
            f" have at most {most}, so 1 to {most} would work"
        )
    return np.broadcast_to(found.astype(np.int64), (count,))


def trace(
    net: LayerGraph,
    x: NDArray[Any],
    edges: int | None = None,
    fast: CompiledLayers | None = None,
) -> Iterator[tuple[Layer, NDArray[Any]]]:
    """Compute one layer after the other, and yield each with its output.

    Parameters
    ----------
    net : LayerGraph
        Network to execute.
    x : uint8 array [N, height, width, channels]
        Frames that `frames` made.
    edges : int, optional
        Number of enabled edges of each layer, all by default.
    fast : CompiledLayers, optional
        Compiled parts of a network with all edges; of each only the last layer is yielded.

    Yields
    ------
    layer : Layer
        Layer that was computed.
    values : array [N, height, width, channels]
        Its output: integers, in a dtype that holds them exactly.
    """
    maps: dict[int, NDArray[Any]] = {}
    if all(isinstance(net.layers[k], InputTable) for k in net.readers[0]):
        # A table is indexed by codes; only other layers read the samples' values.
        maps[0] = x
    else:
        maps[0] = net.samples.alphabet.values(x).astype(np.float32)
    end = 0
    while end < len(net.layers):
        k, end = end, end + 1
        layer, reads = net.layers[k], net.reads[k]
        read = [maps[at] for at in reads]
        if fast is not None and k in fast.tables:
            part = fast.tables[k]
            end, layer = part.end, net.layers[part.end - 1]
            a = part.out.alphabet
            found = fast(part, x if part.source == 0 else read[0])
            values = found.astype(_exact_dtype(max(abs(a.lo), abs(a.hi))))
        elif isinstance(layer, Join):
            values = join(layer, *read)
        else:
            inp = x if isinstance(layer, InputTable) else read[0]
            # Features are those of all edges, whatever number of them is enabled.
            if isinstance(layer, Conv) and edges is not None:
                values = apply(layer.with_edges(edges), inp, net.features[reads[0]])
            else:
                values = apply(layer, inp, net.features[reads[0]])
        maps[end] = values
        # What nothing later reads is dropped.
        for at in set(reads):
            if net.readers[at][-1] == k:
                del maps[at]
        yield layer, values


def _widest(net: LayerGraph) -> int:
    """Return the number of elements of a frame's largest feature map."""
    return max(features.size for features in net.features)


@singledispatch
def apply(layer: Layer, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    """Compute one layer.

    Parameters
    ----------
    layer : Layer
        Layer to compute.
    x : array [N, height, width, channels]
        Values of its input.
    inp : Features
        Shape and alphabet of its input.

    Returns
    -------
    array [N, height, width, channels]
        Values of its output.

    Raises
    ------
    TypeError
        If the golden model does not know the layer's type.
    """
    raise TypeError(f"the golden model knows no layer of type {type(layer).__name__}")


@apply.register
def _input(layer: InputTable, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    a = layer.alphabet
    table: NDArray[Any] = a.values(layer.table).astype(_exact_dtype(max(abs(a.lo), abs(a.hi))))
    channel = 0 if len(table) == 1 else np.arange(inp.channels)
    values: NDArray[Any] = table[channel, x]
    return values


@apply.register
def _flatten(layer: Flatten, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    return x.reshape(len(x), 1, 1, -1)


def _exact_dtype(largest: int) -> type[np.float32] | type[np.float64]:
    """Return the float type in which sums of integers up to `largest` are exact."""
    if largest < 2**24:
        return np.float32
    if largest < 2**53:
        return np.float64
    raise OverflowError(f"sums of up to {largest} are not exact in float64")


@apply.register
def _conv(layer: Conv, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    largest_input = max(abs(inp.alphabet.lo), abs(inp.alphabet.hi), abs(layer.pad_value))
    per_channel = np.abs(layer.weights).reshape(len(layer.weights), -1).sum(1)
    largest = int(per_channel.max()) * largest_input
    # Two frames are computed at once: features a + shift * b give sums a + shift * b. A shift above
    # twice the largest sum lets them be separated again, and a power of two divides exactly.
    shift = 1 << (2 * largest).bit_length()
    if largest * (shift + 1) < 2**24 and len(x) > 1:
        half = (len(x) + 1) // 2
        pair = x[:half].astype(np.float32)
        pair[: len(x) - half] += shift * x[half:]
        sums = _correlate(layer, inp, pair, np.float32, layer.pad_value * (shift + 1))
        second = np.rint(sums * np.float32(1 / shift))
        sums -= shift * second
        return np.concatenate([sums, second[: len(x) - half]])
    return _correlate(layer, inp, x, _exact_dtype(largest), layer.pad_value)


def _correlate(layer: Conv, inp: Features, x: NDArray[Any], dtype: Any, pad: int) -> NDArray[Any]:
    """Compute the sums of windows times weights in `dtype`, in which all have to be exact."""
    x = x.astype(dtype, copy=False)
    groups, channels = layer.groups, inp.channels // layer.groups
    # One matrix [inputs, outputs] per group.
    matrices = layer.weights.reshape(groups, len(layer.weights) // groups, -1)
    matrices = matrices.transpose(0, 2, 1).astype(dtype)
    _, taps, outputs = matrices.shape
    height, width = layer.window.output(inp.height, inp.width)
    out = np.empty((len(x), height, width, groups * outputs), dtype)
    step = max(1, PATCH_BYTES // (height * width * groups * taps * x.itemsize))
    for first in range(0, len(x), step):
        patches = windows(x[first : first + step], layer.window, pad)
        for g, matrix in enumerate(matrices):
            own = patches[..., g * channels : (g + 1) * channels]
            sums = own.reshape(-1, taps) @ matrix
            out[first : first + step, ..., g * outputs : (g + 1) * outputs] = sums.reshape(
                -1, height, width, outputs
            )
    return out


@apply.register
def _gather(layer: Gather, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    largest = max(abs(inp.alphabet.lo), abs(inp.alphabet.hi), abs(layer.pad_value))
    x = x.astype(_exact_dtype(largest * layer.lookups), copy=False)
    patches, channels = windows(x, layer.window, layer.pad_value), layer.channels
    sums = np.zeros((*patches.shape[:3], len(channels)), x.dtype)
    for row, column in np.ndindex(layer.window.kernel):
        for table in range(layer.tables):
            sums += patches[:, :, :, row, column][..., channels[:, row, column, table]]
    return np.asarray(sums * np.where(layer.negative, -1, 1).astype(x.dtype))


@apply.register
def _max_pool(layer: MaxPool, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    sign = np.where(layer.minimum, -1, 1).astype(np.float32)
    patches = windows(x * sign if layer.minimum.any() else x, layer.window, -np.inf)
    first, *others = np.ndindex(layer.window.kernel)
    best = patches[:, :, :, first[0], first[1]].copy()
    for row, column in others:
        np.maximum(best, patches[:, :, :, row, column], out=best)
    return best * sign


@apply.register
def _sum_pool(layer: SumPool, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    taps = layer.window.kernel[0] * layer.window.kernel[1]
    dtype = _exact_dtype(max(abs(inp.alphabet.lo), abs(inp.alphabet.hi)) * taps)
    pad = inp.alphabet.lo + inp.alphabet.step * layer.pad_code
    patches = windows(x.astype(dtype, copy=False), layer.window, pad)
    return np.asarray(patches.sum(axis=(3, 4)))


@apply.register
def _threshold(layer: Threshold, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    columns, a = layer.thresholds.T.astype(x.dtype), layer.alphabet
    dtype = _exact_dtype(max(abs(a.lo), abs(a.hi), a.hi - a.lo))
    codes = (x >= columns[0]).astype(dtype) if len(columns) else np.zeros(x.shape, dtype)
    for column in columns[1:]:
        codes += x >= column
    codes *= a.step
    codes += a.lo
    return codes


@apply.register
def _rescale(layer: Rescale, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    a = layer.alphabet
    scaled = (x.astype(np.int64) * layer.multiply + layer.offset) >> layer.shift
    codes = np.clip(scaled, layer.least, layer.most)
    return a.values(codes).astype(_exact_dtype(max(abs(a.lo), abs(a.hi))))


@apply.register
def _code_table(layer: CodeTable, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    codes = (x.astype(np.int64) - inp.alphabet.lo) // inp.alphabet.step
    table = layer.alphabet.values(layer.table).astype(np.float32)
    return table[np.arange(inp.channels), codes]


@apply.register
def _scores(layer: Scores, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    values = x.astype(np.int64)
    if layer.steps:
        return run_steps(layer.steps, values)
    if layer.ranks is None or layer.rank_lo is None:
        return layer.factor * values + layer.offsets
    at = values - layer.rank_lo
    inside = np.clip(at, 0, layer.ranks.shape[1] - 1)
    ranks = np.where(at == inside, layer.ranks[np.arange(inp.channels), inside], -1)
    if ranks.min(initial=0) < 0:
        frame, _, _, score = np.argwhere(ranks < 0)[0]
        raise BadInput(
            f"layer {layer.name!r} has no rank for the value {values[frame, 0, 0, score]} of class"
            f" {score}: the network's file is wrong"
        )
    return ranks


@apply.register
def _stretch(layer: Stretch, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    return layer.stretched(x, 0)


@apply.register
def _add_map(layer: AddMap, x: NDArray[Any], inp: Features) -> NDArray[Any]:
    return _exact(x.astype(np.int64) + layer.values)


@singledispatch
def join(layer: Join, *maps: NDArray[Any]) -> NDArray[Any]:
    """Compute a layer that joins maps.

    Parameters
    ----------
    layer : Join
        Layer to compute.
    *maps : array [N, height, width, channels]
        Values of its inputs; those of one pixel or one channel are broadcast.

    Returns
    -------
    array [N, height, width, channels]
        Values of its output.

    Raises
    ------
    TypeError
        If the golden model does not know the layer's type.
    """
    raise TypeError(f"the golden model knows no layer of type {type(layer).__name__}")


@join.register
def _add(layer: Add, *maps: NDArray[Any]) -> NDArray[Any]:
    scaled = (m * x.astype(np.int64) for m, x in zip(layer.multiply, maps, strict=True))
    return _exact(sum(scaled))


@join.register
def _multiply(layer: Multiply, *maps: NDArray[Any]) -> NDArray[Any]:
    a, b = maps
    return _exact(a.astype(np.int64) * b.astype(np.int64))


@join.register
def _maximum(layer: Maximum, *maps: NDArray[Any]) -> NDArray[Any]:
    scaled = (m * x.astype(np.int64) for m, x in zip(layer.multiply, maps, strict=True))
    return _exact(reduce(np.minimum if layer.minimum else np.maximum, scaled))


@join.register
def _concat(layer: Concat, *maps: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(maps, 1 + layer.axis)


@join.register
def _all_scores(layer: AllScores, *maps: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([x.reshape(len(x), 1, 1, -1) for x in maps], 3)


def _exact(values: Any) -> NDArray[Any]:
    """Return int64 values in the narrowest float type that holds them exactly."""
    return np.asarray(values.astype(_exact_dtype(int(np.abs(values).max(initial=0)))))


def windows(x: NDArray[Any], window: Window, pad: float) -> NDArray[Any]:
    """Return every window of a feature map.

    Parameters
    ----------
    x : array [N, height, width, channels]
        Feature map.
    window : Window
        Kernel, stride, dilation and padding.
    pad : float
        Value of the padding.

    Returns
    -------
    array [N, out_rows, out_cols, kernel_rows, kernel_cols, channels]
        Windows; the array may share memory with `x`.
    """
    top, left, bottom, right = window.pads
    if any(window.pads):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad)
    rows, cols = window.extent
    (sy, sx), (dy, dx) = window.stride, window.dilation
    view = np.lib.stride_tricks.sliding_window_view(x, (rows, cols), axis=(1, 2))
    return view[:, ::sy, ::sx, :, ::dy, ::dx].transpose(0, 1, 2, 4, 5, 3)
