"""A tensor on its way to integers: the layers written so far, and the operations that wait.

Elementwise operations between two reductions wait in a `Pending` until the next reduction needs
integers. Then they become

* an input table, if no layer is written yet (`_table`);
* nothing, if the value is a scale times the last layer's integer (`_absorb`);
* thresholds, if the value is monotone (`_threshold`);
* or else thresholds that number the intervals of the value, and a table after them (`_code_table`).

Max-pools wait as well. They commute with monotone operations, so they are written after the
thresholds, as pools of codes.
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
    DividedOp,
    FunctionOp,
    QuantizeLinearOp,
    TruncOp,
    approximate,
)
from xnorflow.graph.quantisers import Floats, integer_range
from xnorflow.lower.common_scale import MAX_CODE_BITS, ROUNDING, Grid, find
from xnorflow.lower.evaluate import Expression, Reach, Steps, monotone, steps
from xnorflow.lower.fixed_point import (
    ASK,
    MOST_TABLE_BITS,
    FixedPoint,
    affine,
    quantiser,
    rescaling,
)
from xnorflow.lower.negate import negate, rising
from xnorflow.lower.rounding import (
    ORDER_OF_SUMMATION,
    approximated_channels,
    close_decisions,
    uncertain_channels,
)
from xnorflow.lower.thresholds import intervals_and_codes, mirrored, thresholds

QUANTISERS = (
    g.BipolarQuantOp,
    g.QuantOp,
    g.MultiThresholdOp,
    g.SignOp,
    CastOp,
    DividedOp,
    QuantizeLinearOp,
    TruncOp,
)
"""Operations that make few values of many."""
ROUNDING_FUNCTIONS = frozenset(
    {"Round", "Floor", "Ceil", "Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"}
)
"""Functions that make few values of many."""
ONE_SCALE = "one scale for the whole tensor, or scales that are small multiples of one."
MAX_THRESHOLDS = 1 << 24
"""Most thresholds, or entries of a table, of one layer."""
MAX_MULTIPLE = 256
"""Largest multiple of a common scale by which a channel's weights are multiplied."""
Units = NDArray[np.float64]
"""Float value of the integer 1: a scalar for all channels, or [channels]."""


@dataclass(frozen=True, eq=False)
class Pool:
    """A max-pool that waits.

    Parameters
    ----------
    op : MaxPoolOp
        The pool.
    after : int
        Number of waiting operations that come before it.
    """

    op: g.MaxPoolOp
    after: int


@dataclass(frozen=True, eq=False)
class Mark:
    """A place where the output of a layer stands for a value of the graph.

    Parameters
    ----------
    layer : Layer
        Its integers times `unit` are the value.
    at : int
        The operation that the value enters, by its place in the graph; negative for the scores:
        -1 is the graph's output, -2 what its last operation reads. So it holds for the graph before
        what follows the last layer was folded into its weights, too.
    unit : float
        Value of the integer 1.
    """

    layer: ir.Layer
    at: int
    unit: float


class Pending:
    """The integer layers written so far, and the float expression that waits on their output.

    Parameters
    ----------
    graph : Graph
        The graph that is lowered; only its input, samples and notes are read.
    centred : bool
        Give what padded sums read an alphabet with 0 in its middle.
    fixed : FixedPoint, optional
        How values that are no integers become such; without it they are refused.

    Attributes
    ----------
    at : int
        The operation that is being lowered, by its place in the graph.
    marks : list of Mark
        Where layers' outputs stand for values of the graph.
    rounded : bool
        Weights or values were rounded on the way, so that no float sum is of interest any more.
    layers : list of Layer
        Layers written so far.
    notes : list of str
        Facts that a user should know, one sentence each.
    reach : Reach
        Integers that the last layer can make.
    unit : float64 array, [] or [channels]
        Float value of the integer 1.
    ops : list of Elementwise
        Operations that wait.
    pools : list of Pool
        Max-pools that wait.
    exact : bool
        Whether ``unit * integer`` is the float value exactly, without rounding.
    error : float64 array [channels]
        Bound of the difference between the framework's floats and ``unit * integer``.
    """

    def __init__(self, graph: g.Graph, *, centred: bool, fixed: FixedPoint | None = None) -> None:
        """Start at the input."""
        self.centred, self.fixed = centred, fixed
        self.at, self.rounded = 0, False
        self.marks: list[Mark] = []
        self.layers: list[ir.Layer] = []
        self.notes = list(graph.notes)
        channels = graph.shape[2]
        self.samples = graph.samples.alphabet
        self.given = ir.Features(*graph.shape, self.samples)
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
        """Write layers until the value is a scale times the last layer's integer, and none waits.

        Parameters
        ----------
        consumer : Op
            Operation that needs integers; errors name it unless a quantiser is to blame.
        zero : bool
            Whether the alphabet has to contain 0, for padding.
        uniform : bool
            Whether all channels have to have the same scale.

        Raises
        ------
        UnsupportedModel
            If the values are no integer multiples of one scale, or too many.
        """
        if not self.layers:
            self._table(consumer, zero)
        elif not self._absorb(zero, uniform):
            self._codes(consumer, zero)

    def add(self, op: g.Elementwise) -> None:
        """Append an operation to those that wait; pools that do not commute with it are written."""
        if self.pools and not op.monotone:
            if self.layers:
                self.write_pools(np.ones(len(self.reach.lo), np.int64))
            else:
                self.settle(op, uniform=False)
        self.ops.append(op)

    def add_pool(self, op: g.MaxPoolOp) -> None:
        """Append a max-pool to those that wait; operations that are not monotone become codes."""
        if not monotone(self.expression(), self.reach):
            self.settle(op, uniform=False)
        self.pools.append(Pool(op, len(self.ops)))

    def settle_multiples(self, consumer: g.Op) -> ir.Ints:
        """Settle as `settle` does, but allow scales that are small multiples of a common one.

        Returns
        -------
        int64 array [channels]
            The multiple of each channel, by which the consumer has to multiply its weights.
        """
        channels = np.ones(len(self.reach.lo), np.int64)
        if self.fixed is not None and self.layers and self.alphabet().bits > MAX_CODE_BITS:
            # Sums of pooled codes may be wider than what a layer reads.
            self._codes(consumer, zero=False)
            return channels
        if not self.layers or self._absorb(zero=False, uniform=True):
            if not self.layers:
                self.settle(consumer)
            return channels
        before = self.exact, self.error
        unit = None if self.unit.ndim == 0 and not self.ops else self._linear(uniform=False)
        grid = find(unit.astype(np.float32)) if unit is not None else None
        if grid is None or grid.alphabet.hi > MAX_MULTIPLE:
            self.exact, self.error = before
            self._codes(consumer, zero=False)
            return channels
        assert unit is not None
        self.write_pools(channels)
        self.unit, self.ops = np.array(grid.scale), []
        self.exact = self.exact and grid.exact
        codes = grid.codes(unit.astype(np.float32))
        return np.broadcast_to(grid.alphabet.values(codes), channels.shape)

    def carry_tail(self) -> None:
        """Write a pool of one tap behind a flattening, which has no results to apply a tail to."""
        if isinstance(self.layers[-1], ir.Flatten):
            none = np.zeros(len(self.reach.lo), np.bool_)
            self.layers.append(ir.MaxPool(self.name("pool"), ir.Window(), none))

    def _note_reach(self) -> None:
        """Add a note if samples do not reach all integers of the input's quantiser."""
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

    def _codes(self, consumer: g.Op, zero: bool) -> None:
        """Write thresholds; in fixed point, round what has none, or a great many."""
        self.carry_tail()
        if self.fixed is None or any(quantises(op) for op in self.ops):
            self._threshold(consumer, zero)
            return
        if not self.rounded:
            try:
                self._threshold(consumer, zero)
                return
            except UnsupportedModel:
                pass
        self._round(consumer, zero)

    def _round(self, consumer: g.Op, zero: bool) -> None:
        """Round the value that enters the present operation to fixed point."""
        assert self.fixed is not None
        self.rounded = True
        value = affine(self.ops)
        bounds = (-np.inf, np.inf) if value is None else (value.lo.min(), value.hi.max())
        scale, alphabet = self.fixed.grid(self.at, signed=zero and self.centred, bounds=bounds)
        channels = len(self.reach.lo)
        if value is None:
            scale, alphabet = self.fixed.grid(self.at, most_bits=MOST_TABLE_BITS)
            self.ops.append(quantiser(scale, alphabet, consumer.node))
            self._threshold(consumer, zero)
            return
        factor = np.broadcast_to(value.factor * self.unit / scale, channels)
        offset = np.broadcast_to(value.offset / scale - alphabet.lo, channels)
        falls = factor < 0
        factor, offset, _, _ = rising(
            self.layers, self.given, factor, offset, self.reach.lo, self.reach.hi
        )
        largest = int(np.maximum(np.abs(self.reach.lo), np.abs(self.reach.hi)).max())
        found = rescaling(factor, offset, largest, alphabet.levels)
        if found is None:
            raise UnsupportedModel(
                "the factors or offsets of its inputs are too large beside their range for fixed"
                " point.",
                node=consumer.node,
                op=consumer.op,
                hint="calibration data like those it was trained on, or scales near 1.",
            )
        least, most = (
            np.clip(np.rint(np.broadcast_to(end, channels) / scale), alphabet.lo, alphabet.hi)
            for end in (value.lo, value.hi)
        )
        self.layers.append(
            ir.Rescale(
                self.name(f"{self.layers[-1].name}_rescale", numbered=False),
                found.multiply,
                found.offset,
                least.astype(np.int64) - alphabet.lo,
                most.astype(np.int64) - alphabet.lo,
                found.shift,
                alphabet,
                sources=sources(*self.ops),
            )
        )
        direction = np.where(falls, -1, 1).astype(np.int64)
        self._after_codes(Grid(scale, alphabet, exact=True), direction)

    def _table(self, consumer: g.Op, zero: bool) -> None:
        """Write an input table: the code of each sample's value after the operations that wait."""
        self._note_reach()
        expression = self.expression()
        values = expression(self.reach.integers(0, self.samples.levels))
        try:
            grid = self._grid(values, consumer, zero)
        except UnsupportedModel:
            if self.fixed is None or any(quantises(op) for op in self.ops):
                raise
            self.rounded = True
            scale, alphabet = self.fixed.grid(self.at, signed=zero and self.centred)
            self.ops.append(quantiser(scale, alphabet, consumer.node))
            expression = self.expression()
            values = expression(self.reach.integers(0, self.samples.levels))
            grid = Grid(scale, alphabet, exact=True)
        table = grid.codes(values).T
        if (table == table[0]).all():
            table = table[:1]
        self.layers.append(
            ir.InputTable(
                self.name("input", numbered=False),
                np.ascontiguousarray(table),
                grid.alphabet,
                sources=sources(*self.ops),
            )
        )
        self._after_codes(grid, expression.direction(self.reach))

    def _absorb(self, zero: bool, uniform: bool) -> bool:
        """Return whether the value is a scale times the integer; if so, settle without a layer."""
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
        """Return the scale or scales by which the integers give the value, or None without such.

        It also updates `exact` and `error` for that scale.
        """
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
        """Write thresholds for the value, or `_code_table` if it is not monotone."""
        where = self.where(consumer)
        expression, reach = self.expression(), self.reach
        found = steps(expression, reach, where)
        grid = self._grid(found.values, consumer, zero)
        if grid.alphabet.levels * len(reach.lo) > MAX_THRESHOLDS:
            raise UnsupportedModel(
                f"{grid.alphabet.levels} levels in {len(reach.lo)} channels are too many"
                f" thresholds: at most {MAX_THRESHOLDS} are possible.",
                node=where.node,
                op=where.op,
                hint="fewer activation bits.",
            )
        self.note_rounding(uncertain_channels(expression, found, reach.step, self.error))
        self._note_functions(expression, found, reach.step)
        if not found.monotone:
            self._code_table(found, grid)
            return
        direction = found.direction
        if (direction < 0).any():
            mirror = negate(self.layers, self.given, direction < 0)
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
                f"it takes a table of {table.size} codes; at most {MAX_THRESHOLDS} are possible.",
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
        """Write the pools that wait, and make the codes of the last layer the present value."""
        self.write_pools(direction)
        alphabet, channels = grid.alphabet, len(self.reach.lo)
        self.reach = Reach(
            np.full(channels, alphabet.lo), np.full(channels, alphabet.hi), alphabet.step
        )
        self.unit, self.ops, self.exact = np.array(grid.scale), [], grid.exact
        self.error = np.zeros(channels)
        self.marks.append(Mark(self.layers[-1], self.at, grid.scale))

    def write_pools(self, direction: ir.Ints) -> None:
        """Write the max-pools that wait.

        Parameters
        ----------
        direction : int64 array [channels]
            +1 where the last layer's output rises with the integers of `reach`, -1 where it falls.
            A pool whose own input goes the other way becomes a minimum.
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
        """Return the float value as a function of the last layer's integer, without the pools."""
        return Expression(self.unit, tuple(self.ops))

    def alphabet(self) -> ir.Alphabet:
        """Return the alphabet of the last layer's output; results for unchanged layers are kept."""
        known = self._known
        while known and (
            len(known) > len(self.layers)
            or any(layer is not now for (layer, _), now in zip(known, self.layers, strict=False))
        ):
            known.pop()
        for layer in self.layers[len(known) :]:
            before = known[-1][1] if known else self.given
            known.append((layer, layer.output(before)))
        return known[-1][1].alphabet

    def where(self, consumer: g.Op) -> g.Op:
        """Return the operation that an error should name: the last quantiser that waits, if any."""
        quantisers = [op for op in self.ops if quantises(op)]
        return quantisers[-1] if quantisers else consumer

    def _grid(self, values: Floats, consumer: g.Op, zero: bool) -> Grid:
        """Return the grid that holds all `values`, and 0 with `zero`; UnsupportedModel if none."""
        if zero and not self.centred:
            values = np.append(values, np.float32(0))
        elif zero:
            # A grid of zeros alone would be unipolar, without 0 in its middle; any scale will do.
            values = values if values.any() else np.array([1], np.float32)
            values = np.concatenate([-values, np.zeros_like(values), values])
        grid = find(values)
        if grid is None:
            where = self.where(consumer)
            what, hint = "the values it gives", ONE_SCALE
            if where is consumer:
                what = "its inputs"
                hint = f"a quantiser before it, with {ONE_SCALE.rstrip('.')}; or {ASK}."
            if isinstance(consumer, g.SumPoolOp):
                hint = "bias and batch normalisation behind the pool, or " + hint
            raise UnsupportedModel(
                f"{what} are no integer multiples of one scale.",
                node=where.node,
                op=where.op,
                hint=hint,
            )
        return grid

    def note_rounding(self, uncertain: int) -> None:
        """Note sums that a framework may round otherwise, and in how many channels that matters."""
        if self.error.any() and not self.rounded:
            self.notes.append(
                f"The float sums of {self.reduction()} {ORDER_OF_SUMMATION};"
                f" {close_decisions(uncertain, len(self.error), 'rounding errors')}."
                + (" Scales that are powers of two avoid it." if uncertain else "")
            )

    def _note_functions(self, expression: Expression, found: Steps, step: int) -> None:
        if not approximate(expression.ops):
            return
        channels = approximated_channels(expression, found, step)
        names = ", ".join(sorted({op.op for op in expression.ops if approximate((op,))}))
        self.notes.append(
            f"{names}: executors approximate it, each in its own way;"
            f" {close_decisions(channels, len(found.first), 'errors')}."
        )

    def reduction(self) -> str:
        """Return the name of the layer that computed the present integers."""
        passing = (ir.MaxPool, ir.Flatten)
        return next(x.name for x in reversed(self.layers) if not isinstance(x, passing))

    def name(self, base: str, *, numbered: bool = True) -> str:
        """Return a new name: `base` and a number; the first has none unless `numbered`."""
        count = self._names[base]
        self._names[base] += 1
        return f"{base}{count}" if numbered or count else base


def quantises(op: g.Op) -> bool:
    """Return whether an operation makes few values of many."""
    return isinstance(op, QUANTISERS) or (
        isinstance(op, FunctionOp) and op.function in ROUNDING_FUNCTIONS
    )


def squeeze(unit: Units) -> Units:
    """Return a scalar if all channels have the same unit, else `unit` itself."""
    return np.array(unit.flat[0]) if (unit == unit.flat[0]).all() else unit


def sources(*ops: g.Op) -> tuple[str, ...]:
    """Return the names of the imported nodes of some operations, each once."""
    return tuple(dict.fromkeys(op.node for op in ops if op.node))
