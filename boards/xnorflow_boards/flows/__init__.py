"""Tool flows: what differs between FPGA families when a netlist becomes a bitstream."""

from xnorflow_boards.flows.ecp5 import ECP5
from xnorflow_boards.flows.family import Plan, ToolFlow
from xnorflow_boards.flows.gowin import GOWIN
from xnorflow_boards.flows.ice40 import ICE40

FAMILIES: dict[str, ToolFlow] = {"ecp5": ECP5, "ice40": ICE40, "gowin": GOWIN}

__all__ = ["FAMILIES", "ToolFlow", "Plan"]
