"""The names of what can be chosen: fabrics, styles, forms of sums, and storage."""

from __future__ import annotations

from typing import Literal, get_args

Fabric = Literal["generic", "ecp5", "ice40", "gowin", "xilinx7"]
"""Logic cells of a family of FPGAs; "generic" is plain Verilog, which fits every one."""
Style = Literal["amaranth", "verilog"]
"""Whether large memories and arithmetic are plain Amaranth or instances of Verilog modules."""
SumForm = Literal["tree", "dense", "recoded", "add", "stored", "baked"]
"""How an array sums the products of a beat.

"tree" counts agreeing bits in plain logic, "dense" with a fabric's own carry chains, and "recoded"
does that on lanes that are recoded by threes. "add" adds whole codes, "stored" keeps the weights in
the LUTs that compare, and "baked" makes logic of weights that never change.
"""
Storage = Literal["auto", "block", "constants", "distributed", "logic", "spram"]
"""What a read-only memory is built of.

"auto" leaves it to the synthesis tool; "block" is block RAM; "constants" a single word;
"distributed" LUTs that are a memory; "logic" LUTs that logic behind them may share; "spram"
single-port RAM that is loaded after power-up.
"""

FABRICS: tuple[Fabric, ...] = get_args(Fabric)
STYLES: tuple[Style, ...] = get_args(Style)
