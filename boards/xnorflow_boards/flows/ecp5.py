"""Lattice ECP5: Yosys, nextpnr-ecp5, ecppack."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from xnorflow_boards.flows import chains, ram_registers
from xnorflow_boards.flows.family import TOP, Plan, ToolFlow
from xnorflow_boards.flows.report import Cells, Usage


def _place(plan: Plan) -> list[str]:
    return plan.placement("nextpnr-ecp5")


def _pack(plan: Plan) -> list[str]:
    return plan.commands["ecppack"]


def _finish(plan: Plan, data: bytes) -> bytes:
    """Append the suffix of DFU 1.1, where Amaranth's plan asks for it."""
    if "dfu-suffix" not in plan.commands:
        return data
    arguments = plan.commands["dfu-suffix"]
    vendor, product = (int(arguments[arguments.index(flag) + 1], 16) for flag in ("-v", "-p"))
    data += b"\xff\xff" + product.to_bytes(2, "little") + vendor.to_bytes(2, "little")
    data += (0x0100).to_bytes(2, "little") + b"UFD" + bytes([16])
    return data + (zlib.crc32(data) ^ 0xFFFFFFFF).to_bytes(4, "little")


def improve(path: Path) -> None:
    """Improve the netlist in a file, as Yosys wrote it, before it is placed."""
    netlist = json.loads(path.read_text())
    chains.trim(netlist)
    ram_registers.absorb(netlist)
    path.write_text(json.dumps(netlist))


def usage(cells: Cells, log: str) -> Usage:
    """Give what a design uses; carry chains and LUT memory are counted as the LUTs they take."""
    return Usage(cells["TRELLIS_COMB"], cells["TRELLIS_FF"], cells["DP16KD"], cells["MULT18X18D"])


ECP5 = ToolFlow(
    architecture="ecp5",
    # Wide multiplexers out of LUT pairs cost 40 % more LUTs on XNOR-popcount logic.
    synthesis=lambda board: "-nowidelut",
    constraints=f"{TOP}.lpf",
    place=_place,
    routed=f"{TOP}.config",
    packer="ecppack",
    pack=_pack,
    bitstream=f"{TOP}.bit",
    usage=usage,
    finish=_finish,
    synthesised=lambda folder: improve(folder / f"{TOP}.json"),
)
