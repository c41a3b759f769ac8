"""Lookup-accumulate array: PE output channels at once, each adds entries that its indices choose.

The codes of a beat are the entries of one or more tables. For each output channel, an index from a
memory selects one entry of each table through a multiplexer of as many inputs, and the selected
entries are added to the channel's sum. A beat passes four stages of a pipeline: indices are read,
entries selected, those of each output channel summed, and the sum is accumulated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.array.weight_memory import weight_memory
from xnorflow_hw.base.lanes import check_sizes
from xnorflow_hw.base.pipeline import delay, index_shape, registered_levels
from xnorflow_hw.fabric.adder_tree import tree_sum
from xnorflow_hw.memory.rom import IMAGE_BITS
from xnorflow_hw.memory.spram_rom import SpramRom
from xnorflow_hw.spec import GatherSpec
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.spec.latency import register_count


class GatherArray(wiring.Component):
    """Accumulates entries of tables, or their complements, over the beats of a reduction.

    Parameters
    ----------
    spec : GatherSpec
        Sizes, indices and storage.
    rows : int
        Number of values of `i_row`.
    name : str
        Identifier of the index memory's module and image.
    style : {"amaranth", "verilog"}
        "verilog" instantiates the Verilog in `modules`.
    image_bits : int
        Memories of more bits than this go to a hex image.

    Members
    -------
    i_valid, i_first, i_last, i_row, load, o_valid, o_row :
        As those of `dot.DotArray`.
    i_data : In(simd * bits)
        Codes of the entries, the first entry of the first table lowest.
    o_values : Out(pe * acc_bits)
        Unsigned sums, PE 0 lowest.

    Attributes
    ----------
    latency : int
        Clock cycles from the last beat to its result; see `gather_latency`.
    sections, modules, images :
        As those of `dot.DotArray`.

    Raises
    ------
    ValueError
        If a size is not positive, shapes do not fit together, or an index is out of range.
    """

    def __init__(
        self,
        spec: GatherSpec,
        *,
        rows: int = 1,
        name: str = "weights",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and create the memory of the indices."""
        _check(spec, rows)
        self.spec, self.rows = spec, rows
        indices = np.asarray(spec.weights, np.int64)
        bits = indices[..., None] >> np.arange(spec.index_bits) & 1
        parts = [bits.reshape(*indices.shape[:2], -1)]
        if spec.negative is not None:
            parts.append(np.asarray(spec.negative, np.int64)[..., None])
        words = np.concatenate(parts, axis=2).reshape(len(indices), -1)
        self._rom = weight_memory(words, spec.rom, name=name, style=style, image_bits=image_bits)
        in_spram = isinstance(self._rom, SpramRom)
        self.sections: tuple[tuple[int, ...], ...] = self._rom.sections if in_spram else ()
        self.latency = spec.latency()
        self.modules, self.images = dict(self._rom.modules), dict(self._rom.images)
        row = index_shape(rows)
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(spec.simd * spec.bits),
                "i_first": In(1),
                "i_last": In(1),
                "i_row": In(row),
                **({"load": In(self._rom.load.shape())} if in_spram else {}),
                "o_valid": Out(1),
                "o_values": Out(spec.pe * spec.acc_bits),
                "o_row": Out(row),
            }
        )

    def model(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the results of reductions of which the first begins with the first index word.

        Parameters
        ----------
        codes : int array [reductions, beats, simd]
            Codes of the entries.

        Returns
        -------
        int64 array [reductions, pe]
            Sums of the selected entries, or of their complements.
        """
        s = self.spec
        reductions, beats = codes.shape[:2]
        word = np.arange(reductions * beats).reshape(reductions, beats) % s.weight_words
        entries = np.minimum(np.asarray(s.weights, np.int64)[word], s.words - 1)
        lanes = entries + s.words * np.arange(s.tables)
        chosen = np.take_along_axis(
            codes.astype(np.int64), lanes.reshape(reductions, beats, -1), axis=2
        ).reshape(lanes.shape)
        if s.negative is not None:
            ones = (1 << s.bits) - 1
            chosen = chosen ^ np.where(s.negative, ones, 0)[word][..., None]
        return np.asarray(chosen.sum(axis=(1, 3)) & ((1 << s.acc_bits) - 1), np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Build the address counter, the multiplexers, their sums and the accumulators."""
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
        m.d.sync += self.o_valid.eq(valid & last)
        m.d.sync += self.o_row.eq(delay(m, self.i_row, until_sum, name="row"))

        data = delay(m, self.i_data, rom.latency, name="data")
        entries = [data.word_select(lane, s.bits) for lane in range(s.simd)]
        per_pe = s.word_bits // s.pe
        sums = [Signal(s.acc_bits, name=f"sum_{k}", reset_less=True) for k in range(s.pe)]
        for k, total in enumerate(sums):
            own = rom.data.word_select(k, per_pe)
            terms = [
                self._selected(
                    m,
                    entries[t * s.words : (t + 1) * s.words],
                    own.word_select(t, s.index_bits),
                    f"{k}_{t}",
                )
                for t in range(s.tables)
            ]
            if s.negative is not None:
                sign = delay(m, own[-1], register_count(s.index_bits), name=f"negative_{k}")
                terms = [term ^ sign.replicate(s.bits) for term in terms]
            beat = tree_sum(m, terms, name=f"add_{k}")
            before = Signal(s.acc_bits, name=f"before_{k}")
            m.d.comb += before.eq(Mux(first, 0, total))
            with m.If(valid):
                m.d.sync += total.eq(before + beat)
        m.d.comb += self.o_values.eq(Cat(sums))
        return m

    def _selected(self, m: Module, entries: list[Value], index: Value, name: str) -> Value:
        """Return the entry that an index chooses: a tree of multiplexers, one bit per level."""
        bits = self.spec.index_bits
        registered = registered_levels(bits, register_count(bits))
        found = entries + entries[-1:] * ((1 << bits) - len(entries))
        for level in range(1, bits + 1):
            domain = m.d.sync if level in registered else m.d.comb
            halved = []
            for i in range(0, len(found), 2):
                chosen = Signal(self.spec.bits, name=f"entry_{name}_{level}_{i}", reset_less=True)
                domain += chosen.eq(Mux(index[0], found[i + 1], found[i]))
                halved.append(chosen)
            index = index[1:]
            if level in registered:
                index = delay(m, index, 1, name=f"index_{name}_{level}")
            found = halved
        return found[0]


def _check(spec: GatherSpec, rows: int) -> None:
    """Check the parameters of an array."""
    check_sizes(
        pe=spec.pe,
        simd=spec.simd,
        words=spec.words,
        bits=spec.bits,
        acc_bits=spec.acc_bits,
        rows=rows,
    )
    if spec.simd % spec.words:
        raise ValueError(
            f"simd is {spec.simd}; it has to be a multiple of words, which is {spec.words}"
        )
    indices, expected = spec.weights, (spec.pe, spec.tables)
    if indices.ndim != 3 or indices.shape[1:] != expected or not len(indices):
        raise ValueError(f"indices have shape {indices.shape}, not (depth, *{expected})")
    if indices.min() < 0 or indices.max() >= 1 << spec.index_bits:
        raise ValueError(
            f"indices go from {indices.min()} to {indices.max()}; with {spec.index_bits} bits they"
            f" go from 0 to {(1 << spec.index_bits) - 1}"
        )
    if spec.negative is not None and spec.negative.shape != indices.shape[:2]:
        raise ValueError(
            f"negative has shape {spec.negative.shape}, not {indices.shape[:2]} as the indices"
        )
