"""Tool flows: how a netlist becomes a bitstream, one module per FPGA family.

A family's module says how Yosys and nextpnr are called and how their reports are read, and has the
family's PLL: its limits, its settings and its primitive. The other modules are what the families
share: finding and running the tools, watching the router, reading reports, choosing a PLL setting.

May import `xnorflow.devices` and `xnorflow.errors`, and nothing else of `xnorflow_boards`.
"""

from xnorflow_boards.flows.ecp5 import ECP5
from xnorflow_boards.flows.family import OpenFlow, Plan, ToolFlow
from xnorflow_boards.flows.gowin import GOWIN
from xnorflow_boards.flows.ice40 import ICE40
from xnorflow_boards.flows.vivado import ULTRASCALE, ULTRASCALE_PLUS, XILINX_7, VivadoFlow

OPEN_FLOWS = (ECP5, ICE40, GOWIN)
"""Flows that end in a bitstream with tools from PyPI."""
FLOWS: tuple[ToolFlow, ...] = (*OPEN_FLOWS, XILINX_7, ULTRASCALE, ULTRASCALE_PLUS)

__all__ = [
    "ECP5",
    "FLOWS",
    "GOWIN",
    "ICE40",
    "OPEN_FLOWS",
    "ULTRASCALE",
    "ULTRASCALE_PLUS",
    "XILINX_7",
    "OpenFlow",
    "Plan",
    "ToolFlow",
    "VivadoFlow",
]
