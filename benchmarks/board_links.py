"""Print frames per second of every shipped board: of the accelerator, and through each link.

For each network and board it compiles the fastest design that fits (`compile --board`), and prints
its initiation interval, the clock that is assumed for the board's family, the frames per second of
the accelerator alone, the bytes of a frame and of its scores, and the smaller of accelerator and
link for every link. A link of pins (UART, FT245, SPI) is printed for each board whose FPGA is not
fed by a processor or over PCI Express, whether or not the board has the chip at the other end; the
board's own link is marked with a star. Boards with one part and one clock share a design.

Run: python benchmarks/board_links.py [--only TEXT]
"""

from __future__ import annotations

import argparse

from networks import DEMO, TRAINED, trained

import xnorflow as xf
from xnorflow.design.described import few
from xnorflow.devices.links import FrameBytes, link_of, links
from xnorflow.devices.tables import Fpga, fpgas
from xnorflow.errors import CheckFailed

NETWORKS = (DEMO, *(t.name for t in TRAINED))
OF_THE_PART = ("axi-dma", "pcie")
"""Links that a part has or lacks, whatever hangs on its pins."""


def through_links(board: str, fps: float, frame: FrameBytes) -> list[str]:
    """Return the cells of a row: frames per second through each link, the board's own with a star.

    Parameters
    ----------
    board : str
        Name of the board.
    fps : float
        Frames per second of the accelerator alone.
    frame : FrameBytes
        Bytes of a frame and of its scores.
    """
    own = link_of(board)
    fed = own is not None and own.name in OF_THE_PART
    cells = []
    for name, link in links().items():
        mine = own is not None and name == own.name
        if not mine and (fed or name in OF_THE_PART):
            cells.append("")
            continue
        cells.append(few(min(fps, link.fps(frame))) + "*" * mine)
    return cells


def compare(name: str, only: str) -> None:
    """Print a row per board for a network."""
    source = trained(name)
    net = xf.load(source.path, input_scale=source.scale)
    found: dict[str, xf.Design | None] = {}
    for device in fpgas().values():
        board = device.board
        if only not in f"{name} {board}":
            continue
        if device.part not in found:
            found[device.part] = fastest(net, device)
        design = found[device.part]
        if design is None:
            print(f"| {name} | {board} | does not fit |" + (3 + len(links())) * " |", flush=True)
            continue
        frame = design.frame_bytes
        cells = [
            f"{design.ii:,}",
            f"{design.clock.mhz:g}",
            few(design.fps),
            f"{frame.sent} + {frame.returned}",
            *through_links(board, design.fps, frame),
        ]
        print(f"| {name} | {board} | {' | '.join(cells)} |", flush=True)


def fastest(net: xf.IntegerNetwork, device: Fpga) -> xf.Design | None:
    """Return the fastest design that fits a board, or None."""
    try:
        return xf.compile(net, board=device.board)
    except CheckFailed:
        return None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of 'network board'")
    only = parser.parse_args().only
    heads = ["network", "board", "II", "MHz", "accelerator", "bytes: frame + scores", *links()]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|", flush=True)
    for name in NETWORKS:
        compare(name, only)


if __name__ == "__main__":
    main()
