"""A tensor on its way to integers that begins at a value which others may read as well."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.ir.layer import LayersBefore, Mask
from xnorflow.lower.branches import exact_integers
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.fixed_point import FixedPoint
from xnorflow.lower.negate import OffCentre
from xnorflow.lower.pending import Mark, Pending, Units, quantises

RECODED = 4
"""Most values that become codes where the alphabet has more, as behind picked channels."""


@dataclass(frozen=True, eq=False)
class Value:
    """A value between two pieces: operations on the integers of a layer.

    Parameters
    ----------
    layer : str
        The layer, `FRAME` for the samples.
    features : Features
        Its map.
    reach, unit, ops, exact, error, rounded
        As in `Pending`; `ops` wait.
    at : int
        Place of the value among those of the graph; 0 is its input.
    """

    layer: str
    features: ir.Features
    reach: Reach
    unit: Units
    ops: tuple[g.Elementwise, ...]
    exact: bool
    error: Units
    rounded: bool
    at: int


@dataclass(eq=False)
class Written:
    """What has been written of a network.

    Parameters
    ----------
    graph : Graph
        The tidy graph.
    centred, fixed
        As in `Pending`.
    layers : list of Layer
        In order of execution, each with its inputs.
    notes : list of str
        Of the network.
    marks : list of Mark
        See `Pending`.
    names : Counter
        How often each name has been used.
    """

    graph: g.Graph
    centred: bool
    fixed: FixedPoint | None
    layers: list[ir.Layer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)

    def name(self, base: str) -> str:
        """Return a new name: `base`, and a number if it is not the first."""
        count = self.names[base]
        self.names[base] += 1
        return f"{base}{count}" if count else base


@dataclass(frozen=True, eq=False)
class Held(ir.Layer):
    """A layer that is written already; mirroring its channels is left to an `Add` behind it.

    Parameters
    ----------
    features : Features
        Its map.
    signs : int64 array [channels]
        -1 for mirrored channels, else +1.
    """

    features: ir.Features
    signs: ir.Ints

    def output(self, inp: ir.Features) -> ir.Features:
        """Return the map, with the signs."""
        return self.add("").output(self.features) if self.turned else self.features

    @property
    def turned(self) -> bool:
        """Whether any channel is mirrored."""
        return bool((self.signs < 0).any())

    def add(self, name: str) -> ir.Add:
        """Return the layer that mirrors the channels."""
        signs = self.signs[:1] if (self.signs == self.signs[0]).all() else self.signs
        return ir.Add(name, signs[None].copy())

    def check(self, inp: ir.Features) -> None:
        """Do nothing."""

    def depends(self, alive: Mask) -> Mask:
        """Return `alive`."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Held, ir.Ints]:
        """Change the signs of marked channels."""
        signs = np.where(mask, -self.signs, self.signs)
        return replace(self, signs=signs), np.zeros(len(mask), np.int64)


class BranchPending(Pending):
    """A `Pending` that begins at a value; the layers before are never changed.

    Parameters
    ----------
    written : Written
        What it is written to.
    value : Value
        Where it begins.
    """

    def __init__(self, written: Written, value: Value) -> None:
        super().__init__(written.graph, centred=written.centred, fixed=written.fixed)
        self.written, self.value = written, value
        self.notes, self._names = written.notes, written.names
        self.at, self.rounded = value.at, value.rounded
        self.ops = list(value.ops)
        if value.layer != ir.FRAME:
            self.given, self.reach, self.unit = value.features, value.reach, value.unit
            self.exact, self.error = value.exact, value.error.copy()
            ones = np.ones(value.features.channels, np.int64)
            self.layers = [Held(value.layer, value.features, ones)]

    def features(self) -> ir.Features:
        """Return the map of the last layer."""
        found = self.given
        for layer in self.layers:
            found = layer.output(found)
        return found

    def _codes(self, consumer: g.Op, zero: bool) -> None:
        """Write integers without rounding, where no quantiser waits and that is possible."""
        plain = not self.rounded and not self.pools and not (zero and self.centred)
        if plain and not any(quantises(op) for op in self.ops):
            self.carry_tail()
            if exact_integers.settle(self, zero=zero):
                return
        super()._codes(consumer, zero)

    def plain(self, consumer: g.Op) -> None:
        """Write layers until neither a pool nor a quantiser waits, nor the samples are read."""
        if not self.layers:
            self.settle(consumer, uniform=False)
        elif any(quantises(op) for op in self.ops):
            self._quantise(consumer)
        self.write_pools(np.ones(len(self.reach.lo), np.int64))
        self._recode()

    def _quantise(self, consumer: g.Op) -> None:
        """Write thresholds for the last quantiser, and what is behind it if that helps."""
        last = max(k for k, op in enumerate(self.ops) if quantises(op)) + 1
        suffix = self.ops[last:]
        shared = all(c.ndim == 0 or len(c) == 1 for op in suffix for _, c in op.constants())
        if suffix and not shared:
            self._prefix(last, consumer)
            return
        before = list(self.layers)
        try:
            self.settle(consumer, uniform=False)
        except OffCentre:
            raise
        except UnsupportedModel:
            if not suffix:
                raise
            self.layers[:] = before
            self._prefix(last, consumer)

    def _prefix(self, count: int, consumer: g.Op) -> None:
        """Write the first operations that wait."""
        suffix = self.ops[count:]
        pools = [p for p in self.pools if p.after > count]
        if pools:
            raise UnsupportedModel(
                "a max-pool stands between a quantiser and a join.",
                node=pools[0].op.node,
                op=pools[0].op.op,
                hint="one scale for all channels of the quantiser.",
            )
        self.ops = self.ops[:count]
        self.settle(consumer, uniform=False)
        self.ops = suffix

    def _recode(self) -> None:
        """Write thresholds where the integers are far fewer than the alphabet's."""
        lo, hi, step = int(self.reach.lo.min()), int(self.reach.hi.max()), self.reach.step
        rows = (hi - lo) // step + 1
        if rows > RECODED or (self.reach.lo != lo).any() or isinstance(self.layers[-1], ir.Flatten):
            return
        alphabet = ir.Alphabet(lo, step, rows)
        if alphabet.bits >= self.alphabet().bits:
            return
        limits = np.tile(lo + step * np.arange(1, rows, dtype=np.int64), (len(self.reach.lo), 1))
        name = self.name(f"{self.layers[-1].name}_codes", numbered=False)
        self.layers.append(ir.Threshold(name, limits, alphabet))

    def flush(self) -> tuple[str, ir.Features]:
        """Write the layers out; return the name and the map of the last one."""
        features = self.features()
        before = self.value.layer
        replaced: dict[int, ir.Layer] = {}
        for layer in self.layers:
            out: Any = layer
            if isinstance(layer, Held):
                if not layer.turned:
                    continue
                out = layer.add(self.name(f"{layer.name}_signs", numbered=False))
            out = replace(out, inputs=(before,))
            replaced[id(layer)] = out
            self.written.layers.append(out)
            before = out.name
        self.written.marks += [
            replace(m, layer=replaced[id(m.layer)]) for m in self.marks if id(m.layer) in replaced
        ]
        self.layers, self.marks = [], []
        return before, features

    def close(self, at: int) -> Value:
        """Write the layers out, and return the value for several readers.

        Parameters
        ----------
        at : int
            Place of the value.
        """
        where = self.ops[-1] if self.ops else g.Op()
        if self.layers:
            if any(quantises(op) for op in self.ops):
                self._quantise(where)
            self.write_pools(np.ones(len(self.reach.lo), np.int64))
            self._recode()
        elif self.pools or any(quantises(op) for op in self.ops):
            self.settle(where, uniform=False)
        layer, features = self.flush()
        return Value(
            layer,
            features,
            self.reach,
            self.unit,
            tuple(self.ops),
            self.exact,
            self.error,
            self.rounded,
            at,
        )
