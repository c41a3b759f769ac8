"""Verilog of a read-only memory whose contents are in images, of one tile or several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from xnorflow_hw.fabric import copies
from xnorflow_hw.spec import NEAR, RomSpec, Tile, segments
from xnorflow_hw.spec.kinds import Fabric

_COPIES: Fabric = "ecp5"
"""Fabric of the copies of addresses: no other has blocks that end in registers."""


@dataclass(frozen=True)
class RomText:
    """Writes the module.

    Parameters
    ----------
    name : str
        Of the module.
    depth, width : int
        Words and bits.
    spec : RomSpec
        With all tiles.
    style : mapping of str to str
        Attributes of the arrays.
    """

    name: str
    depth: int
    width: int
    spec: RomSpec
    style: Mapping[str, str]

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles."""
        return self.spec.tiles

    def image(self, k: int) -> str:
        """Name the image of a tile."""
        return f"{self.name}.hex" if len(self.tiles) == 1 else f"{self.name}_{k}.hex"

    def modules(self) -> dict[str, str]:
        """Write the module, and those of which it has instances."""
        found = {self.name: self._module()}
        for _, bits in self._groups:
            if bits:
                found[copies.module_name(bits, _COPIES)] = copies.verilog_module(bits, _COPIES)
        return found

    def _module(self) -> str:
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
        # One array is what Verilator reads fastest.
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
        """Read an array of whole words."""
        last = self.width - 1
        lines = [f"  reg [{last}:0] word;", f"  always @(posedge clk) word <= {array}[address];"]
        word = "word"
        for k in range(self.spec.cycles):
            late = f"late{k or ''}"
            lines += [f"  reg [{last}:0] {late};", f"  always @(posedge clk) {late} <= {word};"]
            word = late
        return [*lines, f"  assign data = {word};"]

    def _registered(self) -> list[str]:
        """Read all tiles, each through a register, or two where they are far."""
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
        """Group tiles that share a copy of the address; give its bits, 0 where there is none."""
        order = range(len(self.tiles))
        if not self.spec.extra:
            return [(list(order), 0)]
        # Tiles of the same bits are joined.
        by_bits = sorted(order, key=lambda k: self.tiles[k].low)
        near = [by_bits[k : k + NEAR] for k in range(0, len(by_bits), NEAR)]
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
            for k in range(1 + self.spec.extra):
                early = f"early{k or ''}_{name}"
                lines += [f"  reg {early};", f"  always @(posedge clk) {early} <= {found};"]
                found = early
            lines += [f"  reg meant_{name};", f"  always @(posedge clk) meant_{name} <= {found};"]
        return lines

    def _chosen(self) -> list[str]:
        """Choose among the registers of tiles one above the other."""
        lines, last = [], "s" if self.spec.extra else "r"
        for low, end, there in segments(self.tiles):
            words = []
            for k, t in ((k, self.tiles[k]) for k in there):
                part = f"{last}_{k}[{end - 1 - t.low}:{low - t.low}]"
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
        bits, have = _bits(t), (self.depth - 1).bit_length()
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
            *lines,
            "  always @(posedge clk)",
            f"    if ({' || '.join(others)}) q_{k} <= {t.width}'d0;",
            f"    else {word}",
        ]

    def _join(self) -> list[str]:
        """Join the tiles' words."""
        lines = []
        for low, end, there in segments(self.tiles):
            lows = [(k, self.tiles[k].low) for k in there]
            parts = [f"q_{k}[{end - 1 - at}:{low - at}]" for k, at in lows]
            lines.append(f"  assign data[{end - 1}:{low}] = {' | '.join(parts)};")
        return lines


def _bits(t: Tile) -> int:
    """Give the bits of an address within a tile."""
    return (t.depth - 1).bit_length()


def _address_in(t: Tile, address: str = "address") -> str:
    """Write the address within a tile."""
    bits = _bits(t)
    return f"{address}[{bits - 1}:0]" if bits else "1'b0"


def check_tiles(tiles: Sequence[Tile], depth: int, width: int) -> None:
    """Check that tiles cover every bit once and that addresses need no arithmetic.

    Raises
    ------
    ValueError
        If they do not.
    """
    for t in tiles:
        if t.first % (1 << _bits(t)):
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
