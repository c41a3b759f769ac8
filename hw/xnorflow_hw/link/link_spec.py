"""What a link is built for, and what its two halves tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from amaranth.lib import data

from xnorflow_hw.link.link_format import IDENTITY, VERSION

MAX_WINDOW = 16
QUEUE_UNIT = 512
"""Bytes in the smallest block RAM of the boards' FPGAs; a queue is a multiple of it."""
MAX_FRAME = (1 << 24) - 1


class TagKind(IntEnum):
    """What a tag asks the sender for."""

    IDENTITY = 0
    RESULT = 1  # Send the accelerator's next result.
    DROP = 2  # Take the accelerator's next result away and say that the message was refused.
    REFUSED = 3  # Say so; nothing went into the accelerator.


TAG = data.StructLayout({"kind": 2, "sequence": 16})


@dataclass(frozen=True)
class LinkSpec:
    """What a link is built for.

    Parameters
    ----------
    in_lanes, in_beats : int
        Bytes per beat and beats per frame of the accelerator's input.
    out_bytes, out_beats : int
        The same of its output.
    digest : bytes
        First 16 bytes of the design's digest.
    clock_hz : int
        For the host's information.
    window : int
        DATA messages that may be unanswered at any time; the depth of the queue of tags.
    crc_bits : {1, 2, 4, 8}
        Bits of the checksums that are computed per cycle. 1 is the smallest and keeps up with any
        UART; a byte takes ``8 / crc_bits`` cycles.
    version : int
        Of the protocol, below 16.
    loads : bool
        Whether the accelerator has to be loaded before it takes frames.
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

    def __post_init__(self) -> None:
        for name in ("in_lanes", "in_beats", "out_bytes", "out_beats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is below 1")
        if self.frame > MAX_FRAME or self.result > 0xFFFF:
            raise ValueError(
                f"frames of {self.frame} and results of {self.result} bytes are too long for the"
                f" link; {MAX_FRAME} and 65535 are the most"
            )
        if len(self.digest) != 16:
            raise ValueError(f"the digest has {len(self.digest)} bytes, not 16")
        if not 2 <= self.window <= 1024:
            raise ValueError(f"window={self.window} is not in 2 to 1024")
        if not (0 <= self.version < 16 and 0 <= self.clock_hz < 1 << 32):
            raise ValueError(f"version={self.version} or clock_hz={self.clock_hz} does not fit")

    @property
    def frame(self) -> int:
        """Bytes of a DATA payload."""
        return self.in_lanes * self.in_beats

    @property
    def result(self) -> int:
        """Bytes of a RESULT payload."""
        return self.out_bytes * self.out_beats

    @property
    def identity(self) -> bytes:
        """Payload of IDENTITY."""
        return IDENTITY.pack(self.digest, self.frame, self.result, self.window, self.clock_hz)


def window_and_queue(*, frame: int, ii: int, divisor: int) -> tuple[int, int]:
    """Size a link on a UART without flow control so that its queue never overflows.

    Where the line is slower than the accelerator, what can pile up is what arrives while the
    accelerator holds its input, which is less than its initiation interval. Otherwise the whole
    window has to fit: two frames, so that one arrives while the other is computed.

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
    window, queue : int
        For `LinkSpec.window`, and the receive queue's bytes.
    """
    arriving = -(-ii // (10 * divisor))
    slow = arriving > frame
    # Header, checksum, flags and a few escapes; images that are all escapes are sent again.
    message = frame + frame // 32 + 32
    window, needed = (2, 2 * message) if slow else (MAX_WINDOW, arriving + 32)
    return window, -(-needed // QUEUE_UNIT) * QUEUE_UNIT
