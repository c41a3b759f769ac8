"""Array whose weights are sums of edges: ternary weights times factors.

A beat passes five stages of a pipeline: the weights are read, codes times ternary weights are
summed for each part of each edge, these sums are multiplied by their factors, the products of each
output channel are summed, and that sum is accumulated. Otherwise it is a `dot.DotArray`, with the
same order of beats and of weights.

The lanes of a disabled edge see the code of the activation 0. So its part of P is what it always is
where activations are 0, and what follows the array is the same for any number of enabled edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.array.product import product
from xnorflow_hw.array.rom_sums import RomSums
from xnorflow_hw.base.lanes import check_bits, check_blocks, check_lanes, check_sizes, window_codes
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.fabric.adder_tree import tree_sum
from xnorflow_hw.memory.rom import IMAGE_BITS
from xnorflow_hw.spec import EdgeSpec
from xnorflow_hw.spec.kinds import Style


class EdgeArray(wiring.Component):
    """Accumulates factors times ternary sums over the beats of a reduction.

    Parameters
    ----------
    spec : EdgeSpec
        Sizes, weights, factors and storage.
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
    i_edges : In(edges - 1)
        Whether the second, third ... edge is enabled in this beat. Only with several edges.
    o_values : Out(pixels * pe * acc_bits)
        Unsigned sums; window 0 lowest, in each window PE 0 lowest.

    Attributes
    ----------
    latency : int
        Clock cycles from the last beat to its result; see `edge_latency`.
    sections, modules, images :
        As those of `dot.DotArray`.

    Raises
    ------
    ValueError
        If a size is not positive, shapes do not fit together, a factor or a weight bit is out of
        range, or the fabric lacks the form.
    """

    def __init__(
        self,
        spec: EdgeSpec,
        *,
        rows: int = 1,
        name: str = "weights",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and create the memory of weights and factors."""
        _check(spec, rows)
        self.spec, self.rows = spec, rows
        factors = _by_part(spec.factors[:, :, None, :, :, None], spec)[:, 0, :, 0]
        self._sums = RomSums(
            weights=_by_part(
                spec.weights.reshape(*spec.weights.shape[:4], spec.parts, -1), spec
            ).astype(np.uint8),
            blocks=spec.edges * spec.blocks * spec.parts,
            bits=spec.bits,
            coefficients=(1, 1),
            masked=False,
            form=spec.form,
            fabric=spec.fabric,
            rom=spec.rom,
            rom_register=True,
            name=name,
            style=style,
            image_bits=image_bits,
            beside=(factors[..., None] >> np.arange(spec.factor_bits) & 1).reshape(
                spec.weight_words, -1
            ),
        )
        self.sections, self._load = self._sums.sections, self._sums.load
        self.latency = spec.latency()
        self.modules, self.images = dict(self._sums.modules), dict(self._sums.images)
        row = index_shape(rows)
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(spec.pixels * spec.simd * spec.bits),
                "i_first": In(1),
                "i_last": In(1),
                "i_row": In(row),
                **({"i_edges": In(spec.edges - 1)} if spec.edges > 1 else {}),
                **({"i_turn": In(1)} if spec.pixels > 1 else {}),
                **({"load": In(self._load.shape())} if self._load is not None else {}),
                "o_valid": Out(1),
                "o_values": Out(spec.pixels * spec.pe * spec.acc_bits),
                "o_row": Out(row),
            }
        )

    def model(
        self,
        codes: NDArray[Any],
        *,
        edges: NDArray[Any] | int | None = None,
        turns: tuple[int, ...] = (),
    ) -> NDArray[np.int64]:
        """Return the results of reductions of which the first begins with the first weight word.

        Parameters
        ----------
        codes : int array [reductions, beats, (pixels,) simd]
            Activation codes of each lane; with one pixel the axis of lanes may be absent.
        edges : int array [reductions] or int, optional
            Number of enabled edges of each reduction, all by default.
        turns : tuple of int
            Indices of a reduction's beats before which sums move.

        Returns
        -------
        int64 array [reductions, (pixels,) pe]
            Sums.
        """
        s = self.spec
        reductions, beats = codes.shape[:2]
        by_lane = codes.reshape(reductions, beats, s.pixels, s.blocks, s.parts, s.part_lanes)
        windows = window_codes(by_lane, lanes=s.lanes, turn=s.turn, turns=turns)
        word = np.arange(reductions * beats).reshape(reductions, beats) % s.weight_words
        sizes = (reductions, beats, s.edges, 2, s.blocks, -1, s.parts, s.part_lanes)
        planes = np.asarray(s.weights, np.int64)[word].reshape(sizes)
        factors = np.asarray(s.factors, np.int64)[word]
        factors = factors.reshape(reductions, beats, s.edges, s.blocks, -1, s.parts)
        enabled = np.broadcast_to(s.edges if edges is None else edges, reductions)
        total = np.zeros((reductions, s.pixels, s.blocks, s.pe // s.blocks), np.int64)
        most = (1 << s.bits) - 1
        for e in range(s.edges):
            on = (enabled > e)[:, None, None, None, None, None]
            seen = np.where(on, windows, s.rest).astype(np.int64)
            # Where a plane's bit is 0, all bits of the code are compared with 0.
            plus, minus = planes[:, :, e].sum(2), (1 - planes[:, :, e]).sum(2)
            summed = np.einsum("rbxcgl,rbckgl->rbxckg", seen, plus)
            summed += np.einsum("rbxcgl,rbckgl->rbxckg", most - seen, minus)
            total += np.einsum("rbxckg,rbckg->rxck", summed, factors[:, :, e])
        total &= (1 << s.acc_bits) - 1
        return total.reshape(reductions, *codes.shape[2:-1], s.pe)

    def elaborate(self, platform: Any) -> Module:
        """Build the address counter, the sums, their products and the accumulators."""
        m, s = Module(), self.spec
        self._sums.add(m)
        if self._load is not None:
            m.d.comb += self._load.eq(self.load)
        address = self._sums.address
        if (depth := s.weight_words) > 1:
            with m.If(self.i_valid):
                m.d.sync += address.eq(Mux(address == depth - 1, 0, address + 1))

        until_sum = self.latency - 1
        valid = delay(m, self.i_valid, until_sum, name="valid", reset=True)
        first = delay(m, self.i_first, until_sum, name="first")
        last = delay(m, self.i_last, until_sum, name="last")
        turn = delay(m, self.i_turn, until_sum, name="turn") if s.turn % s.pixels else Const(0)
        m.d.sync += self.o_valid.eq(valid & last)
        m.d.sync += self.o_row.eq(delay(m, self.i_row, until_sum, name="row"))

        sums = [
            [Signal(s.acc_bits, name=f"sum_{b}_{k}", reset_less=True) for k in range(s.pe)]
            for b in range(s.pixels)
        ]
        factors = self._factors(m)
        for b, own in enumerate(sums):
            data = self._seen(m, self.i_data.word_select(b, s.simd * s.bits), b)
            found = [n for n, _ in self._sums.build(m, data, b)]
            for k, total in enumerate(own):
                terms = [
                    product(m, found[at], factors[at], "logic", name=f"product_{b}_{at}")
                    for at in self._terms(k)
                ]
                beat = tree_sum(m, terms, name=f"add_{b}_{k}")
                source = sums[(b - s.turn) % s.pixels][k]
                before = Signal.like(total, name=f"before_{b}_{k}")
                m.d.comb += before.eq(Mux(first, 0, Mux(turn, source, total)))
                with m.If(valid):
                    m.d.sync += total.eq(before + beat)
        m.d.comb += self.o_values.eq(Cat(total for lane in s.lanes for total in sums[lane]))
        return m

    def _seen(self, m: Module, codes: Value, b: int) -> Value:
        """Return the codes that each edge sees, the first edge lowest."""
        s = self.spec
        found: list[Value] = [codes]
        rest = Const(s.rest, s.bits).replicate(s.simd)
        for e in range(s.edges - 1):
            seen = Signal(len(codes), name=f"seen_{b}_{e + 1}")
            m.d.comb += seen.eq(Mux(self.i_edges[e], codes, rest))
            found.append(seen)
        return Cat(found)

    def _factors(self, m: Module) -> list[Value]:
        """Return the factor of each sum, when that sum is there."""
        s, rom = self.spec, self._sums.rom
        low, width = int(s.weights[0].size), s.factor_bits
        late = delay(m, rom.data[low:], self._sums.latency - rom.latency, name="factors")
        return [late.word_select(at, width) for at in range(s.factors[0].size)]

    def _terms(self, k: int) -> list[int]:
        """Return which sums are those of PE `k`: one for each edge and part."""
        s = self.spec
        each = s.pe // s.blocks
        block, own = divmod(k, each)
        return [
            ((e * s.blocks + block) * s.parts + g) * each + own
            for e in range(s.edges)
            for g in range(s.parts)
        ]


def _by_part(a: NDArray[Any], spec: EdgeSpec) -> NDArray[Any]:
    """Return values [words, edges, planes, pe, parts, n] as [words, planes, sums, n].

    The sums are ordered as `RomSums` builds them: by edge, block, part and output channel.
    """
    words, edges, planes, pe, parts, n = a.shape
    a = a.reshape(words, edges, planes, spec.blocks, pe // spec.blocks, parts, n)
    return a.transpose(0, 2, 1, 3, 5, 4, 6).reshape(words, planes, -1, n)


def _check(spec: EdgeSpec, rows: int) -> None:
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
    check_blocks(spec.blocks, spec.pe, spec.simd)
    weights, factors = spec.weights, spec.factors
    expected = (2, spec.pe, spec.block_lanes)
    if weights.ndim != 5 or weights.shape[2:] != expected or not weights.size:
        raise ValueError(f"weights have shape {weights.shape}, not {('depth', 'edges', *expected)}")
    check_bits(weights)
    shape = (*weights.shape[:2], spec.pe)
    if factors.ndim != 4 or factors.shape[:3] != shape or not factors.size:
        raise ValueError(f"factors have shape {factors.shape}, not {(*shape, 'parts')}")
    if factors.min() < 0:
        raise ValueError(f"a factor is {factors.min()}; it has to be 0 or more")
    if spec.block_lanes % spec.parts:
        raise ValueError(
            f"there are factors for {spec.parts} parts; that has to divide the"
            f" {spec.block_lanes} lanes of an output channel"
        )
    if not 0 <= spec.rest < 1 << spec.bits:
        raise ValueError(f"rest is {spec.rest}; it has to be a code of {spec.bits} bits")
    check_lanes(spec.lanes, spec.pixels)
