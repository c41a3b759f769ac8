"""Map a convolution whose weights are a sum of edges to an array of ternary sums times factors.

With activations ``x = lo + step * u`` and weights ``w = sum over edges e of alpha_e * T_e``, the
array accumulates ``P = sum of alpha * S`` over all edges, beats and parts of their lanes. S is the
XNOR sum of a part's codes with the two planes of T, ``S = 2 * T.u + (2**A - 1) * z``, where z is
the number of bits of both planes that are 0. So the accumulator of the integer network is
``(step * P + offset) / 2`` with::

    offset = 2 * lo * sum(w) - step * (2**A - 1) * sum(alpha * z)

A disabled edge sees the code of the activation 0. It then contributes to P what stands for 0, so
the offset is the same for any number of enabled edges.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.tail_constants import Affine
from xnorflow.plan.weight_words import rom_words
from xnorflow_hw import spec

_PRIMES = (2, 3, 5, 7, 11, 13)


def edges_of(conv: ir.Conv) -> ir.Ints:
    """Return the edges of a layer, or its weights as a single one: [edges, *weights.shape]."""
    return conv.weights[None] if conv.edges is None else conv.edges


@lru_cache(maxsize=256)
def shared_channels(conv: ir.Conv) -> int:
    """Return how many neighbouring input channels of a group share their factor.

    The weights of an output channel at one place of the kernel are 0 or of one magnitude in every
    run of so many input channels, counted from the group's first one. It is the number of a group's
    channels if they all share a factor; otherwise no multiple by one of `_PRIMES` would do.
    """
    sizes = np.abs(edges_of(conv))
    channels = int(sizes.shape[4])

    def shared(n: int) -> bool:
        padded = np.pad(sizes, [(0, 0)] * 4 + [(0, -channels % n)])
        runs = padded.reshape(-1, n)
        return bool(((runs == 0) | (runs == runs.max(1, keepdims=True))).all())

    if shared(channels):
        return channels
    found = 1
    for prime in _PRIMES:
        while found * prime < channels and shared(found * prime):
            found *= prime
    return found


def part_number(reduction: Reduction, fold: Fold) -> int:
    """Return into how many parts, with a factor each, an output channel's lanes are divided."""
    assert isinstance(reduction.layer, ir.Conv)
    lanes = fold.simd // reduction.groups_at_once(fold)
    shared = shared_channels(reduction.layer)
    return 1 if shared >= reduction.group_inputs else lanes // gcd(lanes, shared)


def factor_bits(conv: ir.Conv) -> int:
    """Return the bits of the largest factor of a layer."""
    return max(1, int(np.abs(edges_of(conv)).max()).bit_length())


def edge_array(reduction: Reduction, fold: Fold) -> tuple[spec.EdgeSpec, Affine]:
    """Return the array of a convolution with edges, and the meaning of its P.

    Raises
    ------
    UnsupportedModel
        If a disabled edge could not see zeros: the activations lack the value 0, or the padding is
        another.
    """
    conv, a = reduction.layer, reduction.inp.alphabet
    assert isinstance(conv, ir.Conv)
    # A single edge is never disabled.
    rest = 0 if conv.edges is None else _rest(conv, a)
    banks, blocks = reduction.banks(fold), reduction.groups_at_once(fold)
    edges = edges_of(conv)
    # Padded lanes and output channels get a 1 here, which stands for the weight 0.
    signs = rom_words(np.sign(edges) + 1, fold, blocks)
    sizes = np.where(signs == 1, 0, rom_words(np.abs(edges), fold, blocks))
    parts = part_number(reduction, fold)
    by_part = (*sizes.shape[:3], parts, -1)
    factors = sizes.reshape(by_part).max(4)
    weights = np.stack([signs >= 1, signs >= 2], 2).astype(np.uint8)
    zeros = (2 - signs).reshape(by_part).sum(4)
    base = _per_output(reduction, fold, (factors * zeros).sum((1, 3)))
    total = conv.weights.reshape(len(conv.weights), -1).sum(1)
    offset = 2 * a.lo * total - a.step * ((1 << a.bits) - 1) * base
    flat = conv.enabled.reshape(conv.edge_count, len(conv.weights), -1)
    highest = a.lo * flat.sum(2) + a.step * (a.levels - 1) * np.maximum(flat, 0).sum(2)
    most = int(((2 * highest - offset) // a.step).max())
    array = spec.EdgeSpec(
        pe=fold.pe,
        simd=fold.simd,
        bits=a.bits,
        weights=weights,
        factors=factors,
        rest=rest,
        acc_bits=max(1, most.bit_length()),
        pixels=fold.pixels,
        turn=banks.turn,
        lanes=banks.lanes,
        blocks=blocks,
    )
    return array, Affine(a.step, 2, offset[None])


def _rest(conv: ir.Conv, a: ir.Alphabet) -> int:
    """Return the code of the activation 0, which disabled edges see."""
    if (rest := a.code_of(0)) is None:
        raise UnsupportedModel(
            f"its weights are a sum of edges, of which a disabled one sees zeros; but its inputs"
            f" ({a}) cannot be 0.",
            node=conv.name,
            op="Conv",
            hint="activations with the value 0, such as rectified ones, or an import without"
            " edges.",
        )
    if any(conv.window.pads) and conv.pad_value != 0:
        raise UnsupportedModel(
            f"its weights are a sum of edges, of which a disabled one sees zeros; but it is padded"
            f" with {conv.pad_value}.",
            node=conv.name,
            op="Conv",
            hint="padding with 0, or an import without edges.",
        )
    return rest


def _per_output(reduction: Reduction, fold: Fold, words: NDArray[np.int64]) -> ir.Ints:
    """Return the sums of values [words, pe] over all words of each output channel."""
    by_pass = words.reshape(reduction.repeat(fold), -1, fold.pe).sum(1)
    return np.asarray(by_pass.reshape(-1)[: reduction.out_channels])
