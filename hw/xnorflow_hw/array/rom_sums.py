"""Sums of a beat, of all PEs, whose weights come from a memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from amaranth.hdl import Module, Value
from numpy.typing import NDArray

from xnorflow_hw.array.weight_memory import weight_memory
from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.fabric import copies
from xnorflow_hw.fabric.beat import BeatSum, Lane
from xnorflow_hw.memory.spram_rom import SpramRom
from xnorflow_hw.spec import RomSpec
from xnorflow_hw.spec.kinds import Fabric, Style, SumForm


class RomSums:
    """Builds the memory of the weights and, for each window and PE, a `BeatSum`.

    Parameters
    ----------
    weights : uint8 array [depth, planes, pe, simd / blocks]
        Weight bits; see `DotArray`.
    blocks : int
        Equal parts of codes and PEs; see `DotArray`.
    bits, coefficients, masked, form, fabric, style :
        As those of a `BeatSum`.
    rom : RomSpec
        What the memory of the weights is built of.
    rom_register : bool
        Whether that memory has an output register.
    name : str
        Identifier of the memory's module and image.
    image_bits : int
        Memories of more bits than this go to a hex image.

    Attributes
    ----------
    address, depth, latency, width, spared, load, sections, modules, images :
        As those of `sums.Sums`.

    Raises
    ------
    ValueError
        If codes would have to arrive before their weights, but the memory is a constant.
    """

    def __init__(
        self,
        *,
        weights: NDArray[Any],
        blocks: int,
        bits: int,
        coefficients: Sequence[int],
        masked: bool,
        form: SumForm,
        fabric: Fabric,
        rom: RomSpec,
        rom_register: bool,
        name: str,
        style: Style,
        image_bits: int,
    ) -> None:
        """Create the memory."""
        self.depth, self.planes, self.pe, self.lanes = weights.shape
        self.bits, self.blocks, self.style = bits, blocks, style
        self._beat = BeatSum(self.lanes, bits, tuple(coefficients), form, fabric, style, masked)
        kept = self._beat.kept(weights)
        self._rom = weight_memory(
            kept.reshape(self.depth, -1),
            rom,
            name=name,
            style=style,
            image_bits=image_bits,
            register=rom_register,
        )
        if self._beat.early > self._rom.latency:
            raise ValueError(
                "form 'recoded' needs weights of two words or more: recoding activations takes a"
                " cycle, but a single word is a constant, which is there at once"
            )
        in_spram = isinstance(self._rom, SpramRom)
        self.sections = self._rom.sections if in_spram else ()
        self.load = self._rom.load if in_spram else None
        self.address = self._rom.address
        self.spared, self.width = self._beat.spared, self._beat.width
        self.latency = self._rom.latency + self._beat.latency
        self.images = dict(self._rom.images)
        self.modules = self._rom.modules | self._beat.modules
        if self._group < self.pe // blocks:
            codes = self.lanes * bits
            self.modules[copies.module_name(codes, fabric)] = copies.verilog_module(codes, fabric)

    @property
    def _group(self) -> int:
        """Number of PEs that read one copy of a block's codes: all, where there are no copies."""
        pe = self.pe // self.blocks
        if self.style != "verilog" or not self._rom.latency:
            return pe
        return copies.group(pe, self.lanes * self.bits, self._beat.fabric)

    def add(self, m: Module) -> None:
        """Add the memory to a module."""
        m.submodules.rom = self._rom

    def build(self, m: Module, data: Value, b: int) -> Iterator[tuple[Value, Lane | None]]:
        """Build the sums of window `b` from its codes, PE by PE; see `BeatSum.build`."""
        pe = self.pe // self.blocks
        for block in range(self.blocks):
            codes = data.word_select(block, self.lanes * self.bits) if self.blocks > 1 else data
            operands = self._operands(m, codes, f"{b}_{block}" if self.blocks > 1 else f"{b}")
            for k in range(pe):
                own = block * pe + k
                yield self._beat.build(
                    m, f"{b}_{own}", operands[k // self._group], self._weights(own)
                )

    def _operands(self, m: Module, codes: Value, name: str) -> list[list[Value]]:
        """Return the operands of a block's sums for each group of PEs, at the right time."""
        cycles = self._rom.latency - self._beat.early
        groups = -(-self.pe // self.blocks // self._group)
        if groups == 1:
            late = [delay(m, codes, cycles, name=f"data_{name}")]
        else:
            late = copies.copies(
                m, codes, cycles, groups, name=f"data_{name}", fabric=self._beat.fabric
            )
        return [self._beat.operands(m, x, f"plane_{name}_{g}") for g, x in enumerate(late)]

    def _weights(self, k: int) -> list[Value]:
        """Return the bits that PE `k` has in a word of the memory, per plane."""
        return [self._rom.data.word_select(p * self.pe + k, self.lanes) for p in range(self.planes)]
