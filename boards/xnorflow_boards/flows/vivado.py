"""AMD FPGAs: what a user runs in Vivado, and resources from Yosys.

Yosys counts LUTs before two small ones are packed into one, so its figures are estimates, and
there is no clock without place and route.
"""

from __future__ import annotations

from collections.abc import Mapping

from xnorflow.design import Design
from xnorflow.estimate.devices import fpga
from xnorflow_boards.board import Board
from xnorflow_boards.flows.report import Usage

KIND = "synthesised by Yosys, before packing and placement"
SCRIPT = "core.tcl"
"""Of an IP core's project; that of a whole board is Amaranth's."""

_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "SRL16E": 1, "SRLC32E": 1,
    "RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM32M16": 8, "RAM64M8": 8,
}
_FFS = dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1)
_RAMS = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}
_DSPS = {"DSP48E1": 1, "DSP48E2": 1}


def synthesis(board: Board, top: str, sources: list[str], options: str = "") -> str:
    """Give the Yosys script that counts resources; `options` are added to its pass."""
    family = "xcup" if fpga(board.name).family.name == "xilinx-ultrascale-plus" else "xc7"
    reads = "\n".join(f"read_verilog {name}" for name in sources)
    return (
        f"{reads}\nsynth_xilinx -family {family} -top {top} -flatten{options and f' {options}'}\n"
        "tee -q -o cells.json stat -json\n"
    )


def usage(board: Board, cells: Mapping[str, int]) -> Usage:
    """Give what a design uses of a board's FPGA, from Yosys's cells by type."""
    device = fpga(board.name)

    def used(weights: Mapping[str, int], available: float) -> tuple[int, int]:
        return sum(weight * cells.get(name, 0) for name, weight in weights.items()), int(available)

    return Usage(
        used(_LUTS, device.luts.value), used(_FFS, device.ffs.value),
        used(_RAMS, device.ram_blocks.value), used(_DSPS, device.dsps.value),
    )


def core_project(design: Design, board: Board, mhz: float) -> dict[str, str]:
    """Give constraints and script that place and route an IP core by itself and package it."""
    name, files = design.spec.name, sorted(design.emitted.images)
    sources = " ".join([f"{name}.v", *files])
    images = "\n".join(
        f"set_property file_type {{Memory Initialization Files}} [get_files {image}]"
        for image in files
    )
    return {
        "core.xdc": f"create_clock -name clk -period {1000 / mhz:.4f} [get_ports clk]\n",
        SCRIPT: f"""# {design.net.name} for {board.title}, {mhz:g} MHz. In this folder run:
#   vivado -mode batch -source {SCRIPT}
# It places and routes the core by itself, writes utilization.rpt and timing.rpt, and packages the
# core with its AXI-Streams s_axis and m_axis into the folder ip, for use in a block design.
create_project -force {name} project -part {board.part}
add_files {{{sources}}}
{images}
read_xdc core.xdc
set_property top {name} [current_fileset]
synth_design -top {name} -part {board.part} -mode out_of_context
opt_design
place_design
phys_opt_design
route_design
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt
ipx::package_project -root_dir ip -vendor xnorflow -library user -taxonomy /UserIP \\
    -import_files -set_current true
set core [ipx::current_core]
set_property name {name} $core
set_property display_name {{xnorflow {design.net.name}}} $core
ipx::infer_bus_interface clk xilinx.com:signal:clock_rtl:1.0 $core
ipx::infer_bus_interface rst xilinx.com:signal:reset_rtl:1.0 $core
ipx::associate_bus_interfaces -busif s_axis -clock clk $core
ipx::associate_bus_interfaces -busif m_axis -clock clk $core
set reset [ipx::get_bus_interfaces rst -of_objects $core]
ipx::add_bus_parameter POLARITY $reset
set_property value ACTIVE_HIGH [ipx::get_bus_parameters POLARITY -of_objects $reset]
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::save_core $core
""",
    }
