"""Gowin: Yosys, nextpnr-himbaechel, gowin_pack of Apycula."""

from __future__ import annotations

from xnorflow_boards.flows.family import TOP, Plan, ToolFlow
from xnorflow_boards.flows.report import Cells, Usage


def chip(family: str) -> str:
    """Give Apycula's name of a die; parts with memory in the package share another's die."""
    return family.replace("GW1NR", "GW1N").replace("GW2AR", "GW2A")


def _place(plan: Plan) -> list[str]:
    return [
        "--device",
        plan.platform.part,
        "--vopt",
        f"family={chip(plan.platform.family)}",
        "--vopt",
        f"cst={TOP}.cst",
        "--json",
        f"{TOP}.syn.json",
        "--write",
        f"{TOP}.pnr.json",
    ]


def _pack(plan: Plan) -> list[str]:
    arguments = list(plan.commands["gowin_pack"])
    arguments[arguments.index("-d") + 1] = chip(plan.platform.family)
    return arguments


def usage(cells: Cells, log: str) -> Usage:
    """Give what a design uses.

    An ALU takes a LUT's place and is among the LUTs already; a 16 x 4 memory takes four.
    """
    used, available = cells["LUT4"]
    used += 4 * cells.get("RAM16SDP4", (0, 0))[0]
    multipliers = [cells[name] for name in ("MULT18X18", "MULT9X9") if name in cells]
    return Usage(
        (used, available), cells["DFF"], cells["BSRAM"], multipliers[0] if multipliers else (0, 0)
    )


GOWIN = ToolFlow(
    architecture="himbaechel-gowin",
    # Wide multiplexers are as wasteful here as on ECP5. The platform has put the pads in; Yosys
    # would give some to the accelerator, too, which stays a module of its own.
    synthesis=lambda board: f"-nowidelut -noiopads -family {board.part[:4].lower()}",
    constraints=f"{TOP}.cst",
    place=_place,
    routed=f"{TOP}.pnr.json",
    packer="gowin_pack",
    pack=_pack,
    bitstream=f"{TOP}.fs",
    usage=usage,
    routers=("router1", "router2"),
)
