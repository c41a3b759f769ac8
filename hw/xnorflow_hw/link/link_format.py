"""The numbers of the link protocol that board and host share; ``docs/link.md`` explains them.

Plain constants, without imports of the hardware language, so that a host can import them quickly.
"""

from __future__ import annotations

import struct
from enum import IntEnum

VERSION = 1
"""Version of the protocol, 0 to 15; it is the upper half of every message's first byte."""

FLAG = 0x7E
"""Byte that stands before and after every message and nowhere inside one."""
ESCAPE = 0x7D
"""Byte that stands before a FLAG or ESCAPE byte of a message, which is sent with bit 5 inverted."""
ESCAPE_BIT = 5

HEADER = struct.Struct("<BHH")
"""Version and type, session, sequence number; three bytes of payload length follow."""
LENGTH_BYTES = 3
HEADER_BYTES = HEADER.size + LENGTH_BYTES
CRC_BYTES = 4

IDENTITY = struct.Struct("<16sIHHI")
"""Digest, bytes of a DATA payload, bytes of a RESULT payload, window, clock in Hz."""
WINDOW_BYTE = 22
"""Position of the window in IDENTITY."""

NOT_LOADED, WRONGLY_LOADED = 0, 0x8000
"""Windows in the IDENTITY of a board that does not accept frames yet.

Its weights are being loaded, or they were wrong and are being loaded again.
"""

NO_SESSION = 0
"""Session of a board that has not received a HELLO since it was reset."""


class Request(IntEnum):
    """Types of messages from host to board."""

    HELLO = 1
    DATA = 2


class Reply(IntEnum):
    """Types of messages from board to host."""

    IDENTITY = 9
    RESULT = 10
    REFUSED = 11
