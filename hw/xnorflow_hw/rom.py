"""Read-only memory: constants, logic or block RAM, with its contents inline or in a hex image.

Yosys writes one line per word of an inline memory, so a large one becomes a small Verilog module
that reads its contents with `$readmemh` from a file beside the design.
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

from .pipeline import index_shape
from .popcount import STYLES

KINDS = ("auto", "block", "logic")
IMAGE_BITS = 16384
"""Contents of more bits than this go to a hex image."""


def rom_latency(depth: int, *, kind: str = "auto", register: bool = True) -> int:
    """Clock cycles from address to data: 0 for a constant, 1 for logic, else 1 or 2."""
    return 0 if depth == 1 else 1 if kind == "logic" else 1 + register


def bit_words(bits: NDArray[Any]) -> list[int]:
    """Join the 0/1 array [depth, width] to words, element 0 of a row in the lowest bit."""
    packed = np.packbits(np.asarray(bits, np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def field_words(fields: NDArray[Any], width: int) -> list[int]:
    """Join the integer array [depth, n] to words of n fields of `width` bits, field 0 lowest.

    Negative fields are stored in two's complement.
    """
    mask = (1 << width) - 1
    words = []
    for row in fields.tolist():
        # Digits of a binary string: linear, where shifting into one integer would be quadratic.
        words.append(int("".join(f"{value & mask:0{width}b}" for value in reversed(row)) or "0", 2))
    return words


class Rom(wiring.Component):
    """Give the word at an address.

    A single word is a constant. The word of an address past the end is undefined.

    Parameters
    ----------
    words : sequence of int
        Contents.
    width : int
        Bits of a word.
    kind : {"auto", "block", "logic"}
        What to build it of: the synthesis tool's choice, block RAM or LUTs. LUT RAM is not offered:
        Yosys has no such read-only memory.
    register : bool
        Add an output register. Block RAMs are slow to answer; "logic" ends in one anyway.
    name : str
        Identifier, unique in the design, of the Verilog module and its image.
    style : {"amaranth", "verilog"}
        Only "verilog" uses images; such a component cannot run in Amaranth's simulator.
    image_bits : int
        Contents of more bits than this go to an image.

    Members
    -------
    address : In(range(depth)), at least one bit
        Which word.
    data : Out(width)
        The word, `latency` cycles later. Not reset.

    Attributes
    ----------
    latency : int
        See `rom_latency`.
    modules : dict of str to str
        Verilog modules, by name, that have to be appended to the design.
    images : dict of str to str
        Hex images, by file name, that have to lie beside it.
    """

    def __init__(
        self,
        *,
        words: Sequence[int],
        width: int,
        kind: str = "auto",
        register: bool = True,
        name: str = "rom",
        style: str = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and write module and image."""
        if not words:
            raise ValueError("words is empty; a memory needs at least one")
        if width < 1 or min(words) < 0 or max(words).bit_length() > width:
            raise ValueError(f"words from {min(words)} to {max(words)} do not fit width {width}")
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; known are {', '.join(KINDS)}")
        if style not in STYLES:
            raise ValueError(f"style is {style!r}; known are {', '.join(STYLES)}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"name is {name!r}; it has to be a Verilog identifier")
        self.words, self.width, self.kind, self.register = words, width, kind, register
        self.name, self.style, self.depth = name, style, len(words)
        self.latency = rom_latency(self.depth, kind=kind, register=register)
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        if style == "verilog" and self.depth > 1 and self.depth * width > image_bits:
            self.modules[name] = self._module()
            self.images[f"{name}.hex"] = self._image()
        super().__init__({"address": In(index_shape(self.depth)), "data": Out(width)})

    def model(self, address: NDArray[Any]) -> list[int]:
        """Give the words at an int array [n] of addresses."""
        return [int(self.words[int(a)]) for a in address]

    def _image(self) -> str:
        digits = -(-self.width // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.words)

    def _module(self) -> str:
        attribute = "" if self.kind == "auto" else f'(* rom_style = "{self.kind}" *) '
        return "\n".join([
            f"module {self.name} (",
            "  input wire clk,",
            f"  input wire [{(self.depth - 1).bit_length() - 1}:0] address,",
            f"  output reg [{self.width - 1}:0] data",
            ");",
            f"  {attribute}reg [{self.width - 1}:0] words [0:{self.depth - 1}];",
            f'  initial $readmemh("{self.name}.hex", words);',
            "  always @(posedge clk) data <= words[address];",
            "endmodule",
            "",
        ])

    def elaborate(self, platform: Any) -> Module:
        """Build the memory, or the instance of its module, and the register."""
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
            attributes = {} if self.kind == "auto" else {"rom_style": self.kind}
            m.submodules.memory = memory = Memory(
                shape=self.width, depth=self.depth, init=[int(w) for w in self.words],
                attrs=attributes,
            )
            port = memory.read_port()
            m.d.comb += [port.addr.eq(self.address), word.eq(port.data)]
        if self.latency == 2:
            late = Signal(self.width, reset_less=True)
            m.d.sync += late.eq(word)
            word = late
        m.d.comb += self.data.eq(word)
        return m
