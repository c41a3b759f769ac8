"""Read-only memory of iCE40 UltraPlus single-port RAM, which has to be loaded before it is read.

An SPRAM (SB_SPRAM256KA) has 16,384 words of 16 bits and starts without contents. A memory is cut
into as many SPRAMs as its words and bits need. Each is read in every cycle, so no two memories
share one. The SPRAMs are written over a load bus that all of them see, while the accelerator is in
reset.

A simulator of RTL reads a hex image, as for any other memory; with ``XNORFLOW_LOAD`` defined the
memory starts empty and is loaded as on the board.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from amaranth.hdl import ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.spec import Tile
from xnorflow_hw.spec.kinds import STYLES, Storage, Style
from xnorflow_hw.spec.latency import rom_latency

STORAGE: Storage = "spram"
DEPTH, WIDTH = 16384, 16
"""Words of an SPRAM, and bits of a word."""
ADDRESS_BITS = 14
LOAD_BITS = WIDTH + ADDRESS_BITS
"""Bits of the load bus that all SPRAMs see: a word in the lowest bits, then its address.

A write enable for each SPRAM follows.
"""


def cut(depth: int, width: int) -> tuple[Tile, ...]:
    """Return the parts of a memory that SPRAMs hold, in the order in which they are loaded."""
    return tuple(
        Tile(first, min(DEPTH, depth - first), low, min(WIDTH, width - low))
        for first in range(0, depth, DEPTH)
        for low in range(0, width, WIDTH)
    )


def number(depth: int, width: int) -> int:
    """Return the number of SPRAMs that a memory takes."""
    return ceil(depth / DEPTH) * ceil(width / WIDTH)


class SpramRom(wiring.Component):
    """A read-only memory of SPRAM; `rom.Rom` describes what both have in common.

    Parameters
    ----------
    words : sequence of int
        Contents, two words or more.
    width : int
        Width of a word in bits.
    register : bool
        Whether an output register follows.
    name : str
        Identifier, unique in the design, of the Verilog module and its image.
    style : {"amaranth", "verilog"}
        Only "verilog" has SPRAMs; "amaranth" has the contents from the start.

    Members
    -------
    address : In(range(depth))
        Address of a word.
    load : In(LOAD_BITS + number of SPRAMs)
        The load bus. While a write enable is 1, `address` is ignored.
    data : Out(width)
        The word, `latency` cycles after its address. Not reset.

    Attributes
    ----------
    latency : int
        Clock cycles from address to data; see `rom_latency`.
    sections : tuple of tuple of int
        Words that have to be loaded into each SPRAM, from its first address on.
    modules, images : dict of str to str
        As those of `rom.Rom`.

    Raises
    ------
    ValueError
        If there are fewer than two words, a word does not fit `width`, or the style is unknown.
    """

    def __init__(
        self,
        *,
        words: Sequence[int],
        width: int,
        register: bool = True,
        name: str = "rom",
        style: Style = "amaranth",
    ) -> None:
        """Check the parameters, lay the words out, and write the module and its image."""
        if len(words) < 2:
            raise ValueError(f"there are {len(words)} words; a memory of SPRAM needs two or more")
        if width < 1 or min(words) < 0 or max(words).bit_length() > width:
            raise ValueError(
                f"words from {min(words)} to {max(words)} do not fit the width of {width} bits"
            )
        if style not in STYLES:
            raise ValueError(f"style is {style!r}; known are {', '.join(STYLES)}")
        self.words, self.width, self.depth = words, width, len(words)
        self.name, self.style = name, style
        self.latency = rom_latency(self.depth, storage=STORAGE, register=register)
        self.tiles = cut(self.depth, width)
        self.sections = tuple(self._section(t) for t in self.tiles)
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        if style == "verilog":
            digits = ceil(width / 4)
            self.modules[name] = self._module()
            self.images[f"{name}.hex"] = "".join(f"{int(word):0{digits}x}\n" for word in words)
        super().__init__(
            {
                "address": In(index_shape(self.depth)),
                "load": In(LOAD_BITS + len(self.tiles)),
                "data": Out(width),
            }
        )

    def model(self, address: NDArray[Any]) -> list[int]:
        """Return the words at an int array [n] of addresses."""
        return [int(self.words[int(a)]) for a in np.asarray(address)]

    def _section(self, t: Tile) -> tuple[int, ...]:
        """Return the words that an SPRAM holds."""
        mask = (1 << t.width) - 1
        return tuple(int(w) >> t.low & mask for w in self.words[t.first : t.first + t.depth])

    def _module(self) -> str:
        """Write the module, with a body of SPRAMs for synthesis and one for simulators."""
        bits = (self.depth - 1).bit_length()
        return "\n".join(
            [
                f"module {self.name} (",
                "  input wire clk,",
                f"  input wire [{bits - 1}:0] address,",
                f"  input wire [{LOAD_BITS + len(self.tiles) - 1}:0] load,",
                f"  output wire [{self.width - 1}:0] data",
                ");",
                "`ifdef XNORFLOW_PRIMITIVES",
                *self._cells(bits),
                "`else",
                *self._plain(bits),
                "`endif",
                "endmodule",
                "",
            ]
        )

    def _cells(self, bits: int) -> list[str]:
        """Write the SPRAMs and the choice of the row of SPRAMs that is addressed."""
        inside = min(bits, ADDRESS_BITS)
        near = f"address[{inside - 1}:0]"
        if inside < ADDRESS_BITS:
            near = f"{{{ADDRESS_BITS - inside}'d0, {near}}}"
        writes = f"load[{LOAD_BITS + len(self.tiles) - 1}:{LOAD_BITS}]"
        lines = [
            f"  wire [{ADDRESS_BITS - 1}:0] at = |{writes} ? load[{LOAD_BITS - 1}:{WIDTH}]"
            f" : {near};",
        ]
        for k in range(len(self.tiles)):
            pins = {
                "CLOCK": "clk",
                "ADDRESS": "at",
                "DATAIN": f"load[{WIDTH - 1}:0]",
                "MASKWREN": "4'b1111",
                "WREN": f"load[{LOAD_BITS + k}]",
                "CHIPSELECT": "1'b1",
                "STANDBY": "1'b0",
                "SLEEP": "1'b0",
                "POWEROFF": "1'b1",
                "DATAOUT": f"q_{k}",
            }
            ports = ", ".join(f".{pin}({wire})" for pin, wire in pins.items())
            lines += [f"  wire [{WIDTH - 1}:0] q_{k};", f"  SB_SPRAM256KA tile_{k} ({ports});"]
        columns = ceil(self.width / WIDTH)
        if bits > ADDRESS_BITS:
            above = bits - ADDRESS_BITS
            lines += [
                f"  reg [{above - 1}:0] row;",
                f"  always @(posedge clk) row <= address[{bits - 1}:{ADDRESS_BITS}];",
            ]
        for column, t in enumerate(self.tiles[:columns]):
            words = [f"q_{k}[{t.width - 1}:0]" for k in range(column, len(self.tiles), columns)]
            chosen = "".join(
                f"row == {bits - ADDRESS_BITS}'d{row} ? {word} : "
                for row, word in enumerate(words[:-1])
            )
            lines.append(f"  assign data[{t.low + t.width - 1}:{t.low}] = {chosen}{words[-1]};")
        return lines

    def _plain(self, bits: int) -> list[str]:
        """Write one array of whole words, either loaded or read from the image."""
        last = self.width - 1
        lines = [
            f"  reg [{last}:0] words [0:{self.depth - 1}];",
            f"  reg [{last}:0] word;",
            "`ifdef XNORFLOW_LOAD",
            "  always @(posedge clk) begin",
        ]
        for k, t in enumerate(self.tiles):
            at = f"load[{WIDTH + min(bits, ADDRESS_BITS) - 1}:{WIDTH}]"
            where = f"{t.first} + {at}" if t.first else at
            lines.append(
                f"    if (load[{LOAD_BITS + k}])"
                f" words[{where}][{t.low + t.width - 1}:{t.low}] <= load[{t.width - 1}:0];"
            )
        return [
            *lines,
            "  end",
            "`else",
            f'  initial $readmemh("{self.name}.hex", words);',
            "`endif",
            "  always @(posedge clk) word <= words[address];",
            "  assign data = word;",
        ]

    def elaborate(self, platform: Any) -> Module:
        """Build the memory or an instance of its module, and the register behind it."""
        m = Module()
        word = Signal(self.width)
        if self.style == "verilog":
            m.submodules.memory = Instance(
                self.name,
                i_clk=ClockSignal(),
                i_address=self.address,
                i_load=self.load,
                o_data=word,
            )
        else:
            m.submodules.memory = memory = Memory(
                shape=self.width, depth=self.depth, init=[int(w) for w in self.words]
            )
            port = memory.read_port()
            m.d.comb += [port.addr.eq(self.address), word.eq(port.data)]
        m.d.comb += self.data.eq(delay(m, word, self.latency - 1, name="word"))
        return m
