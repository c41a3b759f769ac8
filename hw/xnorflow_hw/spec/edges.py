"""Describes the array whose weights are sums of edges: ternary weights times factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Fabric, SumForm
from xnorflow_hw.spec.latency import edge_latency
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec
from xnorflow_hw.spec.weighted import Weighted


@dataclass(frozen=True, eq=False)
class EdgeSpec(Weighted):
    """Spec of an array of PE x SIMD whose weights are sums of edges.

    An edge is ternary weights ``T = (t0 + t1) / 2``, of two bipolar planes, times factors. In every
    beat the lanes of an output channel form equal parts, in order; each edge has one factor for
    each part. The first edge is always enabled, the others while the network runs.

    Parameters
    ----------
    pe : int
        Number of output channels computed at once.
    simd : int
        Number of inputs per beat.
    bits : int
        Width of an activation code in bits.
    weights : uint8 array [repeat * beats, edges, 2, pe, simd / blocks]
        Weight bits of each edge's two planes, in the order in which the array reads them.
    factors : int64 array [repeat * beats, edges, pe, parts]
        Factors, at least 0.
    rest : int
        Code of the activation 0, which the lanes of a disabled edge see.
    acc_bits : int
        Width in bits of the accumulated sum P.
    pixels, turn, lanes, form, fabric, rom, blocks
        As those of a `DotSpec`.
    """

    pe: int
    simd: int
    bits: int
    weights: NDArray[Any]
    factors: NDArray[Any]
    rest: int
    acc_bits: int
    pixels: int = 1
    turn: int = 0
    lanes: tuple[int, ...] = (0,)
    form: SumForm = "tree"
    fabric: Fabric = "generic"
    rom: RomSpec = IN_BLOCKS
    blocks: int = 1

    weight_planes: ClassVar[int] = 2

    @property
    def edges(self) -> int:
        """Number of edges."""
        return int(self.weights.shape[1])

    @property
    def parts(self) -> int:
        """Number of equal parts of an output channel's lanes."""
        return int(self.factors.shape[3])

    @property
    def part_lanes(self) -> int:
        """Number of lanes that share a factor."""
        return self.block_lanes // self.parts

    @property
    def factor_bits(self) -> int:
        """Width of a factor in bits."""
        return max(1, int(self.factors.max()).bit_length())

    @property
    def word_bits(self) -> int:
        """Bits of a word of the memory of weights and factors."""
        return int(self.weights[0].size + self.factors[0].size * self.factor_bits)

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result; this array never compares."""
        return edge_latency(
            lanes=self.part_lanes,
            bits=self.bits,
            factor_bits=self.factor_bits,
            terms=self.edges * self.parts,
            depth=self.weight_words,
            form=self.form,
            fabric=self.fabric,
            rom=self.rom,
        )
