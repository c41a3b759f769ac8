"""Lattice iCE40: Yosys, nextpnr-ice40, icepack."""

from __future__ import annotations

import re

from xnorflow_boards.flows.family import TOP, Plan, ToolFlow
from xnorflow_boards.flows.report import Cells, Usage

_FLIP_FLOPS = re.compile(r"(\d+) LCs used as (?:LUT4 and DFF|DFF only)")


def _place(plan: Plan) -> list[str]:
    return plan.placement("nextpnr-ice40")


def _pack(plan: Plan) -> list[str]:
    return plan.commands["icepack"]


def usage(cells: Cells, log: str) -> Usage:
    """Give what a design uses.

    A logic cell is a LUT, a flip-flop, or both; the table counts cells, the log those with a
    flip-flop.
    """
    logic = cells["ICESTORM_LC"]
    flip_flops = sum(int(count) for count in _FLIP_FLOPS.findall(log))
    return Usage(
        logic,
        (flip_flops, logic[1]),
        cells["ICESTORM_RAM"],
        cells.get("ICESTORM_DSP", (0, 0)),
        cells.get("ICESTORM_SPRAM"),
    )


ICE40 = ToolFlow(
    architecture="ice40",
    synthesis=lambda board: "",
    constraints=f"{TOP}.pcf",
    place=_place,
    routed=f"{TOP}.asc",
    packer="icepack",
    pack=_pack,
    bitstream=f"{TOP}.bin",
    usage=usage,
)
