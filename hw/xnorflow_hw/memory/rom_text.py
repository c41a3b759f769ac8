"""Writes the Verilog module of a read-only memory whose contents are in images.

The module has two bodies. Verilator gets one array of whole words, which it simulates fastest.
Synthesis gets one array per tile, with the logic that joins the tiles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from xnorflow_hw.fabric import copies
from xnorflow_hw.spec import NEAR, RomSpec, Tile, segments
from xnorflow_hw.spec.kinds import Fabric

_COPIES: Fabric = "ecp5"
"""Fabric of the copies of the address: the only one whose blocks end in registers."""


@dataclass(frozen=True)
class RomText:
    """Writes the module of one memory.

    Parameters
    ----------
    name : str
        Name of the module.
    depth : int
        Number of words.
    width : int
        Width of a word in bits.
    spec : RomSpec
        What the memory is built of, with all its tiles.
    style : mapping of str to str
        Verilog attributes of the arrays.
    """

    name: str
    depth: int
    width: int
    spec: RomSpec
    style: Mapping[str, str]

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles of the memory."""
        return self.spec.tiles

    def image(self, k: int) -> str:
        """Return the file name of the image of tile `k`."""
        return f"{self.name}.hex" if len(self.tiles) == 1 else f"{self.name}_{k}.hex"

    def modules(self) -> dict[str, str]:
        """Write the module and those that it instantiates; return their texts by name."""
        found = {self.name: self._module()}
        for _, bits in self._groups:
            if bits:
                found[copies.module_name(bits, _COPIES)] = copies.verilog_module(bits, _COPIES)
        return found

    def _module(self) -> str:
        """Write the memory's own module."""
        style = ", ".join(f'{key} = "{value}"' for key, value in self.style.items())
        address = f"[{(self.depth - 1).bit_length() - 1}:0] address"
        tiles = [f"tile_{k}" for k in range(len(self.tiles))]
        lines = [
            f"module {self.name} (",
            "  input wire clk,",
            f"  input wire {address},",
            f"  output wire [{self.width - 1}:0] data",
            ");",
        ]
        for name, t in zip(tiles, self.tiles, strict=True):
            attribute = f"(* {style} *) " if style else ""
            lines.append(f"  {attribute}reg [{t.width - 1}:0] {name} [0:{t.depth - 1}];")
        reads = [f'$readmemh("{self.image(k)}", {name});' for k, name in enumerate(tiles)]
        if len(self.tiles) == 1:
            plain = self._plain("tile_0")
            return "\n".join([*lines, f"  initial {reads[0]}", *plain, "endmodule", ""])
        # Verilator reads one array of whole words faster than many tiles.
        lines += [
            "`ifdef XNORFLOW_COUNTONES",
            f"  reg [{self.width - 1}:0] words [0:{self.depth - 1}];",
            "  integer i;",
            "  initial begin",
        ]
        for name, read, t in zip(tiles, reads, self.tiles, strict=True):
            lines += [
                f"    {read}",
                f"    for (i = 0; i < {t.depth}; i = i + 1)",
                f"      words[{t.first} + i][{t.low} +: {t.width}] = {name}[i];",
            ]
        lines += ["  end", *self._plain("words"), "`else"]
        lines += [f"  initial {read}" for read in reads]
        if self.spec.registers:
            chosen = self._chosen()
            lines += [*self._registered(), *self._meant("\n".join(chosen)), *chosen]
        else:
            lines += [line for k, t in enumerate(self.tiles) for line in self._read(k, t)]
            lines += self._join()
        return "\n".join([*lines, "`endif", "endmodule", ""])

    def _plain(self, array: str) -> list[str]:
        """Write the body that reads an array of whole words."""
        last = self.width - 1
        lines = [f"  reg [{last}:0] word;", f"  always @(posedge clk) word <= {array}[address];"]
        word = "word"
        for k in range(self.spec.cycles):
            late = f"late{k or ''}"
            lines += [f"  reg [{last}:0] {late};", f"  always @(posedge clk) {late} <= {word};"]
            word = late
        return [*lines, f"  assign data = {word};"]

    def _registered(self) -> list[str]:
        """Write the reads of all tiles through a register each, or two where the tiles are far."""
        lines: list[str] = []
        for g, (near, bits) in enumerate(self._groups):
            address = "address"
            if bits:
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
                if self.spec.extra:
                    lines.append(f"  reg [{t.width - 1}:0] s_{k};")
                    lines.append(f"  always @(posedge clk) s_{k} <= r_{k};")
        return lines

    @cached_property
    def _groups(self) -> list[tuple[list[int], int]]:
        """Groups of tiles that share a copy of the address, and the bits of each copy.

        Without far tiles there is one group and no copy, which is noted as 0 bits.
        """
        order = range(len(self.tiles))
        if not self.spec.extra:
            return [(list(order), 0)]
        # Tiles of the same bits are joined, so they should lie together.
        by_bits = sorted(order, key=lambda k: self.tiles[k].low)
        near = [by_bits[k : k + NEAR] for k in range(0, len(by_bits), NEAR)]
        return [(some, max(_bits(self.tiles[k]) for k in some)) for some in near]

    def _meant(self, chosen: str) -> list[str]:
        """Write the flags, as late as the words, of the tiles' ranges of addresses.

        Only the flags that occur in the text `chosen` are written.
        """
        lines, have = [], (self.depth - 1).bit_length()
        for first, past in sorted({(t.first, t.first + t.depth) for t in self.tiles}):
            name = f"{first}_{past}"
            if not re.search(rf"\bmeant_{name}\b", chosen):
                continue
            meant = [f"address >= {have}'d{first}"] * (first > 0)
            meant += [f"address < {have}'d{past}"] * (past < self.depth)
            found = " && ".join(meant) or "1"
            for k in range(1 + self.spec.extra):
                early = f"early{k or ''}_{name}"
                lines += [f"  reg {early};", f"  always @(posedge clk) {early} <= {found};"]
                found = early
            lines += [f"  reg meant_{name};", f"  always @(posedge clk) meant_{name} <= {found};"]
        return lines

    def _chosen(self) -> list[str]:
        """Write the choice among the registers of tiles that hold the same bits of other words."""
        lines, last = [], "s" if self.spec.extra else "r"
        for low, end, there in segments(self.tiles):
            words = []
            for k, t in ((k, self.tiles[k]) for k in there):
                part = f"{last}_{k}[{end - 1 - t.low}:{low - t.low}]"
                words.append((f"meant_{t.first}_{t.first + t.depth}", part))
            if len(words) > 2:
                # The flags are one-hot, so AND and OR do, which take one LUT4 per two tiles.
                parts = [f"{{{end - low}{{{meant}}}}} & {word}" for meant, word in words]
                chosen = " | ".join(f"({part})" for part in parts)
            else:
                chosen = "".join(f"{meant} ? {word} : " for meant, word in words[:-1])
                chosen += words[-1][1]
            lines.append(f"  assign data[{end - 1}:{low}] = {chosen};")
        return lines

    def _read(self, k: int, t: Tile) -> list[str]:
        """Write the read of a tile, which delivers zeros where another tile is addressed."""
        bits, have = _bits(t), (self.depth - 1).bit_length()
        at = _address_in(t)
        word = f"q_{k} <= tile_{k}[{at}];"
        lines = [f"  reg [{t.width - 1}:0] q_{k};"]
        # The address bits within the tile may count past its words, into those of another tile.
        others = [f"address[{have - 1}:{bits}] != {have - bits}'d{t.first >> bits}"] * (have > bits)
        if t.depth < 1 << bits and t.first + t.depth < self.depth:
            others.append(f"{at} >= {bits}'d{t.depth}")
        if not others:
            return [*lines, f"  always @(posedge clk) {word}"]
        return [
            *lines,
            "  always @(posedge clk)",
            f"    if ({' || '.join(others)}) q_{k} <= {t.width}'d0;",
            f"    else {word}",
        ]

    def _join(self) -> list[str]:
        """Write the OR of the tiles' words."""
        lines = []
        for low, end, there in segments(self.tiles):
            lows = [(k, self.tiles[k].low) for k in there]
            parts = [f"q_{k}[{end - 1 - at}:{low - at}]" for k, at in lows]
            lines.append(f"  assign data[{end - 1}:{low}] = {' | '.join(parts)};")
        return lines


def _bits(t: Tile) -> int:
    """Return the number of bits of an address within a tile."""
    return (t.depth - 1).bit_length()


def _address_in(t: Tile, address: str = "address") -> str:
    """Return the Verilog of the address within a tile."""
    bits = _bits(t)
    return f"{address}[{bits - 1}:0]" if bits else "1'b0"


def check_tiles(tiles: Sequence[Tile], depth: int, width: int) -> None:
    """Check that tiles cover every bit once and that no address within a tile needs arithmetic.

    Parameters
    ----------
    tiles : sequence of Tile
        Parts of the memory.
    depth : int
        Number of words of the memory.
    width : int
        Width of its words in bits.

    Raises
    ------
    ValueError
        If a tile is outside of the memory, does not begin at a multiple of its depth, rounded up to
        a power of two, or if a bit is in no tile or in several.
    """
    for t in tiles:
        if t.first % (1 << _bits(t)):
            raise ValueError(
                f"{t} begins at word {t.first}, which is not a multiple of its depth, rounded up to"
                f" a power of two: {1 << _bits(t)}"
            )
        if min(t.first, t.low) < 0 or t.first + t.depth > depth or t.low + t.width > width:
            raise ValueError(f"{t} is not within the memory of {depth} words of {width} bits")
    at = 0
    for low, end, there in segments(tiles):
        spans = sorted((tiles[k].first, tiles[k].first + tiles[k].depth) for k in there)
        ends = [0, *(past for _, past in spans)]
        if low != at or [first for first, _ in spans] != ends[:-1] or ends[-1] != depth:
            raise ValueError(
                f"bits {at} to {end - 1} of the words are not covered exactly once by the tiles"
            )
        at = end
    if at != width:
        raise ValueError(
            f"bits {at} to {width - 1} of the words are not covered exactly once by the tiles"
        )
