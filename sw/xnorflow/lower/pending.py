"""A tensor on its way to integers: what the last layer makes, and the float maths still to do.

Whatever elementwise operations stand between two reductions wait here until something needs
integers, and then become one table, one set of thresholds, or nothing. Max-pools wait with them:
they commute with what is monotone, and follow the thresholds as pools of codes. What neither rises
nor falls throughout becomes thresholds that number its intervals, and a table behind them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import (
    CastOp,
    FunctionOp,
    QuantizeLinearOp,
    TruncOp,
    approximate,
)
from xnorflow.graph.quantisers import integer_range
from xnorflow.lower.common_scale import ROUNDING, Grid, find
from xnorflow.lower.evaluate import Expression, Reach, Steps, monotone, steps
from xnorflow.lower.negate import negate
from xnorflow.lower.rounding import ORDER_OF_SUMMATION, approximated_channels, uncertain_channels
from xnorflow.lower.thresholds import intervals_and_codes, mirrored, thresholds

QUANTISERS = (
    g.BipolarQuantOp,
    g.QuantOp,
    g.MultiThresholdOp,
    g.SignOp,
    CastOp,
    QuantizeLinearOp,
    TruncOp,
)
ROUNDING_FUNCTIONS = frozenset(
    {"Round", "Floor", "Ceil", "Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"}
)
ONE_SCALE = "one scale for the whole tensor, or scales that are small multiples of one."
MAX_THRESHOLDS = 1 << 24
MAX_MULTIPLE = 256
"""Largest multiple of a common scale that is put into weights."""
Units = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pool:
    """A max-pool that waits: `after` of the pending operations come before it."""

    op: g.MaxPoolOp
    after: int


class Pending:
    """Integer layers so far, and the float expression that is pending on their output.

    Parameters
    ----------
    graph : Graph
        Its input is where this starts.
    centred : bool
        Give what padded sums read an alphabet with 0 in its middle.

    Attributes
    ----------
    frame : Features
        The input.
    layers : list of Layer
        Written so far.
    notes : list of str
        What a user should know.
    reach, unit : Reach, float64 array
        Integers that the last layer makes, and the float value of 1, for all or per channel.
    ops, pools : list
        Operations, and max-pools between them, that wait.
    exact : bool
        The floats are exactly integer times unit.
    error : float64 array [channels]
        How far the framework's own floats may be from ours, before the operations.
    """

    def __init__(self, graph: g.Graph, *, centred: bool) -> None:
        """Start at the input."""
        self.centred = centred
        self.layers: list[ir.Layer] = []
        self.notes = list(graph.notes)
        channels = graph.shape[2]
        self.samples = graph.samples.alphabet
        self.frame = ir.Features(*graph.shape, self.samples)
        self.reach = Reach(
            np.full(channels, self.samples.lo),
            np.full(channels, self.samples.hi),
            self.samples.step,
        )
        scale = graph.input_scale
        self.unit: Units = np.array(1.0 if scale.divisor else np.float32(scale.factor), np.float64)
        self.exact = True
        self.error = np.zeros(channels)
        self.ops: list[g.Elementwise] = []
        if scale.divisor:
            self.ops.append(g.DivideOp(np.array(scale.divisor, np.float32)))
        self.pools: list[Pool] = []
        self._names: Counter[str] = Counter()
        self._known: list[tuple[ir.Layer, ir.Features]] = []

    def settle(self, consumer: g.Op, *, zero: bool = False, uniform: bool = True) -> None:
        """Leave integers that are the value but for a scale; nothing is pending afterwards.

        With `zero`, the alphabet holds 0 too; with `uniform`, all channels have the same scale.
        """
        if not self.layers:
            self._table(consumer, zero)
        elif not self._absorb(zero, uniform):
            self._threshold(consumer, zero)

    def add(self, op: g.Elementwise) -> None:
        """Let an operation wait; pools that it does not commute with are written before it."""
        if self.pools and not op.monotone:
            if self.layers:
                self.write_pools(np.ones(len(self.reach.lo), np.int64))
            else:
                self.settle(op, uniform=False)
        self.ops.append(op)

    def add_pool(self, op: g.MaxPoolOp) -> None:
        """Let a max-pool wait; what it does not commute with becomes codes before it."""
        if not monotone(self.expression(), self.reach):
            self.settle(op, uniform=False)
        self.pools.append(Pool(op, len(self.ops)))

    def settle_multiples(self, consumer: g.Op) -> ir.Ints:
        """Settle; channels may have scales that are small multiples of one, which are returned."""
        channels = np.ones(len(self.reach.lo), np.int64)
        if not self.layers or self._absorb(zero=False, uniform=True):
            if not self.layers:
                self.settle(consumer)
            return channels
        before = self.exact, self.error
        unit = None if self.unit.ndim == 0 and not self.ops else self._linear(uniform=False)
        grid = find(unit.astype(np.float32)) if unit is not None else None
        if grid is None or grid.alphabet.hi > MAX_MULTIPLE:
            self.exact, self.error = before
            self._threshold(consumer, zero=False)
            return channels
        assert unit is not None
        self.write_pools(channels)
        self.unit, self.ops = np.array(grid.scale), []
        self.exact = self.exact and grid.exact
        codes = grid.codes(unit.astype(np.float32))
        return np.broadcast_to(grid.alphabet.values(codes), channels.shape)

    def _note_reach(self) -> None:
        """Note where samples do not reach all that the input's quantiser is declared for."""
        at = next((i for i, op in enumerate(self.ops) if isinstance(op, g.QuantOp)), None)
        if at is None:
            return
        op = self.ops[at]
        assert isinstance(op, g.QuantOp)
        low, high = integer_range(op.bits, op.signed, op.narrow)
        every = self.reach.integers(0, self.samples.levels)
        codes = op.codes(Expression(self.unit, tuple(self.ops[:at]))(every))
        least, most = int(codes.min()), int(codes.max())
        if (least > low or most < high) and op.bits > 1:
            self.notes.append(
                f"The input's quantiser has integers from {low} to {high}, of which samples reach"
                f" {least} to {most} only: if the network was trained on others, --input and"
                " --input-scale say so."
            )

    def _table(self, consumer: g.Op, zero: bool) -> None:
        self._note_reach()
        expression = self.expression()
        values = expression(self.reach.integers(0, self.samples.levels))
        grid = self._grid(values, consumer, zero)
        table = grid.codes(values).T
        if (table == table[0]).all():
            table = table[:1]
        self.layers.append(
            ir.InputTable(
                "input", np.ascontiguousarray(table), grid.alphabet, sources=sources(*self.ops)
            )
        )
        self._after_codes(grid, expression.direction(self.reach))

    def _absorb(self, zero: bool, uniform: bool) -> bool:
        """Settle without a layer, where the value is a scale times the integer as it is."""
        alphabet = self.alphabet()
        mirrors = isinstance(self.layers[-1], ir.Conv) or alphabet.lo == -alphabet.hi
        if zero and (alphabet.code_of(0) is None or (self.centred and not mirrors)):
            return False
        plain = not self.ops and not (uniform and self.unit.ndim)
        unit = self.unit if plain else self._linear(uniform)
        if unit is None:
            return False
        self.write_pools(np.ones(len(self.reach.lo), np.int64))
        self.unit, self.ops = unit, []
        return True

    def _linear(self, uniform: bool) -> Units | None:
        """Return the scale, or scales, for `_absorb`; None where there is none."""
        reach = self.reach
        quantised = any(isinstance(op, QUANTISERS) for op in self.ops)
        if quantised or reach.rows * len(reach.lo) > MAX_THRESHOLDS:
            return None
        expression = self.expression()
        far = np.where(np.abs(reach.lo) > np.abs(reach.hi), reach.lo, reach.hi)
        values = expression(far).astype(np.float64)
        scale = np.where(far == 0, self.unit, values / np.where(far == 0, 1, far))
        if uniform:
            scale = np.array(scale[np.abs(far).argmax()])
        if not (np.isfinite(scale) & (scale > 0)).all():
            return None
        exact = True
        for integers in reach.chunks():
            values = scale * integers
            off = np.abs(expression(integers) - values)
            if (off > ROUNDING * np.abs(values)).any():
                return None
            exact = exact and not off.any()
        self.exact = self.exact and exact
        self.error = self.error * scale / self.unit
        return squeeze(scale)

    def _threshold(self, consumer: g.Op, zero: bool) -> None:
        where = self.where(consumer)
        expression, reach = self.expression(), self.reach
        found = steps(expression, reach, where)
        grid = self._grid(found.values, consumer, zero)
        if grid.alphabet.levels * len(reach.lo) > MAX_THRESHOLDS:
            raise UnsupportedModel(
                f"{grid.alphabet.levels} levels in {len(reach.lo)} channels are too many"
                " thresholds.",
                node=where.node,
                op=where.op,
                hint="fewer activation bits.",
            )
        self._note_rounding(uncertain_channels(expression, found, reach.step, self.error))
        self._note_functions(expression, found, reach.step)
        if not found.monotone:
            self._code_table(found, grid)
            return
        direction = found.direction
        if (direction < 0).any():
            mirror = negate(self.layers, self.frame, direction < 0)
            found, reach = mirrored(found, reach, mirror)
        self.layers.append(
            ir.Threshold(
                self.name(f"{self.layers[-1].name}_threshold", numbered=False),
                thresholds(found, reach, grid),
                grid.alphabet,
                sources=sources(*self.ops),
            )
        )
        self._after_codes(grid, direction)

    def _code_table(self, found: Steps, grid: Grid) -> None:
        """Write thresholds that number the intervals between steps, and a table of their codes."""
        base = self.layers[-1].name
        intervals, table = intervals_and_codes(found, self.reach, grid)
        if table.size > MAX_THRESHOLDS:
            raise UnsupportedModel(
                f"it takes a table of {table.size} codes.",
                node=self.ops[-1].node,
                op=self.ops[-1].op,
                hint="fewer activation bits, or a function that rises or falls throughout.",
            )
        numbers = ir.Alphabet(0, 1, table.shape[1])
        self.layers.append(
            ir.Threshold(
                self.name(f"{base}_intervals", numbered=False),
                intervals,
                numbers,
                sources=sources(*self.ops),
            )
        )
        self.layers.append(
            ir.CodeTable(
                self.name(f"{base}_table", numbered=False),
                table,
                grid.alphabet,
                sources=sources(*self.ops),
            )
        )
        self._after_codes(grid, np.ones(len(self.reach.lo), np.int64))

    def _after_codes(self, grid: Grid, direction: ir.Ints) -> None:
        """Go on from codes that a table or thresholds made, and write the pools that waited."""
        self.write_pools(direction)
        alphabet, channels = grid.alphabet, len(self.reach.lo)
        self.reach = Reach(
            np.full(channels, alphabet.lo), np.full(channels, alphabet.hi), alphabet.step
        )
        self.unit, self.ops, self.exact = np.array(grid.scale), [], grid.exact
        self.error = np.zeros(channels)

    def write_pools(self, direction: ir.Ints) -> None:
        """Write the max-pools that waited, on what rises (+1) or falls with the integers.

        A pool whose own values go the other way becomes a minimum.
        """
        for pool in self.pools:
            own = Expression(self.unit, tuple(self.ops[: pool.after])).direction(self.reach)
            self.layers.append(
                ir.MaxPool(
                    self.name("pool"), pool.op.window, own * direction < 0, sources=sources(pool.op)
                )
            )
        self.pools = []

    def expression(self) -> Expression:
        """Return the float value as a function of the integer, max-pools aside."""
        return Expression(self.unit, tuple(self.ops))

    def alphabet(self) -> ir.Alphabet:
        """Return the alphabet of the last layer; earlier ones are worked out once."""
        known = self._known
        while known and (
            len(known) > len(self.layers)
            or any(layer is not now for (layer, _), now in zip(known, self.layers, strict=False))
        ):
            known.pop()
        for layer in self.layers[len(known) :]:
            before = known[-1][1] if known else self.frame
            known.append((layer, layer.output(before)))
        return known[-1][1].alphabet

    def where(self, consumer: g.Op) -> g.Op:
        """Return the operation to blame for values that are no integers: the last quantiser."""
        quantisers = [op for op in self.ops if quantises(op)]
        return quantisers[-1] if quantisers else consumer

    def _grid(self, values: g.Floats, consumer: g.Op, zero: bool) -> Grid:
        if zero and not self.centred:
            values = np.append(values, np.float32(0))
        elif zero:
            # Zeros alone would be unipolar; any scale will do for them.
            values = values if values.any() else np.array([1], np.float32)
            values = np.concatenate([-values, np.zeros_like(values), values])
        grid = find(values)
        if grid is None:
            where = self.where(consumer)
            what, hint = "the values it gives", ONE_SCALE
            if where is consumer:
                what, hint = "its inputs", "a quantiser before it, with " + ONE_SCALE
            if isinstance(consumer, g.SumPoolOp):
                hint = "bias and batch normalisation behind the pool, or " + hint
            raise UnsupportedModel(
                f"{what} are no integer multiples of one scale.",
                node=where.node,
                op=where.op,
                hint=hint,
            )
        return grid

    def _note_rounding(self, uncertain: int) -> None:
        if self.error.any():
            self.notes.append(
                f"The float sums of {self.reduction()} {ORDER_OF_SUMMATION};"
                f" in {uncertain} of {len(self.error)} channels a decision lies within the bound"
                " of their rounding errors."
            )

    def _note_functions(self, expression: Expression, found: Steps, step: int) -> None:
        if not approximate(expression.ops):
            return
        channels = approximated_channels(expression, found, step)
        names = ", ".join(sorted({op.op for op in expression.ops if approximate((op,))}))
        self.notes.append(
            f"{names}: executors approximate it, each in its own way; in {channels} of"
            f" {len(found.first)} channels a decision lies within the bound of their errors."
        )

    def reduction(self) -> str:
        """Name the layer that made the present integers."""
        passing = (ir.MaxPool, ir.Flatten)
        return next(x.name for x in reversed(self.layers) if not isinstance(x, passing))

    def name(self, base: str, *, numbered: bool = True) -> str:
        """Return a name that no layer has yet; `base` itself unless `numbered`."""
        count = self._names[base]
        self._names[base] += 1
        return f"{base}{count}" if numbered or count else base


def quantises(op: g.Op) -> bool:
    """Tell whether an operation is one that makes few values of many."""
    return isinstance(op, QUANTISERS) or (
        isinstance(op, FunctionOp) and op.function in ROUNDING_FUNCTIONS
    )


def squeeze(unit: Units) -> Units:
    """Return a scalar where all channels agree."""
    return np.array(unit.flat[0]) if (unit == unit.flat[0]).all() else unit


def sources(*ops: g.Op) -> tuple[str, ...]:
    """Return the names of the imported nodes, each once."""
    return tuple(dict.fromkeys(op.node for op in ops if op.node))
