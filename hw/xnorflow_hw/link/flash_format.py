"""The image in a board's flash from which SPRAMs are loaded; ``docs/hardware.md`` describes it.

Plain functions, without imports of the hardware language.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

MAGIC = b"XNFW"
HEADER = struct.Struct("<4sI")
"""Magic word, and number of bytes of the words that follow."""


def image(sections: Sequence[Sequence[int]]) -> bytes:
    """Return the image: a header, the words with the low byte first, and the CRC-32 of both.

    Parameters
    ----------
    sections : sequence of sequence of int
        Words of each SPRAM.

    Returns
    -------
    bytes
        The image.
    """
    words = [word for section in sections for word in section]
    body = HEADER.pack(MAGIC, 2 * len(words)) + struct.pack(f"<{len(words)}H", *words)
    return body + struct.pack("<I", zlib.crc32(body))
