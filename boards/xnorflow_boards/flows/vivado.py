"""AMD FPGAs: what a user runs in Vivado, and resources from Yosys.

Yosys counts LUTs before two small ones are packed into one, so its figures are estimates, and
there is no clock without place and route.
"""

from __future__ import annotations

from collections.abc import Mapping

from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed
from xnorflow_boards.board import Board
from xnorflow_boards.flows.report import Usage

KIND = "synthesised by Yosys, before packing and placement"

_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "LUT6_2": 1,
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M16": 8,
    "RAM64M8": 8,
}
_FFS = dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1)
_RAMS = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}
_DSPS = {"DSP48E1": 1, "DSP48E2": 1}
_COUNTED = ("LUT", "SRL", "RAM", "FD", "LD", "DSP", "URAM")
"""What the names of cells that take such resources begin with."""


def synthesis(
    board: Board,
    top: str,
    sources: list[str],
    *,
    apart: str = "",
    before: str = "",
    options: str = "",
) -> str:
    """Give the Yosys script that counts resources, its pass with `options`, commands `before` it.

    Module `apart` stays one of its own, to be counted apart from what is around.
    """
    family = "xcup" if fpga(board.name).family.name == "xilinx-ultrascale-plus" else "xc7"
    reads = "\n".join(f"read_verilog {name}" for name in sources)
    reads += f"\nsetattr -mod -set keep_hierarchy 1 {apart}" if apart else ""
    return (
        f"{reads}\n{before}\nsynth_xilinx -family {family} -top {top} -flatten {options}\n"
        "tee -q -o cells.json stat -json\n"
    )


def usage(board: Board, cells: Mapping[str, int]) -> Usage:
    """Give what a design uses of a board's FPGA, from Yosys's cells by type.

    Raises
    ------
    CheckFailed
        If there is a cell of a kind that is counted, but not this one.
    """
    device = fpga(board.name)
    counted = {**_LUTS, **_FFS, **_RAMS, **_DSPS}
    unknown = [name for name in cells if name.startswith(_COUNTED) and name not in counted]
    if unknown:
        raise CheckFailed(
            f"the resources of {', '.join(sorted(unknown))} are not known; please report this"
        )

    def used(weights: Mapping[str, int], available: float) -> tuple[int, int]:
        return sum(weight * cells.get(name, 0) for name, weight in weights.items()), int(available)

    return Usage(
        used(_LUTS, device.luts.value),
        used(_FFS, device.ffs.value),
        used(_RAMS, device.ram_blocks.value),
        used(_DSPS, device.dsps.value),
    )
