"""The walk along the graph that writes the integer layers.

At any point the tensor is an integer per feature, made by the last layer written, and a pending
float32 expression of it. The expression is settled, that is turned into a table, thresholds or
nothing, only when an operation needs integers; so whatever stands between two reductions becomes
one set of thresholds. Max-pools wait with it: they commute with what is monotone, and follow the
thresholds as pools of codes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnorflow import graph as g
from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.lower import scores
from xnorflow.lower.alphabets import weight_alphabet
from xnorflow.lower.evaluate import Expression, Reach, steps
from xnorflow.lower.grid import MAX_CODE_BITS, ROUNDING, Grid, find
from xnorflow.lower.negate import negate
from xnorflow.lower.pads import check_pool, pad_value
from xnorflow.lower.rounding import sum_error, uncertain_channels
from xnorflow.lower.thresholds import mirrored, thresholds
from xnorflow.lower.tidy import Shape, output_shape

QUANTISERS = (g.BipolarQuant, g.Quant, g.MultiThreshold, g.Sign)
MAX_THRESHOLDS = 1 << 24
Units = NDArray[np.float64]
ONE_SCALE = "one activation scale for the whole tensor, or scales that are small multiples of one."


@dataclass(frozen=True, eq=False)
class _Pool:
    """A max-pool that waits: `after` of the pending operations come before it."""

    op: g.MaxPool
    after: int


class Chain:
    """Integer layers so far, and the float expression that is pending.

    Parameters
    ----------
    graph : Graph
        Tidy; the constructor walks along the whole of it.
    centred : bool
        Give what padded sums read an alphabet with 0 in its middle.
    """

    def __init__(self, graph: g.Graph, *, centred: bool = False) -> None:
        """Walk."""
        self.graph, self.centred = graph, centred
        self.layers: list[ir.Layer] = []
        self.notes = list(graph.notes)
        self.shape: Shape = graph.shape
        channels = graph.shape[2]
        self.reach = Reach(np.zeros(channels, np.int64), np.full(channels, 255, np.int64))
        self.unit = np.array(np.float32(graph.input_scale), np.float64)
        self.exact = True
        self.error = np.zeros(channels)
        self.ops: list[g.Elementwise] = []
        self.pools: list[_Pool] = []
        self._names: Counter[str] = Counter()
        self._known: list[tuple[ir.Layer, ir.Features]] = []
        for op in graph.ops:
            self._step(op)
        self._finish()

    def network(self) -> ir.IntegerNetwork:
        """Give the integer network."""
        graph = self.graph
        return ir.IntegerNetwork(
            graph.name, graph.shape, tuple(self.layers), graph.classes, tuple(self.notes)
        )

    def _step(self, op: g.Op) -> None:
        shape = output_shape(op, self.shape)
        match op:
            case g.Elementwise():
                self.ops.append(op)
            case g.MaxPool():
                check_pool(op, *self.shape[:2])
                self.pools.append(_Pool(op, len(self.ops)))
            case g.Flatten():
                self._flatten(op)
            case g.AveragePool():
                self._average(op)
            case g.Conv():
                self._convolve(op)
            case _:
                raise UnsupportedModel("there is no integer form of it.", node=op.node, op=op.op)
        self.shape = shape

    # What each operation that needs integers does.

    def _convolve(self, op: g.Conv) -> None:
        self._settle(op)
        alphabet = self._alphabet()
        if alphabet.bits > MAX_CODE_BITS:
            raise UnsupportedModel(
                f"its inputs have {alphabet.bits} bits.", node=op.node, op=op.op,
                hint=f"a quantiser of at most {MAX_CODE_BITS} bits before it.",
            )
        scale = float(self.unit)
        common = max(1, int(np.gcd.reduce(op.weights, axis=None)))
        weights = (op.weights // common).astype(np.int64)
        pad = pad_value(op, scale)
        dense = self.shape[:2] == (1, 1)
        layer = ir.Conv(
            self._name("dense" if dense else "conv"), weights, weight_alphabet(weights),
            op.window, pad, sources=_sources(op),
        )
        lo, hi = layer.bounds(alphabet)
        if max(-int(lo.min()), int(hi.max()), int(hi.max() - lo.min())) >= 1 << ir.MAX_BITS:
            raise UnsupportedModel(
                f"its accumulators go from {lo.min()} to {hi.max()}, more than {ir.MAX_BITS} bits.",
                node=op.node, op=op.op, hint="fewer bits of weights or activations.",
            )
        padded = any(op.window.pads)
        step = int(np.gcd(alphabet.step, pad - alphabet.lo)) if padded else alphabet.step
        step *= max(1, int(np.gcd.reduce(weights, axis=None)))
        magnitude = np.abs(weights).reshape(len(weights), -1)
        largest = max(abs(alphabet.lo), abs(alphabet.hi), abs(pad) if padded else 0)
        unit = np.asarray(op.scale, np.float64) * common
        inherited = magnitude.sum(1) * unit * self.error.max()
        self.layers.append(layer)
        self.reach, self.unit = Reach(lo, hi, step), _squeeze(unit * scale)
        self.error = inherited + sum_error(
            self.unit, magnitude.sum(1) * largest, np.count_nonzero(magnitude, 1), exact=self.exact
        )
        self.exact = self.exact and not self.error.any()

    def _average(self, op: g.AveragePool) -> None:
        self._settle(op, zero=any(op.window.pads), uniform=False)
        alphabet = self._alphabet()
        taps = int(np.prod(op.window.kernel))
        lo, hi, step = self.reach.lo, self.reach.hi, self.reach.step
        if any(op.window.pads):
            lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
            step = int(np.gcd.reduce(np.append(self.reach.lo, step)))
        total = np.maximum(np.abs(lo), np.abs(hi)) * taps
        self.layers.append(ir.SumPool(
            self._name("pool"), op.window, alphabet.code_of(0) or 0, sources=_sources(op)
        ))
        if self._alphabet().bits > ir.MAX_BITS or total.max() >= 1 << ir.MAX_BITS:
            raise UnsupportedModel(
                f"its sums take more than {ir.MAX_BITS} bits.", node=op.node, op=op.op,
                hint="a quantiser before it, or a smaller window.",
            )
        self.reach = Reach(lo * taps, hi * taps, step)
        self.error = taps * self.error + sum_error(self.unit, total, taps, exact=self.exact)
        self.exact = self.exact and not self.error.any()
        self.ops = [g.Divide(np.array(taps, np.float32), node=op.node, op=op.op)]

    def _flatten(self, op: g.Op) -> None:
        self._settle(op, uniform=False)
        pixels = self.shape[0] * self.shape[1]
        self.layers.append(ir.Flatten(self._name("flatten"), sources=_sources(op)))
        reach = self.reach
        self.reach = Reach(np.tile(reach.lo, pixels), np.tile(reach.hi, pixels), reach.step)
        self.error = np.tile(self.error, pixels)
        self.unit = np.tile(self.unit, pixels) if self.unit.ndim else self.unit

    # Settling what is pending.

    def _settle(self, consumer: g.Op, *, zero: bool = False, uniform: bool = True) -> None:
        """Leave integers that are the value but for a scale; nothing is pending afterwards.

        With `zero`, the alphabet holds 0 too; with `uniform`, all channels have the same scale.
        """
        if not self.layers:
            self._table(consumer, zero)
        elif not self._absorb(zero, uniform):
            self._threshold(consumer, zero)

    def _table(self, consumer: g.Op, zero: bool) -> None:
        expression = self._expression()
        values = expression(self.reach.integers(0, 256))
        grid = self._grid(values, consumer, zero)
        table = grid.codes(values).T
        if (table == table[0]).all():
            table = table[:1]
        self.layers.append(ir.InputTable(
            "input", np.ascontiguousarray(table), grid.alphabet, sources=_sources(*self.ops)
        ))
        self._after_codes(grid, expression.direction(self.reach))

    def _absorb(self, zero: bool, uniform: bool) -> bool:
        """Settle without a layer, where the value is a scale times the integer as it is."""
        alphabet = self._alphabet()
        mirrors = isinstance(self.layers[-1], ir.Conv) or alphabet.lo == -alphabet.hi
        if zero and (alphabet.code_of(0) is None or (self.centred and not mirrors)):
            return False
        plain = not self.ops and not (uniform and self.unit.ndim)
        unit = self.unit if plain else self._linear(uniform)
        if unit is None:
            return False
        self._write_pools(np.ones(len(self.reach.lo), np.int64))
        self.unit, self.ops = unit, []
        return True

    def _linear(self, uniform: bool) -> Units | None:
        """Give the scale, or scales, for `_absorb`; None where there is none."""
        reach = self.reach
        quantised = any(isinstance(op, QUANTISERS) for op in self.ops)
        if quantised or reach.rows * len(reach.lo) > MAX_THRESHOLDS:
            return None
        expression = self._expression()
        far = np.where(np.abs(reach.lo) > np.abs(reach.hi), reach.lo, reach.hi)
        values = expression(far).astype(np.float64)
        scale = np.where(far == 0, self.unit, values / np.where(far == 0, 1, far))
        tolerance = ROUNDING * np.abs(values)
        if uniform:
            scale, tolerance = np.array(scale[np.abs(far).argmax()]), tolerance.max()
        if not (np.isfinite(scale) & (scale > 0)).all():
            return None
        exact = True
        for integers in reach.chunks():
            off = np.abs(expression(integers) - scale * integers)
            if (off > tolerance).any():
                return None
            exact = exact and not off.any()
        self.exact = self.exact and exact
        self.error = self.error * scale / self.unit
        return _squeeze(scale)

    def _threshold(self, consumer: g.Op, zero: bool) -> None:
        where = self._where(consumer)
        expression, reach = self._expression(), self.reach
        found = steps(expression, reach, where)
        grid = self._grid(found.values, consumer, zero)
        if grid.alphabet.levels * len(reach.lo) > MAX_THRESHOLDS:
            raise UnsupportedModel(
                f"{grid.alphabet.levels} levels in {len(reach.lo)} channels are too many"
                " thresholds.", node=where.node, op=where.op, hint="fewer activation bits.",
            )
        self._note_rounding(uncertain_channels(expression, found, reach.step, self.error))
        direction = found.direction
        if (direction < 0).any():
            mirror = negate(self.layers, self.graph.shape, direction < 0)
            found, reach = mirrored(found, reach, mirror)
        self.layers.append(ir.Threshold(
            self._name(f"{self.layers[-1].name}_threshold", numbered=False),
            thresholds(found, reach, grid), grid.alphabet, sources=_sources(*self.ops),
        ))
        self._after_codes(grid, direction)

    def _after_codes(self, grid: Grid, direction: ir.Ints) -> None:
        """Go on from codes that a table or thresholds made, and write the pools that waited."""
        self._write_pools(direction)
        alphabet, channels = grid.alphabet, len(self.reach.lo)
        self.reach = Reach(
            np.full(channels, alphabet.lo), np.full(channels, alphabet.hi), alphabet.step
        )
        self.unit, self.ops, self.exact = np.array(grid.scale), [], grid.exact
        self.error = np.zeros(channels)

    def _write_pools(self, direction: ir.Ints) -> None:
        """Write the max-pools that waited, on what rises (+1) or falls with the integers.

        A pool whose own values go the other way becomes a minimum.
        """
        for pool in self.pools:
            own = Expression(self.unit, tuple(self.ops[: pool.after])).direction(self.reach)
            self.layers.append(ir.MaxPool(
                self._name("pool"), pool.op.window, own * direction < 0, sources=_sources(pool.op)
            ))
        self.pools = []

    def _finish(self) -> None:
        """Write the scores."""
        where = self.ops[-1] if self.ops else self.graph.ops[-1] if self.graph.ops else g.Op()
        if not any(isinstance(layer, ir.Conv) for layer in self.layers):
            raise UnsupportedModel("it has no convolution or dense layer.", node=self.graph.name)
        if self.shape[:2] != (1, 1):
            raise UnsupportedModel(
                f"the network ends in a map of {self.shape[0]} x {self.shape[1]}, not in one score"
                " per class.", node=where.node, op=where.op,
                hint="a global pool or a dense layer at the end.",
            )
        self._write_pools(np.ones(len(self.reach.lo), np.int64))
        tail = scores.find(self._expression(), self.reach, where)
        offsets = tail.offsets
        if tail.falls:
            offsets = offsets - negate(self.layers, self.graph.shape, np.full(len(offsets), True))
        if tail.ranks is not None:
            self.notes.append("The scores are ranks of the imported network's float scores.")
        if self.error.any():
            self.notes.append(
                f"The float sums of {self._reduction()} are not exact in every order of summation;"
                " the imported network's own scores may differ in their last places."
            )
        self.layers.append(ir.Scores(
            "scores", offsets, tail.ranks, tail.rank_lo, tail.floats, tail.floats_lo,
            sources=_sources(*self.ops),
        ))

    # Small helpers.

    def _expression(self) -> Expression:
        return Expression(self.unit, tuple(self.ops))

    def _alphabet(self) -> ir.Alphabet:
        """Give the alphabet of the last layer; earlier ones are worked out once."""
        known = self._known
        while known and (len(known) > len(self.layers) or any(
            layer is not now for (layer, _), now in zip(known, self.layers, strict=False)
        )):
            known.pop()
        for layer in self.layers[len(known):]:
            before = known[-1][1] if known else ir.Features(*self.graph.shape, ir.UINT8)
            known.append((layer, layer.output(before)))
        return known[-1][1].alphabet

    def _where(self, consumer: g.Op) -> g.Op:
        """Give the operation to blame for values that are no integers: the last quantiser."""
        quantisers = [op for op in self.ops if isinstance(op, QUANTISERS)]
        return quantisers[-1] if quantisers else consumer

    def _grid(self, values: g.Floats, consumer: g.Op, zero: bool) -> Grid:
        if zero:
            extra = -values if self.centred else np.float32(0)
            values = np.append(values, np.append(extra, np.float32(0)))
        grid = find(values)
        if grid is None:
            where = self._where(consumer)
            what = "the values it gives" if where is not consumer else "its inputs"
            raise UnsupportedModel(
                f"{what} are no integer multiples of one scale.", node=where.node, op=where.op,
                hint=("" if where is not consumer else "a quantiser before it, and ") + ONE_SCALE,
            )
        return grid

    def _note_rounding(self, uncertain: int) -> None:
        if self.error.any():
            self.notes.append(
                f"The float sums of {self._reduction()} are not exact in every order of summation;"
                f" in {uncertain} of {len(self.error)} channels a decision lies within the bound"
                " of their rounding errors."
            )

    def _reduction(self) -> str:
        """Name the layer that made the present integers."""
        kinds = (ir.Conv, ir.SumPool)
        return next(layer.name for layer in reversed(self.layers) if isinstance(layer, kinds))

    def _name(self, base: str, *, numbered: bool = True) -> str:
        count = self._names[base]
        self._names[base] += 1
        return f"{base}{count}" if numbered or count else base


def _squeeze(unit: Units) -> Units:
    """Give a scalar where all channels agree."""
    return np.array(unit.flat[0]) if (unit == unit.flat[0]).all() else unit


def _sources(*ops: g.Op) -> tuple[str, ...]:
    return tuple(dict.fromkeys(op.node for op in ops if op.node))
