"""What a link is built for, and the tags that its two halves exchange."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from amaranth.lib import data

from xnorflow_hw.link.link_format import IDENTITY, VERSION

MAX_WINDOW = 16
QUEUE_UNIT = 512
"""Bytes of the smallest block RAM of the boards' FPGAs; the size of a queue is a multiple of it."""
MAX_FRAME = (1 << 24) - 1


class TagKind(IntEnum):
    """What a tag asks the sender to do."""

    IDENTITY = 0
    RESULT = 1  # Send the accelerator's next result.
    DROP = 2  # Drop the accelerator's next result and send REFUSED.
    REFUSED = 3  # Send REFUSED; nothing went into the accelerator.


TAG = data.StructLayout({"kind": 2, "sequence": 16})


@dataclass(frozen=True)
class LinkSpec:
    """Sizes and options of a link.

    Parameters
    ----------
    in_lanes : int
        Bytes per beat of the accelerator's input.
    in_beats : int
        Beats per frame of the accelerator's input.
    out_bytes : int
        Bytes per beat of the accelerator's output.
    out_beats : int
        Beats per frame of the accelerator's output.
    digest : bytes
        First 16 bytes of the design's digest.
    clock_hz : int
        Clock frequency, for the host's information only.
    window : int
        Largest number of unanswered DATA messages, 2 to 1024; the depth of the queue of tags.
    crc_bits : {1, 2, 4, 8}
        Bits of a checksum computed per cycle; a byte takes ``8 / crc_bits`` cycles. 1 takes the
        least logic and keeps up with any UART.
    version : int
        Version of the protocol, 0 to 15.
    loads : bool
        Whether the accelerator has to be loaded before it accepts frames.
    edges : int
        Edges of the layer that has most. With several, a DATA payload begins with a byte that says
        how many are enabled for its frame; 0 stands for all.

    Raises
    ------
    ValueError
        If a number is out of its range or frames or results are too long for the protocol.
    """

    in_lanes: int
    in_beats: int
    out_bytes: int
    out_beats: int
    digest: bytes = bytes(16)
    clock_hz: int = 0
    window: int = MAX_WINDOW
    crc_bits: int = 1
    version: int = VERSION
    loads: bool = False
    edges: int = 1

    def __post_init__(self) -> None:
        for name in ("in_lanes", "in_beats", "out_bytes", "out_beats", "edges"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be 1 or more")
        if self.frame > MAX_FRAME or self.result > 0xFFFF:
            raise ValueError(
                f"frames of {self.frame} bytes and results of {self.result} bytes are too long for"
                f" the link, which allows {MAX_FRAME} and 65535 bytes"
            )
        if self.edges > 255:
            raise ValueError(f"edges is {self.edges}; a byte says how many are enabled")
        if len(self.digest) != 16:
            raise ValueError(f"digest has {len(self.digest)} bytes; it has to have 16")
        if not 2 <= self.window <= 1024:
            raise ValueError(f"window is {self.window}; it has to be in 2 to 1024")
        if not (0 <= self.version < 16 and 0 <= self.clock_hz < 1 << 32):
            raise ValueError(
                f"version is {self.version} and clock_hz is {self.clock_hz}; they have to be in 0"
                f" to 15 and in 0 to {(1 << 32) - 1}"
            )

    @property
    def frame(self) -> int:
        """Bytes of a DATA payload."""
        return self.in_lanes * self.in_beats + (self.edges > 1)

    @property
    def result(self) -> int:
        """Bytes of a RESULT payload."""
        return self.out_bytes * self.out_beats

    @property
    def identity(self) -> bytes:
        """Payload of an IDENTITY message."""
        return IDENTITY.pack(self.digest, self.frame, self.result, self.window, self.clock_hz)


def window_and_queue(*, frame: int, ii: int, divisor: int) -> tuple[int, int]:
    """Choose window and queue of a link on a UART without flow control.

    The queue never overflows with them.

    If the line is slower than the accelerator, only what arrives while the accelerator holds its
    input can pile up, which is less than its initiation interval. Otherwise the whole window has to
    fit into the queue: two frames, so that one arrives while the other is computed.

    Parameters
    ----------
    frame : int
        Bytes of a DATA payload.
    ii : int
        Initiation interval of the accelerator in cycles.
    divisor : int
        Clock cycles per bit of the UART.

    Returns
    -------
    window : int
        For `LinkSpec.window`.
    queue : int
        Bytes of the receive queue.
    """
    arriving = -(-ii // (10 * divisor))
    slow = arriving > frame
    # A message has a header, a checksum, flags and a few escapes. A frame of escapes alone may
    # overflow the queue; the host then sends it again.
    message = frame + frame // 32 + 32
    window, needed = (2, 2 * message) if slow else (MAX_WINDOW, arriving + 32)
    return window, -(-needed // QUEUE_UNIT) * QUEUE_UNIT
