"""The numbers of the link protocol that board and host share; ``docs/link.md`` explains them.

Plain constants without imports of the hardware language, so that a host can read them quickly.
"""

from __future__ import annotations

import struct
from enum import IntEnum

VERSION = 1
"""Of the protocol, 0 to 15; in the upper half of every message's first byte."""

FLAG = 0x7E
"""Stands before and after every message and nowhere inside one."""
ESCAPE = 0x7D
"""Stands before a byte FLAG or ESCAPE of a message, which is then sent with bit 5 inverted."""
ESCAPE_BIT = 5

HEADER = struct.Struct("<BHH")
"""Version and type, session, sequence number; three bytes of payload length follow."""
LENGTH_BYTES = 3
HEADER_BYTES = HEADER.size + LENGTH_BYTES
CRC_BYTES = 4

IDENTITY = struct.Struct("<16sIHHI")
"""Digest, bytes of a DATA payload, bytes of a RESULT payload, window, clock in Hz."""
WINDOW_BYTE = 22
"""Where in IDENTITY the window begins."""

NOT_LOADED, WRONGLY_LOADED = 0, 0x8000
"""Windows in IDENTITY of a board that takes no frames yet: its weights are being loaded; they were
wrong, and are loaded again."""

NO_SESSION = 0
"""Session of a board that has not had a HELLO since it was reset."""


class Request(IntEnum):
    """Types of messages from host to board."""

    HELLO = 1
    DATA = 2


class Reply(IntEnum):
    """Types of messages from board to host."""

    IDENTITY = 9
    RESULT = 10
    REFUSED = 11
