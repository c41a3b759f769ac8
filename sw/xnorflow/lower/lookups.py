"""Product-quantised layers: sums of channels that constants pick from a table become one operation.

Such a layer is exported as a 1 x 1 convolution that makes the table, then for each position of the
kernel a slice of the map, one or more picks of its channels, and their sum. All of that together is
a `GatherOp` on the table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow.graph import ops as g
from xnorflow.graph.gather_op import GatherOp, Taps
from xnorflow.graph.join_ops import StretchOp, SumOp
from xnorflow.ir import FRAME, Ints, Window
from xnorflow.lower.branches.segments import BETWEEN, shape_between
from xnorflow.lower.common_scale import find
from xnorflow.lower.passes import Shape, output_shape

MAX_TERMS = 1 << 24
"""Most terms of the sums of one layer."""


def merge_lookups(graph: g.Graph) -> g.Graph:
    """Merge slices, picks and sums of a table's channels into a `GatherOp`.

    What does not have this form is left as it is. The weights that make the table get one scale for
    all channels where there is one, because entries of different tables are added.
    """
    if not any(isinstance(op, GatherOp | SumOp) for op in graph.ops):
        return graph
    follower = _Follower(graph)
    made: dict[int, tuple[g.Op, ...]] = {}
    for k, (base, taps) in follower.taps.items():
        terms = sum(c.shape[1] for c in taps.channels.values())
        if terms > 1 and not all(j in follower.taps for j in follower.readers[k]):
            found = taps.lookups(*follower.shapes[base])
            if found is not None:
                made[k] = found
    return _rewritten(follower, made) if made else graph


class _Follower:
    """The values of a graph that are sums of channels of a table, found in order of execution."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.shapes: dict[int, Shape] = {-1: graph.shape}
        self.readers: dict[int, list[int]] = {k: [] for k in range(-1, len(graph.ops))}
        self.taps: dict[int, tuple[int, Taps]] = {}
        """By the operation that makes a value: the table, as an operation, and what is taken."""
        for k, (op, reads) in enumerate(zip(graph.ops, graph.reads, strict=True)):
            shapes = [self.shapes[at] for at in reads]
            between = isinstance(op, BETWEEN)
            self.shapes[k] = shape_between(op, *shapes) if between else output_shape(op, shapes[0])
            for at in reads:
                self.readers[at].append(k)
            found = self._sum(op, reads) if isinstance(op, SumOp) else self._moved(op, reads[0])
            if found is not None:
                self.taps[k] = found
        # Whoever calls reads the last value and the outputs.
        ends = {o.value for o in graph.outputs}
        for k, op in enumerate(graph.ops):
            if op.name in ends or (not ends and k == len(graph.ops) - 1):
                self.readers[k].append(len(graph.ops))

    def _sum(self, op: SumOp, reads: tuple[int, ...]) -> tuple[int, Taps] | None:
        """Return a sum of values that all are taken of one table in the same way."""
        if any(sign < 0 for sign in op.signs) or any(at not in self.taps for at in reads):
            return None
        parts = [self.taps[at] for at in reads]
        base, first = parts[0]
        if any((b, t.size, t.stride) != (base, first.size, first.stride) for b, t in parts):
            return None
        if len({len(c) for _, t in parts for c in t.channels.values()}) != 1:
            return None
        channels: dict[tuple[int, int], Ints] = {}
        for _, taps in parts:
            for offset, own in taps.channels.items():
                before = channels.get(offset)
                channels[offset] = own if before is None else np.concatenate([before, own], axis=1)
        return base, replace(first, channels=channels)

    def _moved(self, op: g.Op, at: int) -> tuple[int, Taps] | None:
        """Return what a crop, a pick or a lookup takes of a table."""
        if at in self.taps:
            base, taps = self.taps[at]
        elif at >= 0 and _makes_table(self.graph.ops[at]):
            height, width, depth = self.shapes[at]
            base, taps = at, Taps({(0, 0): np.arange(depth)[:, None]}, (height, width))
        else:
            return None
        sy, sx = taps.stride
        if isinstance(op, StretchOp) and op.factors == (1, 1):
            top, left, bottom, right = op.crop
            moved = {(y + sy * top, x + sx * left): c for (y, x), c in taps.channels.items()}
            height, width = taps.size
            return base, Taps(moved, (height - top - bottom, width - left - right), taps.stride)
        window, picks = _picks(op)
        if picks is None or not self._pads(window, taps, self.shapes[base]):
            return None
        terms = sum(p.shape[1] for p in picks.values())
        each = sum(c.shape[1] for c in taps.channels.values())
        if len(next(iter(picks.values()))) * terms * each > MAX_TERMS:
            return None
        channels: dict[tuple[int, int], Ints] = {}
        for (ky, kx), chosen in picks.items():
            row = ky * window.dilation[0] - window.pads[0]
            column = kx * window.dilation[1] - window.pads[1]
            for (y, x), of in taps.channels.items():
                offset = (y + sy * row, x + sx * column)
                own = of[chosen].reshape(len(chosen), -1)
                before = channels.get(offset)
                channels[offset] = own if before is None else np.concatenate([before, own], axis=1)
        size = window.output(*taps.size)
        return base, Taps(channels, size, (sy * window.stride[0], sx * window.stride[1]))

    @staticmethod
    def _pads(window: Window, taps: Taps, base: Shape) -> bool:
        """Return whether what pads a map lies beyond the table, too."""
        for axis in (0, 1):
            offsets, step = [o[axis] for o in taps.channels], taps.stride[axis]
            if window.pads[axis] and max(offsets) >= step:
                return False
            if window.pads[axis + 2] and step * taps.size[axis] + min(offsets) < base[axis]:
                return False
        return True


def _makes_table(op: g.Op) -> bool:
    """Return whether an operation computes each pixel from the same pixel, by weights."""
    return isinstance(op, g.ConvOp) and op.window == Window() and op.bias is None


def _picks(op: g.Op) -> tuple[Window, dict[tuple[int, int], Ints] | None]:
    """Return the channels [out, terms] that an operation adds up, by position of its kernel."""
    if isinstance(op, GatherOp):
        found = op.channels
        return op.window, {at: found[:, at[0], at[1]] for at in np.ndindex(op.window.kernel)}
    if not isinstance(op, g.ConvOp):
        return Window(), None
    if op.real or op.bias is not None or op.pad_value or not (op.scale == 1).all():
        return op.window, None
    if op.weights.size * op.groups > MAX_TERMS or not np.isin(op.weights, (0, 1)).all():
        return op.window, None
    weights = g.widened(op.weights, op.groups)
    picks = {}
    for row, column in np.ndindex(op.window.kernel):
        outputs, channels = np.nonzero(weights[:, row, column])
        counts = np.bincount(outputs, minlength=len(weights))
        if (counts != counts[0]).any():
            return op.window, None
        if counts[0]:
            picks[row, column] = channels.reshape(len(weights), -1)
    return op.window, picks or None


def _rewritten(follower: _Follower, made: dict[int, tuple[g.Op, ...]]) -> g.Graph:
    """Return the graph with some values made by other operations, without what nothing reads."""
    graph = follower.graph
    names = {-1: FRAME}
    taken = {op.name for op in graph.ops}
    for k, op in enumerate(graph.ops):
        names[k] = op.name or f"value{k}"
        while not op.name and names[k] in taken:
            names[k] += "_"
        taken.add(names[k])
    needed: set[int] = set()
    waiting = [k for k, readers in follower.readers.items() if len(graph.ops) in readers]
    while waiting:
        k = waiting.pop()
        if k >= 0 and k not in needed:
            needed.add(k)
            waiting += [follower.taps[k][0]] if k in made else graph.reads[k]
    tables = {follower.taps[k][0] for k in made}
    ops: list[g.Op] = []
    for k in sorted(needed):
        op, reads = graph.ops[k], [names[at] for at in graph.reads[k]]
        if k in made:
            *before, last = made[k]
            source = names[follower.taps[k][0]]
            for i, step in enumerate(before):
                ops.append(_named(step, op, f"{names[k]}_{i}", (source,)))
                source = ops[-1].name
            ops.append(_named(last, op, names[k], (source,)))
        else:
            own = _with_one_scale(op) if k in tables and isinstance(op, g.ConvOp) else op
            ops.append(replace(own, name=names[k], inputs=tuple(reads)))
    found = replace(graph, ops=tuple(ops))
    if found.chain:
        # Passes over chains take each operation to read the one before it.
        found = replace(graph, ops=tuple(replace(op, name="", inputs=()) for op in ops))
    return found


def _named(op: g.Op, replaced: g.Op, name: str, inputs: tuple[str, ...]) -> g.Op:
    return replace(op, node=replaced.node, op=replaced.op, name=name, inputs=inputs)


def _with_one_scale(op: g.ConvOp) -> g.ConvOp:
    """Return the weights of a table with one scale for all channels, if they have one exactly."""
    if op.real or not op.scale.ndim:
        return op
    values = (op.weights * op.scale.reshape(-1, 1, 1, 1)).astype(np.float32)
    grid = find(values)
    if grid is None:
        return op
    weights, scale = grid.alphabet.values(grid.codes(values)), np.array(grid.scale, np.float32)
    same = (weights.astype(np.float32) * scale == values).all()
    return replace(op, weights=weights, scale=scale) if same else op
