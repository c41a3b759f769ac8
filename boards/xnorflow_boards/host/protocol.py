"""Messages of the link protocol as bytes, and bytes as messages; ``docs/link.md`` explains them.

Nothing here waits or talks to a device, and nothing imports NumPy or Amaranth.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from xnorflow_hw.link.link_format import (
    CRC_BYTES,
    ESCAPE,
    FLAG,
    HEADER,
    HEADER_BYTES,
    IDENTITY,
    LENGTH_BYTES,
    VERSION,
    Reply,
    Request,
)

_FLAG, _ESCAPE = bytes([FLAG]), bytes([ESCAPE])
_ESCAPED_FLAG, _ESCAPED_ESCAPE = b"\x7d\x5e", b"\x7d\x5d"
_RESIDUE = 0x2144DF1C
"""CRC-32 of any message followed by its own CRC-32."""
LONGEST_REPLY = HEADER_BYTES + 0xFFFF + CRC_BYTES
"""Most bytes between the flags of a message, before escaping."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose checksum is right.

    Parameters
    ----------
    version : int
        Version of the protocol.
    type : int
        A `Request` or `Reply`, or a number that this version does not know.
    session, sequence : int
        Number of the session and of the message in it, 16 bits each.
    payload : bytes
        Content, with the length that the header states.
    """

    version: int
    type: int
    session: int
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """What a board says of itself.

    Parameters
    ----------
    version : int
        Version of the protocol.
    digest : str
        First 16 bytes of the design's digest, in hexadecimal.
    frame_bytes, result_bytes : int
        Bytes in the payload of DATA and of RESULT.
    window : int
        Number of DATA messages that the board can hold unanswered.
    clock_hz : int
        Clock of the accelerator in Hz.
    """

    version: int
    digest: str
    frame_bytes: int
    result_bytes: int
    window: int
    clock_hz: int


def encode(
    kind: int, session: int, sequence: int, payload: bytes = b"", *, version: int = VERSION
) -> bytes:
    """Return the bytes of a message, with its flags.

    Parameters
    ----------
    kind : int
        A `Request` or `Reply`.
    session, sequence : int
        Number of the session and of the message in it, 16 bits each.
    payload : bytes
        Content, at most 65,535 bytes.
    version : int
        Version of the protocol.
    """
    body = HEADER.pack(version << 4 | kind, session, sequence)
    body += len(payload).to_bytes(LENGTH_BYTES, "little") + payload
    body += zlib.crc32(body).to_bytes(CRC_BYTES, "little")
    body = body.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(_FLAG, _ESCAPED_FLAG)
    return _FLAG + body + _FLAG


def hello(session: int, nonce: int = 0) -> bytes:
    """Return the message that begins a session; the board's IDENTITY has `nonce` as its number."""
    return encode(Request.HELLO, session, nonce)


def decode(body: bytes) -> Message | None:
    """Read a message from the bytes between two flags; None if they are not a whole message."""
    if _ESCAPE in body:
        pairs = body.count(_ESCAPED_FLAG) + body.count(_ESCAPED_ESCAPE)
        if pairs != body.count(_ESCAPE):
            return None
        # Escapes are restored last, so that none of them can join with the byte that follows it.
        body = body.replace(_ESCAPED_FLAG, _FLAG).replace(_ESCAPED_ESCAPE, _ESCAPE)
    if len(body) < HEADER_BYTES + CRC_BYTES or zlib.crc32(body) != _RESIDUE:
        return None
    first, session, sequence = HEADER.unpack_from(body)
    length = int.from_bytes(body[HEADER.size : HEADER_BYTES], "little")
    payload = body[HEADER_BYTES:-CRC_BYTES]
    if length != len(payload):
        return None
    return Message(first >> 4, first & 15, session, sequence, payload)


def identity(message: Message) -> Identity | None:
    """Read an IDENTITY message; None if the message is of another type or too short.

    All versions of the protocol keep the header, the checksum, HELLO and the first bytes of
    IDENTITY, so that a host can always tell which version a board has.
    """
    if message.type != Reply.IDENTITY:
        return None
    try:
        digest, frame, result, window, clock = IDENTITY.unpack_from(message.payload)
    except struct.error:
        return None
    return Identity(message.version, digest.hex(), frame, result, window, clock)


class Decoder:
    """Finds the messages in a stream of bytes, whatever else the stream has.

    Parameters
    ----------
    longest : int
        Bytes of the longest message, before escaping; what is longer is not stored.

    Attributes
    ----------
    broken : int
        Number of pieces between flags so far that were no message.
    """

    def __init__(self, longest: int = LONGEST_REPLY) -> None:
        self.longest = 2 * longest
        self.broken = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Take more bytes and return the messages that they complete."""
        *bodies, rest = (self._rest + data).split(_FLAG)
        # A message that is too long is broken in any case; what is kept of it shows that.
        self._rest = rest[: self.longest + 1]
        found = []
        for body in bodies:
            if not body:
                continue
            message = decode(body)
            if message is None:
                self.broken += 1
            else:
                found.append(message)
        return found
