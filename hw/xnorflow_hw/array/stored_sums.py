"""Sums of a beat whose weights are stored in the LUTs that compare them with the activations.

If the memory has at most sixteen words, a LUT with two outputs has enough inputs for the address
and an activation. It holds the weights of two PEs and tells for each whether the activation agrees
with the addressed weight. So half a LUT per lane is memory and XNOR in one. `compress` adds these
results at two bits per LUT. Together that is about one LUT per lane, where a memory of LUTs and a
dense popcount take 1.35.

A mask is one more function of the address, so masked weights take no more LUTs than others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay, delay_lines, index_shape
from xnorflow_hw.fabric.beat import DENSE_LANES
from xnorflow_hw.fabric.compress import Bit, CompressorNetlist, Heap, sum_bits
from xnorflow_hw.memory.rom import bit_words
from xnorflow_hw.spec import RomSpec
from xnorflow_hw.spec.kinds import Fabric, Style, SumForm
from xnorflow_hw.spec.latency import stored_latency

FORM: SumForm = "stored"
"""Name of this form in a `DotSpec`."""
FABRICS: tuple[Fabric, ...] = ("xilinx7",)
"""Fabrics that have this form."""
ROM = RomSpec("logic")
"""The storage that a `DotSpec` of this form names."""
WORDS = 16
"""Largest number of words: four inputs of a LUT are the address, the fifth is an activation."""
_SUMMED = 0.54
"""LUTs of a compressor tree per lane."""
_DENSE = 0.86
"""LUTs of the dense popcount behind a memory per lane; see ``benchmarks/popcount.py``."""
_MASKED = 1.36
"""The same of masked lanes."""


def pays(*, pe: int, simd: int, words: int, masked: bool = False) -> bool:
    """Return whether this form takes fewer LUTs than a memory in LUTs and dense popcounts.

    In a wide memory of few words many bits have the same contents in all words and share a LUT.

    Parameters
    ----------
    pe : int
        Number of output channels at once.
    simd : int
        Number of lanes.
    words : int
        Number of words of the memory.
    masked : bool
        Whether weights have a mask.
    """
    if not 2 <= words <= WORDS or simd < DENSE_LANES:
        return False
    lanes = pe * simd
    compare = ceil(pe / 2) * simd
    dense = (_MASKED if masked else _DENSE) * lanes
    return compare + _SUMMED * lanes < dense + min(lanes * (1 + masked), 1 << words)


def verilog_module(name: str, weights: NDArray[Any], masks: NDArray[Any] | None = None) -> str:
    """Write the module of all PEs' sums; it needs `primitives.PROLOGUE` before it.

    Its ports are ``clk``, ``address``, ``x`` [simd-1:0] and ``n``, `stored_latency` cycles later:
    for each PE, PE 0 lowest, the number of lanes in which ``x`` agrees with the word at the
    address.

    Parameters
    ----------
    name : str
        Name of the module.
    weights : uint8 array [words, pe, simd]
        Weight bits of 2 to 16 words.
    masks : uint8 array [words, pe, simd], optional
        Whether each lane counts.
    """
    words, pe, simd = weights.shape
    width, bits, lanes = simd.bit_length(), (words - 1).bit_length(), pe * simd
    later = delay_lines("n", pe * width, stored_latency(simd) - 1)
    placed = _placed(weights, masks)
    agrees, mask = f"(x0[lane] == word[k * {simd} + lane])", [""] * pe
    if masks is not None:
        # The masks lie above the weights of a word.
        agrees = f"({agrees} & word[{lanes} + k * {simd} + lane])"
        mask = [f" & word[{lanes + k * simd} +: {simd}]" for k in range(pe)]
        weights = np.concatenate([weights, masks], axis=1)
    stored = weights.reshape(words, -1)
    size = stored.shape[1]
    one = f"{{{width - 1}'d0, {agrees}}}" if width > 1 else agrees
    return "\n".join(
        [
            f"module {name} (",
            "  input wire clk,",
            f"  input wire [{bits - 1}:0] address,",
            f"  input wire [{simd - 1}:0] x,",
            f"  output wire [{pe * width - 1}:0] n",
            ");",
            "`ifdef XNORFLOW_PRIMITIVES",
            *placed,
            "`else",
            f"  reg [{size - 1}:0] words [0:{words - 1}];",
            "  initial begin",
            *(
                f"    words[{k}] = {size}'h{word:0{-(-size // 4)}x};"
                for k, word in enumerate(bit_words(stored))
            ),
            "  end",
            f"  reg [{size - 1}:0] word;",
            f"  reg [{simd - 1}:0] x0;",
            "  always @(posedge clk) word <= words[address];",
            "  always @(posedge clk) x0 <= x;",
            "`ifdef XNORFLOW_COUNTONES",
            f"  wire [{pe * width - 1}:0] n0;",
            *(
                f"  assign n0[{k * width} +: {width}] ="
                f" {width}'($countones(~(x0 ^ word[{k * simd} +: {simd}]){mask[k]}));"
                for k in range(pe)
            ),
            "`else",
            f"  reg [{pe * width - 1}:0] n0;",
            "  integer k, lane;",
            "  always @* begin",
            f"    n0 = {pe * width}'d0;",
            f"    for (k = 0; k < {pe}; k = k + 1)",
            f"      for (lane = 0; lane < {simd}; lane = lane + 1)",
            f"        n0[k * {width} +: {width}] = n0[k * {width} +: {width}] + {one};",
            "  end",
            "`endif",
            *later,
            "`endif",
            "endmodule",
            "",
        ]
    )


def structure(
    weights: NDArray[Any], masks: NDArray[Any] | None = None
) -> tuple[CompressorNetlist, list[str]]:
    """Build the sums out of primitives.

    Parameters
    ----------
    weights : uint8 array [words, pe, simd]
        Weight bits of 2 to 16 words.
    masks : uint8 array [words, pe, simd], optional
        Whether each lane counts.

    Returns
    -------
    netlist : CompressorNetlist
        Reads the nets ``clk``, ``address`` and ``x``.
    nets : list of str
        The sums, PE 0 first, and of each the lowest bit first.
    """
    words, pe, simd = weights.shape
    bits = (words - 1).bit_length()
    netlist, heaps = CompressorNetlist(), [Heap({0: []}) for _ in range(pe)]
    address = [Bit(f"address[{k}]") for k in range(bits)]
    # One integer per lane and PE holds its bit of every word, word 0 lowest.
    columns, counted = (
        (bit.astype(np.int64) << np.arange(words)[:, None, None]).sum(0).T
        for bit in (weights, weights if masks is None else masks)
    )
    if masks is None:
        # All lanes count, past the last word, too.
        counted = np.full_like(columns, -1)

    def compares(column: int, mask: int) -> Callable[[int], int]:
        def agree(v: int) -> int:
            word = v & ((1 << bits) - 1)
            return ~(column >> word ^ v >> bits) & mask >> word

        return agree

    for lane in range(simd):
        inputs = [*address, Bit(f"x[{lane}]")]
        functions = list(map(compares, columns[lane].tolist(), counted[lane].tolist()))
        for k in range(0, pe - 1, 2):
            two = netlist.luts_of_two(inputs, *functions[k : k + 2])
            for heap, net in zip(heaps[k:], two, strict=False):
                heap[0].append(Bit(net))
        if pe % 2:
            heaps[-1][0].append(Bit(netlist.lut(inputs, functions[-1])))
    nets: list[str] = []
    for heap in heaps:
        nets += sum_bits(netlist, netlist.register(heap), simd.bit_length())[0]
    return netlist, nets


def _placed(weights: NDArray[Any], masks: NDArray[Any] | None) -> list[str]:
    """Write the sums out of primitives."""
    netlist, nets = structure(weights, masks)
    return [*netlist.lines, *(f"  assign n[{k}] = {net};" for k, net in enumerate(nets))]


class StoredSums(wiring.Component):
    """Counts, for every PE, the lanes in which activations agree with a word of weights.

    Parameters
    ----------
    weights : uint8 array [words, pe, simd]
        Weight bits of 2 to 16 words.
    masks : uint8 array [words, pe, simd], optional
        Whether each lane counts; all do by default.
    name : str
        Identifier of the Verilog module.
    style : {"amaranth", "verilog"}
        "verilog" instantiates the module.

    Members
    -------
    address : In(range(words))
        Address of the word.
    data : In(simd)
        Activation bits.
    counts : Out(pe * width)
        Counts, `latency` cycles later, PE 0 lowest.

    Attributes
    ----------
    depth, latency, width, spared, load, sections, modules, images :
        As those of `sums.Sums`.

    Raises
    ------
    ValueError
        If there are fewer than 2 words, or more than 16.
    """

    def __init__(
        self,
        *,
        weights: NDArray[Any],
        name: str,
        masks: NDArray[Any] | None = None,
        style: Style = "amaranth",
    ) -> None:
        """Check the number of words and write the module."""
        self.depth, self.pe, self.simd = weights.shape
        if not 2 <= self.depth <= WORDS:
            raise ValueError(f"form 'stored' needs weights of 2 to {WORDS} words, not {self.depth}")
        self.weights, self.name, self.style = np.asarray(weights, np.uint8), name, style
        self.width, self.latency = self.simd.bit_length(), stored_latency(self.simd)
        self.masks = None if masks is None else np.asarray(masks, np.uint8)
        self.modules: dict[str, str] = {}
        if style == "verilog":
            self.modules[name] = verilog_module(name, self.weights, self.masks)
        self.spared, self.load = 0, None
        self.sections: tuple[tuple[int, ...], ...] = ()
        self.images: dict[str, str] = {}
        super().__init__(
            {
                "address": In(index_shape(self.depth)),
                "data": In(self.simd),
                "counts": Out(self.pe * self.width),
            }
        )

    def add(self, m: Module) -> None:
        """Add this component to a module."""
        m.submodules.sums = self

    def build(self, m: Module, data: Value, b: int) -> Iterator[tuple[Value, None]]:
        """Return the sums of the only window, PE by PE."""
        m.d.comb += self.data.eq(data)
        for k in range(self.pe):
            yield self.counts.word_select(k, self.width), None

    def elaborate(self, platform: Any) -> Module:
        """Build the counts or an instance of the module."""
        m = Module()
        if self.style == "verilog":
            m.submodules.sums = Instance(
                self.name,
                i_clk=ClockSignal(),
                i_address=self.address,
                i_x=self.data,
                o_n=self.counts,
            )
            return m
        word, mask = (
            delay(m, self._words(bits)[self.address], 1, name=name)
            for bits, name in ((self.weights, "word"), (self.masks, "mask"))
        )
        x = delay(m, self.data, 1, name="x")
        counts = []
        for k in range(self.pe):
            agree = ~(x ^ word.word_select(k, self.simd)) & mask.word_select(k, self.simd)
            count = Signal(self.width, name=f"count_{k}")
            m.d.comb += count.eq(sum(agree[1:], agree[0]))
            counts.append(count)
        late = delay(m, Cat(counts), self.latency - 1, name="counts")
        m.d.comb += self.counts.eq(late)
        return m

    def _words(self, bits: NDArray[Any] | None) -> Array:
        """Return the words of a memory, all ones without bits."""
        bits = np.ones_like(self.weights) if bits is None else bits
        size = self.pe * self.simd
        return Array(Const(word, size) for word in bit_words(bits.reshape(self.depth, -1)))
