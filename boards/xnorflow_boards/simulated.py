"""A compiled design as a simulated board: the very link and accelerator that a bitstream has."""

from __future__ import annotations

from xnorflow.design import Design
from xnorflow_hw.link_format import VERSION
from xnorflow_hw.link_spec import MAX_WINDOW, QUEUE_UNIT, LinkSpec, window_and_queue
from xnorflow_hw.linked import LinkedAccelerator, emit_linked
from xnorflow_hw.uart import Uart
from xnorflow_sim.board import SimulatedBoard, Trouble
from xnorflow_sim.interface import BytePorts

TOP = "xnorflow_simulated_board"
NO_TROUBLE = Trouble()


def link_spec(design: Design, *, window: int = MAX_WINDOW, version: int = VERSION) -> LinkSpec:
    """Give the link of a design."""
    face = design.interface
    return LinkSpec(
        in_lanes=face.in_lanes, in_beats=face.in_beats, out_bytes=face.out_bytes,
        out_beats=face.out_beats, digest=bytes.fromhex(design.digest)[:16],
        clock_hz=round(design.clock.mhz * 1e6), window=window, version=version,
    )


def simulated(
    design: Design, *, divisor: int = 0, window: int | None = None, version: int = VERSION,
    trouble: Trouble = NO_TROUBLE, seed: int = 0,
) -> SimulatedBoard:
    """Build a board that runs a design.

    Parameters
    ----------
    design : Design
        What it runs.
    divisor : int
        Clock cycles per bit of its UART, simulated wire by wire; 0 carries bytes directly, which is
        much faster.
    window : int, optional
        Of the link, with a receive queue of 512 bytes; by default both have the size that
        `window_and_queue` gives.
    version : int
        Of the protocol.
    trouble : Trouble
        What goes wrong on the way.
    seed : int
        Of all that is random.

    Returns
    -------
    SimulatedBoard
        A context; a driver opens its `port`.
    """
    best, queue = window_and_queue(
        frame=design.interface.in_beats * design.interface.in_lanes, ii=design.ii,
        divisor=divisor or 1,
    )
    uart = None
    if divisor:
        uart = Uart(divisor=divisor, buffer=queue if window is None else QUEUE_UNIT)
    if window is None:
        window = best if divisor else MAX_WINDOW
    spec = link_spec(design, window=window, version=version)
    top = LinkedAccelerator(spec, design.interface.top, uart=uart)
    return SimulatedBoard(
        f"{emit_linked(top, name=TOP)}\n{design.verilog}", BytePorts(TOP, divisor),
        images=design.emitted.images, settle=2 * (design.latency + design.ii) + 2000,
        trouble=trouble, seed=seed,
    )
