"""Turn thresholds and scores on values into constants on what an array accumulates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.plan.reductions import Reduction
from xnorflow.plan.weight_words import _per_lane
from xnorflow_hw import spec

MAX_TABLE_BITS = 1 << 21
"""Largest table of ranks that is put into one design, in bits."""


@dataclass(frozen=True, eq=False)
class Affine:
    """``value = (P * numerator + offset[row class, channel]) / denominator``."""

    numerator: int
    denominator: int
    offset: ir.Ints

    def threshold(self, values: ir.Ints) -> ir.Ints:
        """Turn thresholds [channels, n] on the value into [classes, channels, n] on P."""
        scaled = values[None] * self.denominator - self.offset[..., None]
        return -((-scaled) // self.numerator)

    def plus(self, values: ir.Ints | int) -> Affine:
        """Add `values`, one or one per channel, to the value."""
        return Affine(self.numerator, self.denominator, self.offset + self.denominator * values)


def _tails(
    reduction: Reduction, meaning: Affine, lanes: int, acc_bits: int
) -> tuple[spec.TailSpec, ...]:
    tails: list[spec.TailSpec] = []
    bits = acc_bits
    for layer, inp, out in reduction.tails:
        if isinstance(layer, ir.Threshold):
            table = meaning.threshold(layer.thresholds)
            never = (1 << bits) + 1
            if not table.shape[2]:  # A single code: any threshold that is out of reach.
                table = np.full((*table.shape[:2], 1), never)
            rows = [_per_lane(t, lanes, never) for t in np.clip(table, -1, never)]
            bits = layer.alphabet.bits
            tails.append(spec.ThresholdSpec(np.concatenate(rows), bits))
            a = layer.alphabet
            meaning = Affine(a.step, 1, np.full((len(table), inp.channels), a.lo, np.int64))
        elif layer.ranks is not None and layer.rank_lo is not None:
            tails.append(_rank_table(layer, meaning, lanes, bits))
        else:
            tails.append(_offsets(meaning.plus(layer.offsets), lanes, _signed_bits(out.alphabet)))
    return tuple(tails)


def _signed_bits(alphabet: ir.Alphabet) -> int:
    """Bits of a two's complement integer that holds every value."""
    return max(int(alphabet.hi).bit_length(), int(~min(alphabet.lo, 0)).bit_length()) + 1


def _offsets(meaning: Affine, lanes: int, bits: int) -> spec.OffsetSpec:
    rows = np.concatenate([_per_lane(o, lanes) for o in meaning.offset])
    return spec.OffsetSpec(meaning.numerator, rows, meaning.denominator.bit_length() - 1, bits)


def _rank_table(layer: ir.Scores, meaning: Affine, lanes: int, bits: int) -> spec.TableSpec:
    assert layer.ranks is not None and layer.rank_lo is not None
    ranks, lo = layer.ranks, layer.rank_lo
    out_bits = max(1, int(ranks.max()).bit_length())
    # Without the unused lanes, so that no folding decides whether there is hardware.
    size = len(meaning.offset) * len(ranks) * (out_bits << bits)
    if size > MAX_TABLE_BITS:
        raise UnsupportedModel(
            f"its scores are no affine function of the accumulators, and a table of them would"
            f" take {size} bits.",
            node=layer.name,
            op="Scores",
            hint="one scale for all classes after the last layer, or a narrower last layer.",
        )
    p = np.arange(1 << bits)
    rows = []
    for offset in meaning.offset:
        value = (p * meaning.numerator + offset[:, None]) // meaning.denominator
        index = np.clip(value - lo[:, None], 0, ranks.shape[1] - 1)
        rows.append(_per_lane(np.maximum(np.take_along_axis(ranks, index, 1), 0), lanes))
    return spec.TableSpec(np.concatenate(rows), out_bits)
