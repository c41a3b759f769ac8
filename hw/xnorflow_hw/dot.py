"""XNOR-popcount array: PE output channels at once, SIMD inputs of each at once.

A beat passes the stages ROM read, popcount of every (activation plane, weight plane), weighted sum
of the planes, accumulation. Activations wait for their weights. Nothing ever stalls; a bubble is a
beat without valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from numpy.typing import NDArray

from .pipeline import delay, index_shape, register_count, registered_levels
from .popcount import XnorPopcount, instance, latency_for, module_name, verilog_module
from .rom import IMAGE_BITS, Rom, bit_words, rom_latency


def plane_sum_latency(terms: int) -> int:
    """Clock cycles to sum so many weighted popcounts."""
    return register_count(ceil_log2(terms))


def dot_latency(
    *, simd: int, bits: int, planes: int, depth: int, rom: str = "auto", rom_register: bool = True
) -> int:
    """Clock cycles of a `DotArray` from the last beat to the result; `depth` is the ROM's."""
    read = rom_latency(depth, kind=rom, register=rom_register)
    return read + latency_for(simd) + plane_sum_latency(bits * planes) + 1


class DotArray(wiring.Component):
    """Accumulate weighted XNOR popcounts over the beats of a reduction.

    Parameters
    ----------
    pe, simd : int
        Output channels and inputs at once.
    bits : int
        Bits of an activation code; each is a plane.
    coefficients : sequence of int
        Positive coefficient of each weight plane.
    weights : uint8 array [depth, planes, pe, simd]
        Weight bits, a word per beat, in the order in which the beats come; after the last word the
        first one follows.
    acc_bits : int
        Width of the result; it is exact modulo ``2 ** acc_bits``.
    rows : int
        Values that `i_row` can have.
    rom : {"auto", "block", "logic"}
        What the weights are stored in.
    rom_register : bool
        Whether a register follows the weight memory.
    name : str
        Identifier of the weight memory's module and image.
    style : {"amaranth", "verilog"}
        "verilog" instantiates the modules of `modules`.
    image_bits : int
        Weights of more bits than this go to a hex image.

    Members
    -------
    i_valid, i_first, i_last : In(1)
        A beat, and whether it begins and ends a reduction.
    i_data : In(simd * bits)
        Activation codes, lane 0 lowest.
    i_row : In(range(rows)), at least one bit
        Passed on with the result; that of the last beat counts.
    o_valid : Out(1)
        A result, `latency` cycles after the last beat.
    o_values : Out(pe * acc_bits)
        Unsigned sums, PE 0 lowest.
    o_row : Out(range(rows)), at least one bit
        Row of the result.

    Attributes
    ----------
    latency : int
        See `dot_latency`.
    modules, images : dict of str to str
        Verilog modules to append to the design and hex images to lie beside it.
    """

    def __init__(
        self,
        *,
        pe: int,
        simd: int,
        bits: int,
        coefficients: Sequence[int],
        weights: NDArray[Any],
        acc_bits: int,
        rows: int = 1,
        rom: str = "auto",
        rom_register: bool = True,
        name: str = "weights",
        style: str = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters."""
        sizes = {"pe": pe, "simd": simd, "bits": bits, "acc_bits": acc_bits, "rows": rows}
        for what, size in sizes.items():
            if size < 1:
                raise ValueError(f"{what} is {size}; it has to be positive")
        if not coefficients or min(coefficients) < 1:
            raise ValueError(f"coefficients are {tuple(coefficients)}; they have to be positive")
        expected = (len(coefficients), pe, simd)
        if weights.ndim != 4 or weights.shape[1:] != expected or not len(weights):
            raise ValueError(f"weights have shape {weights.shape}, not (depth, *{expected})")
        if weights.size and (weights.min() < 0 or weights.max() > 1):
            raise ValueError(f"weights go from {weights.min()} to {weights.max()}, not from 0 to 1")
        self.pe, self.simd, self.bits, self.acc_bits, self.rows = pe, simd, bits, acc_bits, rows
        self.coefficients, self.weights, self.style = tuple(coefficients), weights, style
        self._rom = Rom(
            words=bit_words(weights.reshape(len(weights), -1)), width=weights[0].size, kind=rom,
            register=rom_register, name=name, style=style, image_bits=image_bits,
        )
        self.latency = dot_latency(
            simd=simd, bits=bits, planes=len(coefficients), depth=len(weights),
            rom=rom, rom_register=rom_register,
        )
        self.modules, self.images = dict(self._rom.modules), dict(self._rom.images)
        if style == "verilog":
            stages = latency_for(simd)
            self.modules[module_name(simd, stages)] = verilog_module(simd, stages)
        row = index_shape(rows)
        super().__init__({
            "i_valid": In(1), "i_data": In(simd * bits), "i_first": In(1), "i_last": In(1),
            "i_row": In(row),
            "o_valid": Out(1), "o_values": Out(pe * acc_bits), "o_row": Out(row),
        })

    def model(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Give the sums of the reductions that begin with the first weight word.

        Parameters
        ----------
        codes : int array [reductions, beats, simd]
            Activation codes.

        Returns
        -------
        int64 array [reductions, pe]
        """
        reductions, beats, _ = codes.shape
        total = np.zeros((reductions, self.pe), np.int64)
        word = np.arange(reductions * beats).reshape(reductions, beats) % len(self.weights)
        for plane in range(self.bits):
            active = (codes >> plane & 1)[:, :, None, :]
            for p, coefficient in enumerate(self.coefficients):
                agree = active == self.weights[word, p]
                total += (coefficient << plane) * agree.sum((1, 3), dtype=np.int64)
        return total & ((1 << self.acc_bits) - 1)

    def elaborate(self, platform: Any) -> Module:
        """Build the pipeline."""
        m = Module()
        m.submodules.rom = rom = self._rom
        with m.If(self.i_valid):
            last_word = Signal()
            m.d.comb += last_word.eq(rom.address == rom.depth - 1)
            m.d.sync += rom.address.eq(Mux(last_word, 0, rom.address + 1))

        data = delay(m, self.i_data, rom.latency, name="data")
        planes = [Signal(self.simd, name=f"plane_{a}") for a in range(self.bits)]
        for a, plane in enumerate(planes):
            m.d.comb += plane.eq(Cat(data[lane * self.bits + a] for lane in range(self.simd)))
        sums = [self._plane_sum(m, planes, rom.data, k) for k in range(self.pe)]

        until_sum = self.latency - 1
        valid = delay(m, self.i_valid, until_sum, name="valid", reset=True)
        first = delay(m, self.i_first, until_sum, name="first")
        last = delay(m, self.i_last, until_sum, name="last")
        m.d.sync += self.o_valid.eq(valid & last)
        m.d.sync += self.o_row.eq(delay(m, self.i_row, until_sum, name="row"))
        accumulators = [
            Signal(self.acc_bits, name=f"sum_{k}", reset_less=True) for k in range(self.pe)
        ]
        m.d.comb += self.o_values.eq(Cat(accumulators))
        for k, (accumulator, total) in enumerate(zip(accumulators, sums, strict=True)):
            before = Signal(self.acc_bits, name=f"before_{k}")
            m.d.comb += before.eq(Mux(first, 0, accumulator))
            with m.If(valid):
                m.d.sync += accumulator.eq(before + total)
        return m

    def _popcount(self, m: Module, name: str, x: Value, w: Value) -> Signal:
        """Add a popcount; as a bare instance in Verilog, where a wrapper each would be clutter."""
        if self.style == "verilog":
            n = Signal(range(self.simd + 1), name=f"{name}_n")
            latency = latency_for(self.simd)
            m.submodules[name] = instance(simd=self.simd, latency=latency, x=x, w=w, n=n)
            return n
        m.submodules[name] = popcount = XnorPopcount(simd=self.simd)
        m.d.comb += [popcount.x.eq(x), popcount.w.eq(w)]
        return popcount.n

    def _plane_sum(self, m: Module, planes: list[Signal], word: Value, k: int) -> Signal:
        """Build PE k's weighted sum of popcounts of one beat."""
        terms: list[Signal] = []
        for a, plane in enumerate(planes):
            for p, coefficient in enumerate(self.coefficients):
                lanes = word.word_select(p * self.pe + k, self.simd)
                count = self._popcount(m, f"popcount_{k}_{a}_{p}", plane, lanes)
                factor = coefficient << a
                term = Signal(range(self.simd * factor + 1), name=f"term_{k}_{a}_{p}")
                m.d.comb += term.eq(count * factor)
                terms.append(term)
        levels = ceil_log2(len(terms))
        registered = registered_levels(levels, register_count(levels))
        for level in range(1, levels + 1):
            domain = m.d.sync if level in registered else m.d.comb
            sums = []
            for i in range(0, len(terms), 2):
                value = sum(terms[i + 1 : i + 2], terms[i])
                total = Signal(len(value), name=f"planes_{k}_{level}_{i // 2}", reset_less=True)
                domain += total.eq(value)
                sums.append(total)
            terms = sums
        return terms[0]
