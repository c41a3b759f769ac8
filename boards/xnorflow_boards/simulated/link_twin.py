"""The board's side of the link in Python: an executable description of what the hardware does.

`ModelBoard` answers any bytes as ``xnorflow_hw.link.link`` answers them, byte for byte; the tests
compare the two.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from xnorflow_boards.host.protocol import _RESIDUE, encode
from xnorflow_hw.link.link_format import (
    ESCAPE,
    ESCAPE_BIT,
    FLAG,
    HEADER,
    HEADER_BYTES,
    NO_SESSION,
    NOT_LOADED,
    WINDOW_BYTE,
    WRONGLY_LOADED,
    Reply,
    Request,
)


class ModelBoard:
    """A board that takes no time to compute.

    Parameters
    ----------
    identity : bytes
        Payload of IDENTITY.
    frame : int
        Bytes of a frame.
    accelerator : callable
        Returns the result of a frame. It is called for damaged frames, too, because the hardware
        computes them before the checksum has come; bytes that are missing are zero.
    version : int
        Version of the protocol.

    Attributes
    ----------
    ready, failed : bool
        Whether the weights are loaded, and whether those in the flash were wrong.
    """

    def __init__(
        self, identity: bytes, frame: int, accelerator: Callable[[bytes], bytes], version: int
    ) -> None:
        self.identity, self.frame, self.version = identity, frame, version
        self.accelerator = accelerator
        self.ready, self.failed = True, False
        self.reset()

    def reset(self) -> None:
        """Forget everything, as the hardware does at power-up."""
        self.session = NO_SESSION
        self._body = bytearray()
        self._escaped = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the host and return those that the board sends."""
        out = b""
        for byte in data:
            if byte == FLAG:
                out += self._end(bytes(self._body), self._escaped)
                self._body.clear()
            elif byte != ESCAPE:
                self._body.append(byte ^ (self._escaped << ESCAPE_BIT))
            self._escaped = byte == ESCAPE
        return out

    def _identity(self) -> bytes:
        if self.ready:
            return self.identity
        window = WRONGLY_LOADED if self.failed else NOT_LOADED
        before, after = self.identity[:WINDOW_BYTE], self.identity[WINDOW_BYTE + 2 :]
        return before + window.to_bytes(2, "little") + after

    def _end(self, body: bytes, escaped: bool) -> bytes:
        """Return the answer to the bytes before a flag; none if they are too few."""
        if len(body) < HEADER_BYTES:
            return b""
        whole = zlib.crc32(body) == _RESIDUE and not escaped
        first, session, sequence = HEADER.unpack_from(body)
        length = int.from_bytes(body[HEADER.size : HEADER_BYTES], "little")
        if (first, session, length) == (
            self.version << 4 | Request.DATA,
            self.session,
            self.frame,
        ) and self.ready:
            payload = body[HEADER_BYTES : HEADER_BYTES + self.frame]
            result = self.accelerator(payload.ljust(self.frame, b"\0"))
            if whole and len(body) >= HEADER_BYTES + self.frame:
                return self._answer(Reply.RESULT, sequence, result)
        elif whole and first & 15 == Request.HELLO:
            self.session = session
            return self._answer(Reply.IDENTITY, sequence, self._identity())
        return self._answer(Reply.REFUSED, sequence)

    def _answer(self, kind: Reply, sequence: int, payload: bytes = b"") -> bytes:
        return encode(kind, self.session, sequence, payload, version=self.version)
