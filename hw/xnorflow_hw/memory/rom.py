"""Read-only memory: constants, LUTs or block RAM, with its contents inline or in hex images.

Yosys writes one line per word of an inline memory, so a large memory becomes a small Verilog module
that reads its contents with `$readmemh` from files beside the design; `rom_text` writes it.

Block RAM is cut into tiles, each of which is one block, because synthesis tools choose shapes and
multiplexers less well. A tile that is not addressed delivers zeros, which block RAM can do by
itself, so an OR joins the tiles that hold different words of the same bits; no multiplexer is
needed. On some fabrics block RAM cannot both do that and end in a register of its own. There a
multiplexer behind the tiles' registers joins them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.memory.rom_text import RomText, check_tiles
from xnorflow_hw.spec import RomSpec, Tile
from xnorflow_hw.spec.kinds import STYLES, Storage, Style
from xnorflow_hw.spec.latency import rom_latency

STORAGES = ("auto", "block", "constants", "distributed", "logic")
_STYLES = {
    "auto": {},
    "block": {"rom_style": "block"},
    "constants": {},
    # Yosys knows no distributed read-only memory: it takes "logic" from ram_style, which it reads
    # first, while other tools take "distributed" from rom_style.
    "distributed": {"ram_style": "logic", "rom_style": "distributed"},
    "logic": {"ram_style": "logic"},
}
_LUTS = ("distributed", "logic")
IMAGE_BITS = 16384
"""Contents of more bits than this go to a hex image."""


def bit_words(bits: NDArray[Any]) -> list[int]:
    """Return one integer per row of bits, with element 0 of the row in the lowest bit.

    Parameters
    ----------
    bits : 0/1 array [depth, width]
        The rows.
    """
    packed = np.packbits(np.asarray(bits, np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def field_words(fields: NDArray[Any], width: int) -> list[int]:
    """Return one integer per row of fields, with field 0 of the row in the lowest bits.

    Parameters
    ----------
    fields : int array [depth, n]
        The rows; negative fields are stored in two's complement.
    width : int
        Width of a field in bits.
    """
    mask = (1 << width) - 1
    words = []
    for row in fields.tolist():
        # Shifting into one integer would take quadratic time; joining digits takes linear time.
        words.append(int("".join(f"{value & mask:0{width}b}" for value in reversed(row)) or "0", 2))
    return words


class Rom(wiring.Component):
    """A read-only memory.

    A memory of a single word is a constant. What it delivers for an address past the end is
    undefined.

    Parameters
    ----------
    words : sequence of int
        Contents, one unsigned word per address.
    width : int
        Width of a word in bits.
    storage : {"auto", "block", "constants", "distributed", "logic"}
        What the memory is built of: the synthesis tool's choice, block RAM, constants (a single
        word only), LUTs that form a memory, or LUTs that logic behind them may share.
    tiles : sequence of Tile
        The parts into which block RAM is cut; one that holds everything if empty. Only generated
        Verilog is cut.
    register : bool
        Whether an output register follows. Block RAM is slow without one; memories of LUTs always
        end in a register, and only in one.
    registers : bool
        Whether every tile has a register of its own before the output register, so that words are
        joined between the two.
    far : bool
        Whether the wires to and from the tiles are so long that they need clock cycles of their
        own. Then every `NEAR` tiles share a copy of the address, and words pass one more register.
        This takes effect only with `registers`.
    name : str
        Identifier, unique in the design, of the Verilog module and its image.
    style : {"amaranth", "verilog"}
        Only "verilog" uses images; such a component cannot run in Amaranth's simulator.
    image_bits : int
        Contents of more bits than this go to an image.

    Members
    -------
    address : In(range(depth)), at least one bit
        Address of a word.
    data : Out(width)
        The word, `latency` cycles after its address. Not reset.

    Attributes
    ----------
    latency : int
        Clock cycles from address to data; see `rom_latency`.
    modules : dict of str to str
        Verilog modules, by name, that have to be appended to the design.
    images : dict of str to str
        Hex images, by file name, that have to lie beside the design.

    Raises
    ------
    ValueError
        If `words` is empty or a word does not fit `width`, if a name is unknown, or if `tiles` do
        not cover the memory.
    """

    def __init__(
        self,
        *,
        words: Sequence[int],
        width: int,
        storage: Storage = "auto",
        tiles: Sequence[Tile] = (),
        register: bool = True,
        registers: bool = False,
        far: bool = False,
        name: str = "rom",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and write the module and its images."""
        if not words:
            raise ValueError("words is empty; a memory needs at least one")
        if width < 1 or min(words) < 0 or max(words).bit_length() > width:
            raise ValueError(
                f"words from {min(words)} to {max(words)} do not fit the width of {width} bits"
            )
        if storage == "constants" and len(words) > 1:
            raise ValueError(
                f"storage is 'constants', which is for a single word; there are {len(words)}"
            )
        if storage not in STORAGES:
            raise ValueError(f"storage is {storage!r}; known are {', '.join(STORAGES)}")
        if style not in STYLES:
            raise ValueError(f"style is {style!r}; known are {', '.join(STYLES)}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"name is {name!r}; it has to be a Verilog identifier")
        self.words, self.width, self.storage, self.register = words, width, storage, register
        self.name, self.style, self.depth = name, style, len(words)
        self.registers = registers and register and storage not in _LUTS
        self.tiles = tuple(tiles) or (Tile(0, self.depth, 0, width),)
        if len(self.tiles) > 1 and storage != "block":
            raise ValueError(
                f"storage is {storage!r} and there are {len(self.tiles)} tiles; only block RAM"
                " can be cut into tiles"
            )
        check_tiles(self.tiles, self.depth, width)
        self._spec = spec = RomSpec(storage, self.tiles, self.registers, far)
        self.latency = rom_latency(
            self.depth,
            storage=storage,
            register=register,
            registers=self.registers,
            extra=spec.extra,
        )
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        large = self.depth * width > image_bits or len(self.tiles) > 1
        if style == "verilog" and self.depth > 1 and large:
            text = RomText(name, self.depth, width, spec, _STYLES[storage])
            self.modules = text.modules()
            self.images = {text.image(k): self._image(t) for k, t in enumerate(self.tiles)}
        super().__init__({"address": In(index_shape(self.depth)), "data": Out(width)})

    def model(self, address: NDArray[Any]) -> list[int]:
        """Return the words at an int array [n] of addresses."""
        return [int(self.words[int(a)]) for a in address]

    def _image(self, t: Tile) -> str:
        """Write the hex image of a tile."""
        digits, mask = -(-t.width // 4), (1 << t.width) - 1
        words = self.words[t.first : t.first + t.depth]
        return "".join(f"{int(word) >> t.low & mask:0{digits}x}\n" for word in words)

    def elaborate(self, platform: Any) -> Module:
        """Build the memory or an instance of its module, and the registers behind it."""
        m = Module()
        if self.depth == 1:
            m.d.comb += self.data.eq(Const(int(self.words[0]), self.width))
            return m
        word = Signal(self.width)
        if self.images:
            m.submodules.memory = Instance(
                self.name, i_clk=ClockSignal(), i_address=self.address, o_data=word
            )
        else:
            m.submodules.memory = memory = Memory(
                shape=self.width,
                depth=self.depth,
                init=[int(w) for w in self.words],
                attrs=dict(_STYLES[self.storage]),
            )
            port = memory.read_port()
            m.d.comb += [port.addr.eq(self.address), word.eq(port.data)]
        inside = 1 + (self._spec.cycles if self.images else 0)
        word = delay(m, word, self.latency - inside, name="word")
        m.d.comb += self.data.eq(word)
        return m
