"""Multiply-accumulate array: PE output channels at once, SIMD inputs at once, each a multiplier.

A beat passes four stages of a pipeline: the weights are read, codes are multiplied by weights, the
products of each output channel are summed, and the sum is accumulated. Otherwise it is a
`dot.DotArray`, with the same order of beats and of weights; codes are unsigned, weights signed.

Tails take unsigned values. So the highest bit of a sum, which is in two's complement, is inverted,
which adds half of the range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.array.product import signed_product
from xnorflow_hw.array.weight_memory import weight_memory
from xnorflow_hw.base.lanes import check_blocks, check_lanes, check_sizes, window_codes
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.fabric.adder_tree import tree_sum
from xnorflow_hw.memory.rom import IMAGE_BITS
from xnorflow_hw.memory.spram_rom import SpramRom
from xnorflow_hw.spec import MacSpec
from xnorflow_hw.spec.kinds import MULTIPLIERS, Style


class MacArray(wiring.Component):
    """Accumulates products of codes and weights over the beats of a reduction.

    Parameters
    ----------
    spec : MacSpec
        Sizes, weights and storage.
    rows : int
        Number of values of `i_row`.
    name : str
        Identifier of the weight memory's module and image.
    style : {"amaranth", "verilog"}
        "verilog" instantiates the Verilog in `modules`.
    image_bits : int
        Memories of more bits than this go to a hex image.

    Members
    -------
    i_valid, i_first, i_last, i_turn, i_data, i_row, load, o_valid, o_row :
        As those of `dot.DotArray`.
    o_values : Out(pixels * pe * acc_bits)
        Sums plus ``2 ** (acc_bits - 1)``, unsigned; window 0 lowest, in each window PE 0 lowest.

    Attributes
    ----------
    latency : int
        Clock cycles from the last beat to its result; see `mac_latency`.
    sections, modules, images :
        As those of `dot.DotArray`.

    Raises
    ------
    ValueError
        If a size is not positive, shapes do not fit together, a weight is wider than `weight_bits`,
        or a name is unknown.
    """

    def __init__(
        self,
        spec: MacSpec,
        *,
        rows: int = 1,
        name: str = "weights",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and create the memory of the weights."""
        _check(spec, rows)
        self.spec, self.rows = spec, rows
        weights = np.asarray(spec.weights, np.int64)
        bits = weights[..., None] >> np.arange(spec.weight_bits) & 1
        self._rom = weight_memory(
            bits.reshape(len(weights), -1), spec.rom, name=name, style=style, image_bits=image_bits
        )
        in_spram = isinstance(self._rom, SpramRom)
        self.sections: tuple[tuple[int, ...], ...] = self._rom.sections if in_spram else ()
        self.latency = spec.latency()
        self.modules, self.images = dict(self._rom.modules), dict(self._rom.images)
        row = index_shape(rows)
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(spec.pixels * spec.simd * spec.bits),
                "i_first": In(1),
                "i_last": In(1),
                "i_row": In(row),
                **({"i_turn": In(1)} if spec.pixels > 1 else {}),
                **({"load": In(self._rom.load.shape())} if in_spram else {}),
                "o_valid": Out(1),
                "o_values": Out(spec.pixels * spec.pe * spec.acc_bits),
                "o_row": Out(row),
            }
        )

    def model(self, codes: NDArray[Any], *, turns: tuple[int, ...] = ()) -> NDArray[np.int64]:
        """Return the results of reductions of which the first begins with the first weight word.

        Parameters
        ----------
        codes : int array [reductions, beats, (pixels,) simd]
            Activation codes of each lane; with one pixel the axis of lanes may be absent.
        turns : tuple of int
            Indices of a reduction's beats before which sums move.

        Returns
        -------
        int64 array [reductions, (pixels,) pe]
            Sums plus half of the range.
        """
        s = self.spec
        reductions, beats = codes.shape[:2]
        by_lane = codes.reshape(reductions, beats, s.pixels, s.blocks, s.block_lanes)
        windows = window_codes(by_lane, lanes=s.lanes, turn=s.turn, turns=turns)
        word = np.arange(reductions * beats).reshape(reductions, beats) % s.weight_words
        weights = np.asarray(s.weights, np.int64)[word]
        weights = weights.reshape(reductions, beats, s.blocks, -1, s.block_lanes)
        total = np.einsum("rbxgl,rbgpl->rxgp", windows.astype(np.int64), weights)
        total += 1 << (s.acc_bits - 1)
        total &= (1 << s.acc_bits) - 1
        return total.reshape(reductions, *codes.shape[2:-1], s.pe)

    def elaborate(self, platform: Any) -> Module:
        """Build the address counter, the products, their sums and the accumulators."""
        m, s = Module(), self.spec
        m.submodules.rom = rom = self._rom
        if self.sections:
            assert isinstance(rom, SpramRom)
            m.d.comb += rom.load.eq(self.load)
        if (depth := s.weight_words) > 1:
            last_word = rom.address == depth - 1
            with m.If(self.i_valid):
                m.d.sync += rom.address.eq(Mux(last_word, 0, rom.address + 1))

        until_sum = self.latency - 1
        valid = delay(m, self.i_valid, until_sum, name="valid", reset=True)
        first = delay(m, self.i_first, until_sum, name="first")
        last = delay(m, self.i_last, until_sum, name="last")
        turn = delay(m, self.i_turn, until_sum, name="turn") if s.turn % s.pixels else Const(0)
        m.d.sync += self.o_valid.eq(valid & last)
        m.d.sync += self.o_row.eq(delay(m, self.i_row, until_sum, name="row"))

        weights = [rom.data.word_select(k, s.weight_bits) for k in range(s.pe * s.block_lanes)]
        sums = [
            [Signal(signed(s.acc_bits), name=f"sum_{b}_{k}", reset_less=True) for k in range(s.pe)]
            for b in range(s.pixels)
        ]
        for b, own in enumerate(sums):
            data = self.i_data.word_select(b, s.simd * s.bits)
            data = delay(m, data, rom.latency, name=f"data_{b}")
            for k, total in enumerate(own):
                low = k // (s.pe // s.blocks) * s.block_lanes
                beat = self._beat(
                    m,
                    [data.word_select(low + i, s.bits) for i in range(s.block_lanes)],
                    weights[k * s.block_lanes : (k + 1) * s.block_lanes],
                    f"{b}_{k}",
                )
                source = sums[(b - s.turn) % s.pixels][k]
                before = Signal.like(total, name=f"before_{b}_{k}")
                m.d.comb += before.eq(Mux(first, 0, Mux(turn, source, total)))
                with m.If(valid):
                    m.d.sync += total.eq(before + beat)
        half = 1 << (s.acc_bits - 1)
        m.d.comb += self.o_values.eq(
            Cat((total ^ half)[: s.acc_bits] for lane in s.lanes for total in sums[lane])
        )
        return m

    def _beat(self, m: Module, codes: list[Value], weights: list[Value], name: str) -> Value:
        """Return the sum of the products of a beat for one PE, signed."""
        terms = [
            signed_product(m, u, w.as_signed(), self.spec.multiplier, name=f"product_{name}_{i}")
            for i, (u, w) in enumerate(zip(codes, weights, strict=True))
        ]
        return tree_sum(m, terms, name=f"add_{name}")


def _check(spec: MacSpec, rows: int) -> None:
    """Check the parameters of an array."""
    check_sizes(
        pe=spec.pe,
        simd=spec.simd,
        bits=spec.bits,
        acc_bits=spec.acc_bits,
        rows=rows,
        pixels=spec.pixels,
        blocks=spec.blocks,
    )
    if spec.weight_bits < 2:
        raise ValueError(f"weight_bits is {spec.weight_bits}; it has to be 2 or more")
    check_blocks(spec.blocks, spec.pe, spec.simd)
    weights, expected = spec.weights, (spec.pe, spec.simd // spec.blocks)
    if weights.ndim != 3 or weights.shape[1:] != expected or not len(weights):
        raise ValueError(f"weights have shape {weights.shape}, not (depth, *{expected})")
    most = 1 << (spec.weight_bits - 1)
    if weights.min() < -most or weights.max() >= most:
        raise ValueError(
            f"weights go from {weights.min()} to {weights.max()}; with {spec.weight_bits} bits they"
            f" go from {-most} to {most - 1}"
        )
    check_lanes(spec.lanes, spec.pixels)
    if spec.multiplier not in MULTIPLIERS:
        raise ValueError(f"multiplier is {spec.multiplier!r}; known are {', '.join(MULTIPLIERS)}")
