"""From a compiled design to a bitstream.

The results lie in the folder ``build`` of the design's folder, with everything that was measured
in ``build.json``. The folder appears as a whole when all has gone well, or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput
from xnorflow.outputs import whole_folder
from xnorflow.plan.fabric import GENERIC, fabric
from xnorflow.plan.memories import sprams
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.steps import OpenBuild, Progress, VivadoBuild

FOLDER = "build"
BAUD = 1_000_000
"""Default rate of the serial port: a whole fraction of most clocks, and within reach of every USB
adapter on these boards."""


def build(
    directory: str | Path,
    *,
    board: str | None = None,
    clock: float | None = None,
    seeds: int = 1,
    baud: int = BAUD,
    core_only: bool = False,
    check_clock: bool = True,
    rip_up: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build the bitstream of a design.

    Parameters
    ----------
    directory : path
        What `Design.write` wrote; gets a folder ``build``.
    board : str, optional
        Another board than the design was compiled for.
    clock : float, optional
        Another clock, in MHz, than the design's; the board's PLL makes the nearest it can.
    seeds : int
        How often to place and route; the fastest result is kept.
    baud : int
        Of the serial port.
    core_only : bool
        Measure the accelerator without the link, between registers; this bitstream is of no use.
    check_clock : bool
        Whether a missed clock is an error.
    rip_up : bool
        Let nextpnr rip up slow routes: faster, but dense designs may find no route at all.
    progress : callable, optional
        Is told the step and what the tool is doing.

    Returns
    -------
    dict
        The content of ``build.json``.

    Raises
    ------
    BadInput
        If the folder is not a design, or board, clock or baud rate are impossible.
    ToolMissing
        If a tool is not installed.
    CheckFailed
        If a tool fails, the design does not fit, or with every seed it finds no route or misses
        its clock.
    """
    directory = Path(directory)
    design = Design.read(directory)
    name = board or design.board
    if name is None:
        raise BadInput(
            f"{directory} was compiled for no board; name one with --board, or compile it with one"
        )
    target = find_board(name)
    if (needed := sprams(design.spec)) > fpga(name).spram_number:
        raise BadInput(
            f"{directory} was compiled for {design.board} and has weights in {needed} SPRAM, which"
            f" {name} lacks; compile it with --board {name}"
        )
    if core_only and not target.open:
        raise BadInput(f"{name} has no open tool flow that could place the accelerator alone")
    placed = fabric(design.spec)
    if placed not in (GENERIC, fpga(name).family.fabric):
        raise BadInput(
            f"{directory} was compiled for {design.board} and has primitives that {name} lacks;"
            f" compile it with --board {name}"
        )
    if seeds < 1:
        raise BadInput(f"{seeds} seeds are no run at all")
    told = progress or (lambda step, doing: None)
    with whole_folder(directory / FOLDER) as folder:
        wish = clock or design.clock.mhz
        content = (
            OpenBuild(design, target, folder, told).build(
                wish, seeds, baud, core_only, check_clock, rip_up
            )
            if target.open
            else VivadoBuild(design, target, folder, told).build(wish, baud)
        )
        (folder / "build.json").write_text(json.dumps(content, indent=1) + "\n")
    return content
