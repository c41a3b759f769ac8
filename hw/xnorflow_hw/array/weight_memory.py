"""The memory of an array's weights: a `Rom`, or an `SpramRom` where they have to be loaded."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.memory.rom import Rom, bit_words
from xnorflow_hw.memory.spram_rom import STORAGE as SPRAM
from xnorflow_hw.memory.spram_rom import SpramRom
from xnorflow_hw.spec import RomSpec
from xnorflow_hw.spec.kinds import Style


def weight_memory(
    bits: NDArray[Any],
    rom: RomSpec,
    *,
    name: str,
    style: Style,
    image_bits: int,
    register: bool = True,
) -> Rom | SpramRom:
    """Create the memory that holds a row of bits per word.

    Parameters
    ----------
    bits : 0/1 array [depth, width]
        The words, the lowest bit first.
    rom : RomSpec
        What the memory is built of.
    name, style, image_bits, register :
        As those of a `Rom`.
    """
    words, width = bit_words(bits), bits.shape[1]
    if rom.storage == SPRAM:
        return SpramRom(words=words, width=width, register=register, name=name, style=style)
    return Rom(
        words=words,
        width=width,
        storage=rom.storage,
        tiles=rom.tiles,
        register=register,
        registers=rom.registers,
        far=rom.far,
        name=name,
        style=style,
        image_bits=image_bits,
    )
