"""Convert the constants of thresholds, tables and scores to the numbers that arrays accumulate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.plan.affine_codes import AffineCodes, Staircase, fit
from xnorflow.plan.weight_words import per_lane
from xnorflow_hw import spec

MAX_TABLE_BITS = 1 << 21
"""Largest table, in bits, that is put into one design."""
FEWEST_LEVELS, MOST_LEVELS = 5, 256
"""Fewest and most levels of codes that may be computed; fewer are found by search in two steps."""


@dataclass(frozen=True, eq=False)
class Affine:
    """Meaning of an array's output P: ``(P * numerator + offset[class, channel]) / denominator``.

    Parameters
    ----------
    numerator, denominator : int
        Positive factors.
    offset : int64 array [classes, channels]
        Offsets, with a row per border class.
    """

    numerator: int
    denominator: int
    offset: ir.Ints

    def threshold(self, values: ir.Ints) -> ir.Ints:
        """Return thresholds on P [classes, channels, n] for those on the value [channels, n]."""
        scaled = values[None] * self.denominator - self.offset[..., None]
        return -((-scaled) // self.numerator)

    def times(self, factor: int) -> Affine:
        """Return the meaning multiplied by a positive factor."""
        return Affine(self.numerator * factor, self.denominator, self.offset * factor)

    def padded(self, values: ir.Ints) -> Affine:
        """Return the meaning with `values` [classes, channels] added, by border class."""
        return Affine(self.numerator, self.denominator, self.offset + self.denominator * values)

    def plus(self, values: ir.Ints | int) -> Affine:
        """Return the meaning with `values`, a scalar or an array [channels], added."""
        return Affine(self.numerator, self.denominator, self.offset + self.denominator * values)


@dataclass(frozen=True, eq=False)
class Span:
    """Values P of an array that can occur: ``low, low + step, ... high``.

    Parameters
    ----------
    low, high : int64 array [classes, channels]
        Least and greatest, with a row per border class.
    step : int
        Distance of neighbours.
    """

    low: ir.Ints
    high: ir.Ints
    step: int = 1

    @classmethod
    def of_codes(cls, levels: int, meaning: Affine) -> Span:
        """Return the span of codes or sums that start at 0, which all channels share."""
        low = np.zeros_like(meaning.offset)
        return cls(low, np.full_like(low, levels - 1))

    @classmethod
    def of_values(cls, low: ir.Ints, high: ir.Ints, meaning: Affine, bits: int) -> Span:
        """Return the span of P of `bits` bits whose values lie between bounds [channels]."""
        numerator, denominator, offset = meaning.numerator, meaning.denominator, meaning.offset
        least = np.maximum(-((offset - low * denominator) // numerator), 0)
        most = np.minimum((high * denominator - offset) // numerator, (1 << bits) - 1)
        for _ in range(denominator - 1):
            # Only every so many values of P stand for an integer.
            least += (least * numerator + offset) % denominator != 0
        step = denominator // gcd(numerator, denominator)
        return cls(least, least + (most - least) // step * step, step)


@dataclass(frozen=True)
class Lanes:
    """Lanes of the values that enter a tail, and border classes of the pixels that share a word.

    Parameters
    ----------
    number : int
        Values of a pixel that come at once.
    classes : tuple of tuple of int
        Border class of each kind of pixel, for each class of rows and groups; see `Borders`.
    """

    number: int
    classes: tuple[tuple[int, ...], ...] = ((0,),)

    def rows(self, constants: NDArray[Any], value: int = 0) -> NDArray[Any]:
        """Return constants [classes, channels, ...] as rows [rows, kinds * lanes, ...].

        Unused lanes get `value`.
        """
        assert max(map(max, self.classes)) + 1 == len(constants), "constants are of other classes"
        own = [per_lane(c, self.number, value) for c in constants]
        return np.concatenate(
            [np.concatenate([own[c] for c in kinds], axis=1) for kinds in self.classes]
        )


@dataclass(frozen=True, eq=False)
class Incoming:
    """Stream of values that enters a tail.

    Parameters
    ----------
    meaning : Affine
        Meaning of the values.
    lanes : Lanes
        Values that come at once, and the order of their constants.
    bits : int
        Bits of a value.
    inp, out : Features
        Input and output of the tail's layer.
    span : Span
        Values that can occur.
    joined : bool
        Whether what the tail sends is joined with others: scores then are codes.
    """

    meaning: Affine
    lanes: Lanes
    bits: int
    inp: ir.Features
    out: ir.Features
    span: Span
    joined: bool = False


@dataclass(frozen=True)
class TailRule:
    """Rule for a layer that acts on the values of a reduction.

    Parameters
    ----------
    tail : callable
        Returns the tail and the meaning of its output, given the layer and the incoming values; the
        meaning is None if nothing may follow the tail.
    """

    tail: Callable[[ir.Layer, Incoming], tuple[spec.TailSpec, Affine | None]]


def threshold_tail(layer: ir.Layer, given: Incoming) -> tuple[spec.ThresholdSpec, Affine]:
    """Return the tail that counts how many thresholds a value reaches, and its meaning."""
    assert isinstance(layer, ir.Threshold)
    table = given.meaning.threshold(layer.thresholds)
    never = (1 << given.bits) + 1
    if not table.shape[2]:
        # A single code needs no threshold, but the hardware has at least one: an unreachable one.
        table = np.full((*table.shape[:2], 1), never)
    rows = given.lanes.rows(np.clip(table, -1, never), never)
    a = layer.alphabet
    meaning = Affine(a.step, 1, np.full((len(table), given.inp.channels), a.lo, np.int64))
    affine = _affine_tail(layer, given)
    return spec.ThresholdSpec(rows, a.bits, affine=affine), meaning


_FITTED: WeakKeyDictionary[ir.Threshold, tuple[bytes, AffineCodes | None]] = WeakKeyDictionary()
"""Affine codes of layers, which depend on no folding, and the bounds that they were found for."""


def _affine_tail(layer: ir.Threshold, given: Incoming) -> spec.AffineSpec | None:
    """Return the tail that computes the codes of thresholds, if they are uniform."""
    a, span = layer.alphabet, given.span
    if not FEWEST_LEVELS <= a.levels <= MOST_LEVELS:
        return None
    known = span.low.tobytes() + span.high.tobytes() + given.meaning.offset.tobytes()
    if layer not in _FITTED or _FITTED[layer][0] != known:
        table = given.meaning.threshold(layer.thresholds).reshape(-1, a.levels - 1)
        stairs = Staircase(table, span.low.ravel(), span.high.ravel(), span.step)
        _FITTED[layer] = known, fit(stairs)
    found = _FITTED[layer][1]
    if found is None:
        return None

    def rows(constants: NDArray[Any]) -> NDArray[Any]:
        return given.lanes.rows(constants.reshape(*span.low.shape, *constants.shape[1:]))

    return spec.AffineSpec(
        rows(found.multiply),
        rows(found.offset),
        found.shift,
        a.levels,
        a.bits,
        given.bits,
        rows(found.ties),
        None if found.late is None else rows(found.late),
        step=span.step,
    )


def rescale_tail(layer: ir.Layer, given: Incoming) -> tuple[spec.AffineSpec, Affine]:
    """Return the tail that scales values and rounds them to codes, and the meaning of the codes."""
    assert isinstance(layer, ir.Rescale)
    a, meaning, span = layer.alphabet, given.meaning, given.span
    # A value is (P * numerator + offset) / denominator, so the shift takes the denominator along.
    down = meaning.denominator.bit_length() - 1
    assert meaning.denominator == 1 << down, "denominators are powers of two"
    multiply = np.broadcast_to(layer.multiply * meaning.numerator, meaning.offset.shape)
    offset = meaning.offset * layer.multiply + (layer.offset << down)
    shift = layer.shift + down
    limited = bool(layer.least.any() or (layer.most < a.levels - 1).any())
    ends = (multiply * span.low + offset) >> shift, (multiply * span.high + offset) >> shift
    inside = bool((ends[0] >= 0).all() and (ends[1] < a.levels).all())

    def rows(constants: ir.Ints, value: int = 0) -> NDArray[Any]:
        return given.lanes.rows(np.broadcast_to(constants, meaning.offset.shape), value)

    tail = spec.AffineSpec(
        rows(multiply),
        rows(offset),
        shift,
        a.levels,
        a.bits,
        given.bits,
        np.zeros_like(rows(multiply)),
        least=rows(layer.least) if limited else None,
        most=rows(layer.most) if limited else None,
        bounded=limited or not inside,
        step=span.step & -span.step,
    )
    return tail, Affine(a.step, 1, np.full_like(meaning.offset, a.lo))


def code_table_tail(layer: ir.Layer, given: Incoming) -> tuple[spec.TableSpec, Affine]:
    """Return the tail that looks codes up in a table, and its meaning.

    Raises
    ------
    UnsupportedModel
        If the table would have more than `MAX_TABLE_BITS` bits.
    """
    assert isinstance(layer, ir.CodeTable)
    a, inp = layer.alphabet, given.inp.alphabet
    size = _table_bits(given.meaning, layer.table, a.bits << given.bits)
    if size > MAX_TABLE_BITS:
        raise UnsupportedModel(
            f"a table of this function would take {size} bits, more than the {MAX_TABLE_BITS} that"
            " one design may have.",
            node=(*layer.sources, layer.name)[0],
            op="CodeTable",
            hint="fewer activation bits, or a function that rises or falls throughout.",
        )
    lo = np.full(len(layer.table), inp.lo)
    tail = _table(layer.table, lo, inp.step, given.meaning, given.lanes, given.bits, a.bits)
    return tail, Affine(a.step, 1, np.full_like(given.meaning.offset, a.lo))


def input_table_tail(layer: ir.Layer, given: Incoming) -> tuple[spec.TableSpec, Affine]:
    """Return the tail that looks samples up in a table, and its meaning.

    Raises
    ------
    UnsupportedModel
        If the table would have more than `MAX_TABLE_BITS` bits.
    """
    assert isinstance(layer, ir.InputTable)
    entries = np.broadcast_to(layer.table, (given.inp.channels, layer.table.shape[1]))
    same = ir.CodeTable(layer.name, entries, layer.alphabet, sources=layer.sources)
    return code_table_tail(same, given)


def scores_tail(layer: ir.Layer, given: Incoming) -> tuple[spec.TailSpec, None]:
    """Return the tail that computes scores: a table of ranks, or one that adds offsets.

    Scores with steps have none. Those of several outputs are joined, so they are sent as codes.
    """
    assert isinstance(layer, ir.Scores) and not layer.steps
    if layer.ranks is not None and layer.rank_lo is not None:
        return _rank_table(layer, given.meaning, given.lanes, given.bits), None
    meaning, a = given.meaning.times(layer.factor).plus(layer.offsets), given.out.alphabet
    if given.joined:
        return offset_tail(meaning.plus(-a.lo), given.lanes, a.bits), None
    return offset_tail(meaning, given.lanes, signed_bits(a)), None


def signed_bits(alphabet: ir.Alphabet) -> int:
    """Return the bits of a two's complement integer that holds every value of an alphabet."""
    return max(int(alphabet.hi).bit_length(), int(~min(alphabet.lo, 0)).bit_length()) + 1


def offset_tail(meaning: Affine, lanes: Lanes, bits: int) -> spec.OffsetSpec:
    """Return the tail that computes the values that `meaning` describes, as integers of `bits`."""
    rows = lanes.rows(meaning.offset)
    return spec.OffsetSpec(meaning.numerator, rows, meaning.denominator.bit_length() - 1, bits)


def _rank_table(layer: ir.Scores, meaning: Affine, lanes: Lanes, bits: int) -> spec.TableSpec:
    assert layer.ranks is not None and layer.rank_lo is not None
    ranks, lo = layer.ranks, layer.rank_lo
    out_bits = max(1, int(ranks.max()).bit_length())
    size = _table_bits(meaning, ranks, out_bits << bits)
    if size > MAX_TABLE_BITS:
        raise UnsupportedModel(
            f"its scores are no affine function of the accumulators, and a table of them would"
            f" take {size} bits, more than the {MAX_TABLE_BITS} that one design may have.",
            node=layer.name,
            op="Scores",
            hint="one scale for all classes after the last layer, or a narrower last layer.",
        )
    return _table(np.maximum(ranks, 0), lo, 1, meaning, lanes, bits, out_bits)


def _table_bits(meaning: Affine, entries: ir.Ints, per_channel: int) -> int:
    # Unused lanes are not counted, so that whether a network can be built depends on no folding.
    return len(meaning.offset) * len(entries) * per_channel


def _table(
    entries: ir.Ints,
    lo: ir.Ints,
    step: int,
    meaning: Affine,
    lanes: Lanes,
    bits: int,
    out_bits: int,
) -> spec.TableSpec:
    """Build the table over all P from entries [channels, n] for ``lo, lo + step, ...``."""
    p = np.arange(1 << bits)
    by_class = []
    for offset in meaning.offset:
        value = (p * meaning.numerator + offset[:, None]) // meaning.denominator
        index = np.clip((value - lo[:, None]) // step, 0, entries.shape[1] - 1)
        by_class.append(np.take_along_axis(entries, index, 1))
    return spec.TableSpec(lanes.rows(np.stack(by_class)), out_bits)
