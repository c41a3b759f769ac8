"""The Vivado project of a board whose pins lead to no host: an IP core with AXI ports.

In a block design the core is connected to a processor: `s_axis` and `m_axis` through a DMA engine,
`s_axi_ctrl` directly.
"""

from __future__ import annotations

from xnorflow.design.design import Design
from xnorflow_boards.board import Board
from xnorflow_boards.gateware import axi_core as axi
from xnorflow_hw.axi.register_map import ADDRESS_BITS

SCRIPT = "core.tcl"
CONSTRAINTS = "core.xdc"


def core_project(design: Design, board: Board, mhz: float) -> dict[str, str]:
    """Return the files of the project besides the accelerator's own.

    They are the AXI wrapper, its registers for C and Python, the constraints, and the script that
    places and routes the core by itself and packages it.

    Parameters
    ----------
    design : Design
        Design of the accelerator.
    board : Board
        Board whose part is used.
    mhz : float
        Wished clock in MHz.

    Returns
    -------
    dict of str to str
        Text by file name.
    """
    name, top = design.spec.name, axi.wrapper_name(design)
    return {
        f"{top}.v": axi.wrapper_verilog(design),
        f"{name}_registers.h": axi.c_header(design),
        f"{name}_registers.py": axi.python_module(design),
        CONSTRAINTS: f"create_clock -name aclk -period {1000 / mhz:.4f} [get_ports aclk]\n",
        SCRIPT: _script(design, board, mhz),
    }


def _script(design: Design, board: Board, mhz: float) -> str:
    top, images = axi.wrapper_name(design), sorted(design.emitted.images)
    sources = " ".join([f"{top}.v", f"{design.spec.name}.v", *images])
    memories = "\n".join(
        f"set_property file_type {{Memory Initialization Files}} [get_files {image}]"
        for image in images
    )
    return f"""# {design.net.name} for {board.title}, {mhz:g} MHz. In this folder run:
#   vivado -mode batch -source {SCRIPT}
# It places and routes the core by itself, writes utilization.rpt and timing.rpt, and packages it
# with its AXI-Streams s_axis and m_axis and its registers s_axi_ctrl into the folder ip, for use
# in a block design.
create_project -force {top} project -part {board.part}
add_files {{{sources}}}
{memories}
read_xdc {CONSTRAINTS}
set_property top {top} [current_fileset]
synth_design -top {top} -part {board.part} -mode out_of_context
opt_design
place_design
phys_opt_design
route_design
report_utilization -hierarchical -file utilization.rpt
report_timing_summary -file timing.rpt

ipx::package_project -root_dir ip -vendor xnorflow -library user -taxonomy /UserIP \\
    -import_files -set_current true
set core [ipx::current_core]
set_property name {top} $core
set_property display_name {{xnorflow {design.net.name}}} $core
# The ports' names say what they are; what they do not say is added.
foreach {{port kind}} {{aclk clock aresetn reset}} {{
    if {{[llength [ipx::get_bus_interfaces $port -of_objects $core]] == 0}} {{
        ipx::infer_bus_interface $port xilinx.com:signal:${{kind}}_rtl:1.0 $core
    }}
}}
foreach bus {{s_axis m_axis s_axi_ctrl}} {{
    if {{[llength [ipx::get_bus_interfaces $bus -of_objects $core]] == 0}} {{
        error "the ports of $bus were not recognised as an AXI interface"
    }}
    ipx::associate_bus_interfaces -busif $bus -clock aclk $core
}}
ipx::associate_bus_interfaces -clock aclk -reset aresetn $core
set reset [ipx::get_bus_interfaces aresetn -of_objects $core]
if {{[llength [ipx::get_bus_parameters POLARITY -of_objects $reset]] == 0}} {{
    ipx::add_bus_parameter POLARITY $reset
}}
set_property value ACTIVE_LOW [ipx::get_bus_parameters POLARITY -of_objects $reset]
if {{[llength [ipx::get_memory_maps s_axi_ctrl -of_objects $core]] == 0}} {{
    set map [ipx::add_memory_map s_axi_ctrl $core]
    set block [ipx::add_address_block registers $map]
    set_property range {1 << ADDRESS_BITS} $block
    set_property width 32 $block
    set_property slave_memory_map_ref s_axi_ctrl \\
        [ipx::get_bus_interfaces s_axi_ctrl -of_objects $core]
}}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::save_core $core
"""
