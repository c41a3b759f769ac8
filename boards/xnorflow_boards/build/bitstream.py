"""The bitstream of a compiled design, made in the folder ``build`` of the design's folder.

``build.json`` in it has everything that was measured. The folder appears as a whole when all steps
have succeeded, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xnorflow import outputs
from xnorflow.design.clock import Clock
from xnorflow.design.design import Design
from xnorflow.design.folder import BOARD
from xnorflow.devices.board_names import portable
from xnorflow.errors import BadInput
from xnorflow.outputs import whole_folder
from xnorflow.plan.fabric import GENERIC, fabric
from xnorflow.plan.memories import sprams
from xnorflow.progress import spinner
from xnorflow_boards.board import Board
from xnorflow_boards.build.build_steps import Progress, lacks_pins
from xnorflow_boards.build.open_build import OpenBuild
from xnorflow_boards.build.vivado_build import VivadoBuild
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows import OpenFlow, VivadoFlow

FOLDER = "build"
"""Name of the folder with the results in the design's folder."""
BAUD = 1_000_000
"""Default rate of the serial port in bits per second: a whole fraction of most clocks, and possible
with every USB adapter on these boards."""


def build(
    directory: str | Path,
    *,
    board: str | None = None,
    clock: float | None = None,
    seeds: int = 1,
    seed: int | None = None,
    baud: int = BAUD,
    core_only: bool = False,
    check_clock: bool = True,
    rip_up: bool = False,
    import_platform: bool = False,
    progress: bool | Progress | None = None,
) -> dict[str, Any]:
    """Build the bitstream of a design.

    Parameters
    ----------
    directory : path
        Folder that `Design.write` wrote; it gets a folder ``build``.
    board : str, optional
        Board, as `xnorflow.compile` takes it, if it is not the one that the design was compiled
        for.
    clock : float, optional
        Wished clock in MHz, if it is not the design's; the board's PLL makes the nearest it can.
    seeds : int
        Number of times to place and route, each with another seed; the fastest result is kept.
    seed : int, optional
        The only seed to place and route with, such as the best one of a sweep, instead of `seeds`.
    baud : int
        Rate of the serial port in bits per second; for a board with byte streams it is not used.
    core_only : bool
        Measure the accelerator between registers, without the link; the bitstream cannot be used.
    check_clock : bool
        Whether a missed clock is an error.
    rip_up : bool
        Let nextpnr rip up slow routes: the clock gets faster, but dense designs may find no route.
    import_platform : bool
        Import the class of an Amaranth platform that a board file names even if it is not one of
        amaranth_boards, which runs the code of its package.
    progress : bool or callable, optional
        True shows what is being done; a callable receives the name of the step and a line on what
        its tool is doing.

    Returns
    -------
    dict
        The content of ``build.json``.

    Raises
    ------
    BadInput
        If the folder holds no design, or it cannot be built for this board, clock or baud rate.
    ToolMissing
        If a tool is not installed.
    CheckFailed
        If a tool fails, the design does not fit, or every seed finds no route or misses the
        clock.
    """
    directory = Path(directory)
    design = Design.read(directory)
    name, target = checked_board(
        design, directory, board=board, core_only=core_only, import_platform=import_platform
    )
    if seeds < 1:
        raise BadInput(
            f"{seeds} seeds (--seeds) would not place and route at all; 1 or more would work"
        )
    if seed is not None and (seed < 1 or seeds != 1):
        raise BadInput(
            "a seed has to be 1 or more"
            if seed < 1
            else "seed is the only one to try, and seeds says how many: give one of the two"
        )
    tried = range(1, seeds + 1) if seed is None else (seed,)
    rate = None if target.file.stream is not None else baud
    wish = (design.clock if clock is None else Clock.given(clock)).mhz
    with _told(progress, target.name) as told, whole_folder(directory / FOLDER) as folder:
        match target.flow:
            case OpenFlow():
                content = OpenBuild(design, target, folder, told).build(
                    wish, tried, rate, core_only, check_clock, rip_up
                )
            case VivadoFlow():
                content = VivadoBuild(design, target, folder, told).build(wish, rate)
            case _:
                raise TypeError(f"no build for boards of the flow {target.flow.title}")
        if portable(name) is not None:
            content |= {"board_file": BOARD}
            (folder / BOARD).write_text(target.file.text, encoding="utf-8")
        outputs.write_json(folder / "build.json", content)
    return content


def checked_board(
    design: Design,
    directory: Path,
    *,
    board: str | None = None,
    core_only: bool = False,
    import_platform: bool = False,
) -> tuple[str, Board]:
    """Return the board that a design is to be built for, and what the user calls it.

    Parameters
    ----------
    design : Design
        The design.
    directory : Path
        Its folder, for messages.
    board, core_only, import_platform
        As for `build`.

    Raises
    ------
    BadInput
        If there is no board, or the design cannot be built for it.
    """
    name = board or design.board
    if name is None:
        raise BadInput(
            f"{directory} was compiled for no board; name one with --board, or compile it with one"
        )
    target = find_board(name, import_platform=import_platform)
    made_for, device = design.board_name, target.device
    if (needed := sprams(design.spec)) > device.spram_number:
        raise BadInput(
            f"{directory} was compiled for {made_for} and has weights in {needed} SPRAM blocks,"
            f" which {target.name} lacks; compile it with --board {name}"
        )
    if target.open and not target.file.linked and not (core_only and target.platform):
        raise lacks_pins(target)
    if core_only and not target.open:
        raise BadInput(
            f"{target.name} has no open tool flow that could place the accelerator alone (--core)"
        )
    placed = fabric(design.spec)
    if placed not in (GENERIC, device.family.fabric):
        raise BadInput(
            f"{directory} was compiled for {made_for} and uses primitives that {target.name} lacks;"
            f" compile it with --board {name}"
        )
    return name, target


@contextmanager
def _told(progress: bool | Progress | None, board: str) -> Iterator[Progress]:
    """Yield the callback of `build`; True is a spinner."""
    if progress is True:
        with spinner(f"building for {board}") as tell:
            yield lambda step, doing: tell(f"{step}: {doing}" if doing else step)
    else:
        yield progress or (lambda step, doing: None)
