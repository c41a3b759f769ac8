"""Read-only memory: constants, LUTs or block RAM, with its contents inline or in hex images.

Yosys writes one line per word of an inline memory, so a large one becomes a small Verilog module
that reads its contents with `$readmemh` from files beside the design. Block RAM is cut into tiles,
each of which is one block: synthesis tools would choose shapes and multiplexers less well. A tile
that is not addressed gives zeros, which block RAM can do by itself, so what joins tiles one above
the other is an OR, not a multiplexer. Where block RAM cannot do so and end in a register of its own
at once, a multiplexer stands behind the tiles' registers.
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

from . import copies
from .pipeline import delay, index_shape
from .popcount import STYLES
from .spec import RomSpec, Tile, segments

KINDS = ("auto", "block", "constants", "distributed", "logic")
_STYLES = {
    "auto": {},
    "block": {"rom_style": "block"},
    "constants": {},
    # Yosys has no such read-only memory, builds it of LUTs all the same, and reads ram_style first.
    "distributed": {"ram_style": "logic", "rom_style": "distributed"},
    "logic": {"ram_style": "logic"},
}
_LUTS = ("distributed", "logic")
_COPIES = "ecp5"
"""Fabric of the copies: the only one whose blocks end in registers."""
NEAR = 8
"""Tiles that lie beside each other and so share an address."""
IMAGE_BITS = 16384
"""Contents of more bits than this go to a hex image."""


def rom_latency(
    depth: int, *, kind: str = "auto", register: bool = True, registers: bool = False,
    extra: int = 0,
) -> int:
    """Clock cycles from address to data: 0 for a constant, 1 for LUTs, else 1 to 3, or `extra`."""
    if depth == 1:
        return 0
    return 1 if kind in _LUTS else 1 + register * (1 + registers) + extra


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
    kind : {"auto", "block", "constants", "distributed", "logic"}
        What to build it of: the synthesis tool's choice, block RAM, constants, if there is but one
        word, LUTs that are a memory, or LUTs that logic behind them may share.
    tiles : sequence of Tile
        How block RAM is cut; one tile if empty. Only generated Verilog is.
    register : bool
        Add an output register. Block RAMs are slow to answer; LUTs end in one anyway.
    registers : bool
        If there is such a register, every tile has one of its own before it: words are joined
        between the two.
    far : bool
        Wires to and from the tiles are long, which then are cycles of their own: every eight tiles
        have a copy of the address, and words are registered once more before they are joined. Only
        with `registers`.
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
        tiles: Sequence[Tile] = (),
        register: bool = True,
        registers: bool = False,
        far: bool = False,
        name: str = "rom",
        style: str = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and write module and image."""
        if not words:
            raise ValueError("words is empty; a memory needs at least one")
        if width < 1 or min(words) < 0 or max(words).bit_length() > width:
            raise ValueError(f"words from {min(words)} to {max(words)} do not fit width {width}")
        if kind == "constants" and len(words) > 1:
            raise ValueError(f"{len(words)} words are more than constants")
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; known are {', '.join(KINDS)}")
        if style not in STYLES:
            raise ValueError(f"style is {style!r}; known are {', '.join(STYLES)}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"name is {name!r}; it has to be a Verilog identifier")
        self.words, self.width, self.kind, self.register = words, width, kind, register
        self.name, self.style, self.depth = name, style, len(words)
        self.registers = registers and register and kind not in _LUTS
        self.tiles = tuple(tiles) or (Tile(0, self.depth, 0, width),)
        _check_tiles(self.tiles, self.depth, width, kind)
        self.far = far and self.registers and len(self.tiles) > 1
        self._extra = RomSpec(kind, self.tiles, self.registers, self.far).extra
        self.latency = rom_latency(
            self.depth, kind=kind, register=register, registers=self.registers, extra=self._extra
        )
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        large = self.depth * width > image_bits or len(self.tiles) > 1
        if style == "verilog" and self.depth > 1 and large:
            self.modules[name] = self._module()
            if self.far:
                self.modules |= {
                    copies.module_name(bits, _COPIES): copies.verilog_module(bits, _COPIES)
                    for _, bits in self._groups if bits
                }
            self.images = {f"{self._tile_name(k)}.hex": self._image(t)
                           for k, t in enumerate(self.tiles)}
        super().__init__({"address": In(index_shape(self.depth)), "data": Out(width)})

    def model(self, address: NDArray[Any]) -> list[int]:
        """Give the words at an int array [n] of addresses."""
        return [int(self.words[int(a)]) for a in address]

    def _tile_name(self, k: int) -> str:
        return self.name if len(self.tiles) == 1 else f"{self.name}_{k}"

    def _image(self, t: Tile) -> str:
        digits, mask = -(-t.width // 4), (1 << t.width) - 1
        words = self.words[t.first : t.first + t.depth]
        return "".join(f"{int(word) >> t.low & mask:0{digits}x}\n" for word in words)

    def _module(self) -> str:
        style = ", ".join(f'{key} = "{value}"' for key, value in _STYLES[self.kind].items())
        address = f"[{(self.depth - 1).bit_length() - 1}:0] address"
        tiles = [f"tile_{k}" for k in range(len(self.tiles))]
        lines = [
            f"module {self.name} (", "  input wire clk,", f"  input wire {address},",
            f"  output wire [{self.width - 1}:0] data", ");",
        ]
        for name, t in zip(tiles, self.tiles, strict=True):
            attribute = f"(* {style} *) " if style else ""
            lines.append(f"  {attribute}reg [{t.width - 1}:0] {name} [0:{t.depth - 1}];")
        reads = [
            f'$readmemh("{self._tile_name(k)}.hex", {name});' for k, name in enumerate(tiles)
        ]
        if len(self.tiles) == 1:
            plain = self._plain("tile_0")
            return "\n".join([*lines, f"  initial {reads[0]}", *plain, "endmodule", ""])
        # One array is what Verilator reads fastest.
        lines += [
            "`ifdef XNORFLOW_COUNTONES",
            f"  reg [{self.width - 1}:0] words [0:{self.depth - 1}];", "  integer i;",
            "  initial begin",
        ]
        for name, read, t in zip(tiles, reads, self.tiles, strict=True):
            lines += [
                f"    {read}", f"    for (i = 0; i < {t.depth}; i = i + 1)",
                f"      words[{t.first} + i][{t.low} +: {t.width}] = {name}[i];",
            ]
        lines += ["  end", *self._plain("words"), "`else"]
        lines += [f"  initial {read}" for read in reads]
        if self.registers:
            chosen = self._chosen()
            lines += [*self._registered(), *self._meant("\n".join(chosen)), *chosen]
        else:
            lines += [line for k, t in enumerate(self.tiles) for line in self._read(k, t)]
            lines += self._join()
        return "\n".join([*lines, "`endif", "endmodule", ""])

    def _plain(self, array: str) -> list[str]:
        """Read an array of whole words."""
        last = self.width - 1
        lines = [f"  reg [{last}:0] word;", f"  always @(posedge clk) word <= {array}[address];"]
        word = "word"
        for k in range(self.registers + self._extra):
            late = f"late{k or ''}"
            lines += [f"  reg [{last}:0] {late};", f"  always @(posedge clk) {late} <= {word};"]
            word = late
        return [*lines, f"  assign data = {word};"]

    def _registered(self) -> list[str]:
        """Read all tiles, each through a register, or two where far ones are joined."""
        lines: list[str] = []
        for g, (near, bits) in enumerate(self._groups):
            address = "address"
            if self.far and bits:
                address = f"address_{g}"
                lines += [
                    f"  wire [{bits - 1}:0] {address};",
                    f"  {copies.module_name(bits, _COPIES)} copy_{g}"
                    f" (.clk(clk), .d(address[{bits - 1}:0]), .q({address}));",
                ]
            for k in near:
                t = self.tiles[k]
                lines += [
                    f"  reg [{t.width - 1}:0] q_{k}, r_{k};",
                    f"  always @(posedge clk) q_{k} <= tile_{k}[{_address_in(t, address)}];",
                    f"  always @(posedge clk) r_{k} <= q_{k};",
                ]
                if self._extra > 1:
                    lines.append(f"  reg [{t.width - 1}:0] s_{k};")
                    lines.append(f"  always @(posedge clk) s_{k} <= r_{k};")
        return lines

    @property
    def _groups(self) -> list[tuple[list[int], int]]:
        """Group tiles that lie beside each other; give the bits of the address that each needs."""
        order = list(range(len(self.tiles)))
        if self.far:
            # Tiles of the same bits are joined.
            order.sort(key=lambda k: self.tiles[k].low)
        near = [order[k : k + NEAR] for k in range(0, len(order), NEAR)]
        return [(some, max(_bits(self.tiles[k]) for k in some)) for some in near]

    def _meant(self, chosen: str) -> list[str]:
        """Tell, as late as the words, which tiles are addressed; those that `chosen` asks for."""
        lines, have = [], (self.depth - 1).bit_length()
        for first, past in sorted({(t.first, t.first + t.depth) for t in self.tiles}):
            name = f"{first}_{past}"
            if not re.search(rf"\bmeant_{name}\b", chosen):
                continue
            meant = [f"address >= {have}'d{first}"] * (first > 0)
            meant += [f"address < {have}'d{past}"] * (past < self.depth)
            found = " && ".join(meant) or "1"
            for k in range(1 + self._extra):
                early = f"early{k or ''}_{name}"
                lines += [f"  reg {early};", f"  always @(posedge clk) {early} <= {found};"]
                found = early
            lines += [f"  reg meant_{name};", f"  always @(posedge clk) meant_{name} <= {found};"]
        return lines

    def _chosen(self) -> list[str]:
        """Choose among the registers of tiles one above the other."""
        lines, word = [], "s" if self._extra > 1 else "r"
        for low, end, there in segments(self.tiles):
            words = []
            for k, t in ((k, self.tiles[k]) for k in there):
                part = f"{word}_{k}[{end - 1 - t.low}:{low - t.low}]"
                words.append((f"meant_{t.first}_{t.first + t.depth}", part))
            if len(words) > 2:
                # What selects is one of many already: two tiles to a LUT4.
                parts = [f"{{{end - low}{{{meant}}}}} & {word}" for meant, word in words]
                chosen = " | ".join(f"({part})" for part in parts)
            else:
                chosen = "".join(f"{meant} ? {word} : " for meant, word in words[:-1])
                chosen += words[-1][1]
            lines.append(f"  assign data[{end - 1}:{low}] = {chosen};")
        return lines

    def _read(self, k: int, t: Tile) -> list[str]:
        """Read a tile; give zeros where another one above or below is meant."""
        bits, have = (t.depth - 1).bit_length(), (self.depth - 1).bit_length()
        at = _address_in(t)
        word = f"q_{k} <= tile_{k}[{at}];"
        lines = [f"  reg [{t.width - 1}:0] q_{k};"]
        # Past the tile's own words its address may go on with another tile's.
        others = [f"address[{have - 1}:{bits}] != {have - bits}'d{t.first >> bits}"] * (have > bits)
        if t.depth < 1 << bits and t.first + t.depth < self.depth:
            others.append(f"{at} >= {bits}'d{t.depth}")
        if not others:
            return [*lines, f"  always @(posedge clk) {word}"]
        return [
            *lines, "  always @(posedge clk)",
            f"    if ({' || '.join(others)}) q_{k} <= {t.width}'d0;", f"    else {word}",
        ]

    def _join(self) -> list[str]:
        """Join the tiles' words."""
        lines = []
        for low, end, there in segments(self.tiles):
            lows = [(k, self.tiles[k].low) for k in there]
            parts = [f"q_{k}[{end - 1 - at}:{low - at}]" for k, at in lows]
            lines.append(f"  assign data[{end - 1}:{low}] = {' | '.join(parts)};")
        return lines

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
            m.submodules.memory = memory = Memory(
                shape=self.width, depth=self.depth, init=[int(w) for w in self.words],
                attrs=dict(_STYLES[self.kind]),
            )
            port = memory.read_port()
            m.d.comb += [port.addr.eq(self.address), word.eq(port.data)]
        inside = 1 + (self.registers + self._extra if self.images else 0)
        word = delay(m, word, self.latency - inside, name="word")
        m.d.comb += self.data.eq(word)
        return m


def _bits(t: Tile) -> int:
    """Give the bits of an address within a tile."""
    return (t.depth - 1).bit_length()


def _address_in(t: Tile, address: str = "address") -> str:
    """Write the address within a tile."""
    bits = _bits(t)
    return f"{address}[{bits - 1}:0]" if bits else "1'b0"


def _check_tiles(tiles: Sequence[Tile], depth: int, width: int, kind: str) -> None:
    """Check that tiles cover every bit once and that addresses need no arithmetic."""
    if len(tiles) > 1 and kind != "block":
        raise ValueError(f"there are {len(tiles)} tiles of kind {kind!r}; only block RAM is cut")
    for t in tiles:
        if t.first % (1 << (t.depth - 1).bit_length()):
            raise ValueError(f"{t} does not begin at a multiple of its depth as a power of two")
        if min(t.first, t.low) < 0 or t.first + t.depth > depth or t.low + t.width > width:
            raise ValueError(f"{t} is not within {depth} words of {width} bits")
    at = 0
    for low, end, there in segments(tiles):
        spans = sorted((tiles[k].first, tiles[k].first + tiles[k].depth) for k in there)
        ends = [0, *(past for _, past in spans)]
        if low != at or [first for first, _ in spans] != ends[:-1] or ends[-1] != depth:
            raise ValueError(f"bits {at} to {end - 1} are not once in the tiles")
        at = end
    if at != width:
        raise ValueError(f"bits {at} to {width - 1} are not once in the tiles")
