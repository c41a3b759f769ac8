"""A compiled design as a simulated board, with the link and accelerator that a bitstream has."""

from __future__ import annotations

from xnorflow.design.design import Design
from xnorflow_boards.gateware.weights_in_flash import loader_for
from xnorflow_boards.simulated import simulated_flash
from xnorflow_hw.link.flash_format import image
from xnorflow_hw.link.link_format import VERSION
from xnorflow_hw.link.link_spec import MAX_WINDOW, QUEUE_UNIT, LinkSpec, window_and_queue
from xnorflow_hw.link.linked import LinkedAccelerator, emit_linked
from xnorflow_hw.link.uart import Uart
from xnorflow_sim.board.simulated_board import SimulatedBoard, Trouble
from xnorflow_sim.interface import BytePorts

TOP = "xnorflow_simulated_board"
OUTPUTS = {"tx", "rts", "rx_ready", "tx_valid", "tx_data"}
NO_TROUBLE = Trouble()


def link_spec(design: Design, *, window: int = MAX_WINDOW, version: int = VERSION) -> LinkSpec:
    """Return the specification of a design's link.

    Parameters
    ----------
    design : Design
        Design whose accelerator is linked.
    window : int
        Number of DATA messages that the board can hold unanswered.
    version : int
        Version of the protocol.
    """
    face = design.interface
    return LinkSpec(
        in_lanes=face.in_bytes,
        in_beats=face.in_beats,
        out_bytes=face.out_bytes,
        out_beats=face.out_beats,
        digest=bytes.fromhex(design.digest)[:16],
        clock_hz=round(design.clock.mhz * 1e6),
        window=window,
        version=version,
        loads=bool(design.emitted.sections),
        edges=face.edges,
    )


def simulated(
    design: Design,
    *,
    divisor: int = 0,
    window: int | None = None,
    version: int = VERSION,
    trouble: Trouble = NO_TROUBLE,
    seed: int = 0,
    flash: bytes | None = None,
) -> SimulatedBoard:
    """Build a simulated board that runs a design.

    Parameters
    ----------
    design : Design
        Design that the board runs.
    divisor : int
        Clock cycles per bit of the UART, which is then simulated wire by wire. 0 carries whole
        bytes without a UART, which is much faster.
    window : int, optional
        Number of DATA messages that the board can hold unanswered, with a receive queue of 512
        bytes. By default both are those that `window_and_queue` computes.
    version : int
        Version of the protocol.
    trouble : Trouble
        Faults of the link.
    seed : int
        Seed of all that is random.
    flash : bytes, optional
        Content of the flash at the weights' address, for a design with SPRAM; its weights by
        default.

    Returns
    -------
    SimulatedBoard
        A context manager; the driver opens its `port`.
    """
    best, queue = window_and_queue(
        frame=link_spec(design).frame,
        ii=design.ii,
        divisor=divisor or 1,
    )
    uart = None
    if divisor:
        uart = Uart(divisor=divisor, buffer=queue if window is None else QUEUE_UNIT)
    if window is None:
        window = best if divisor else MAX_WINDOW
    spec = link_spec(design, window=window, version=version)
    loader = loader_for(design, spec.clock_hz)
    top = LinkedAccelerator(spec, design.interface.top, uart=uart, loader=loader)
    ports, images = BytePorts(TOP, divisor), design.emitted.images
    settle = 2 * (design.latency + design.ii) + 2000
    if loader is None:
        text = f"{emit_linked(top, name=TOP)}\n{design.verilog}"
    else:
        data = image(design.emitted.sections) if flash is None else flash
        board = f"{TOP}_without_flash"
        wrapper = simulated_flash.around(board, ports.ports, OUTPUTS, TOP, len(data))
        text = "\n".join(
            [
                "`define XNORFLOW_LOAD",
                emit_linked(top, name=board),
                wrapper,
                design.verilog,
            ]
        )
        images = images | {simulated_flash.IMAGE: simulated_flash.contents(data)}
        settle += 2 * loader.cycles
    return SimulatedBoard(text, ports, images=images, settle=settle, trouble=trouble, seed=seed)
