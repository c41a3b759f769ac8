"""The names of what a design can be built with: fabrics, styles, forms of sums, and storage."""

from __future__ import annotations

from typing import Literal, get_args

Fabric = Literal["generic", "ecp5", "ice40", "gowin", "xilinx7"]
"""The logic cells of a family of FPGAs. "generic" is plain Verilog, which suits all of them."""
Style = Literal["amaranth", "verilog"]
"""Whether large memories and arithmetic are plain Amaranth or instances of Verilog modules.

"amaranth" runs in Amaranth's simulator; "verilog" is what designs are written with.
"""
SumForm = Literal["tree", "dense", "recoded", "add", "stored", "baked"]
"""How an array sums the products of a beat.

"tree" counts agreeing bits in plain logic, "dense" counts them with the carry chains of a fabric,
and "recoded" does that after recoding the lanes by threes. "add" adds whole codes, "stored" keeps
the weights in the LUTs that compare, and "baked" turns weights that never change into logic.
"""
Storage = Literal["auto", "block", "constants", "distributed", "logic", "spram"]
"""What a read-only memory is built of.

"auto" leaves it to the synthesis tool. "block" is block RAM, "constants" a single word, and
"distributed" LUTs that form a memory. "logic" is LUTs that logic behind them may share, and "spram"
single-port RAM that is loaded after power-up.
"""
Multiplier = Literal["dsp", "logic"]
"""What a product of two values that vary is built of.

"dsp" is a plain multiplication, for which the tools take DSP blocks where the family has them.
"logic" is a tree of adders, which they cannot turn into one.
"""

FABRICS: tuple[Fabric, ...] = get_args(Fabric)
STYLES: tuple[Style, ...] = get_args(Style)
MULTIPLIERS: tuple[Multiplier, ...] = get_args(Multiplier)
