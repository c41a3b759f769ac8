"""A driver that sends frames to a board and gets each answer once, over a link that may fail.

Bytes may be lost, damaged or repeated, and the board may be reset or vanish. An answer can still be
trusted: the board answers a message (session, sequence number) only if the checksum over these
numbers and the frame is right, and the answer carries both numbers under a checksum of its own. No
number is used again while an answer to it may be on the way, so no answer fits another frame.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import CheckFailed
from xnorflow_boards.host.protocol import (
    Decoder,
    Identity,
    Message,
    encode,
    hello,
    identity,
)
from xnorflow_boards.host.transport import LinkDown, Transport
from xnorflow_hw.link.link_format import NOT_LOADED, VERSION, WRONGLY_LOADED, Reply, Request

Progress = Callable[[int, int], object]
"""Is called with the numbers of frames that are answered and of all frames."""

LOADING_SECONDS = 2.0
"""Seconds in which a board has to load its weights from the flash; at most 0.2 are needed at 12
MHz."""
PAUSE = 0.02
"""Seconds between two questions whether the weights are loaded."""


@dataclass
class Statistics:
    """What happened on the link so far.

    Parameters
    ----------
    sent : int
        Number of DATA messages that were sent.
    lost : int
        Number of DATA messages without an answer, or refused; their frames were sent again or given
        up.
    sessions : int
        Number of HELLO messages that were answered. All but the first follow a time of silence or a
        reset of the board.
    stray : int
        Number of answers that nothing waited for, because the link repeated them.
    broken : int
        Number of damaged or incomplete messages that were received.
    """

    sent: int = 0
    lost: int = 0
    sessions: int = 0
    stray: int = 0
    broken: int = 0


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a board to N frames.

    Parameters
    ----------
    results : uint8 array [N, result_bytes]
        Result of each frame as the accelerator sent it; zeros for a frame without an answer.
    answered : bool array [N]
        Whether each frame has an answer.
    seconds : float
        Time from the first byte sent to the last answer.
    """

    results: NDArray[np.uint8]
    answered: NDArray[np.bool_]
    seconds: float

    def check(self) -> None:
        """Check that every frame has an answer; CheckFailed names those that have none."""
        missing = np.flatnonzero(~self.answered)
        if missing.size:
            few = ", ".join(map(str, missing[:5])) + (", ..." if missing.size > 5 else "")
            raise CheckFailed(
                f"{missing.size} of {len(self.answered)} frames were not answered (frames {few});"
                " is the board still there? Check cable, power and baud rate, then run again."
            )


class Driver:
    """The host's side of a board at the other end of a transport.

    Parameters
    ----------
    transport : Transport
        Port that carries the bytes.
    timeout : float
        Seconds without an answer after which a new session begins. This has to be longer than a
        frame and its answer take on the line and in the accelerator.
    attempts : int
        Number of times that a frame is sent before it counts as failed.
    patience : int
        Number of unanswered HELLO messages in a row, or of sessions in a row without an answered
        frame, after which all remaining frames count as failed.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout: float = 1.0,
        attempts: int = 32,
        patience: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport, self.timeout = transport, timeout
        self.attempts, self.patience, self.clock = attempts, patience, clock
        self.statistics = Statistics()
        self._decoder = Decoder()
        self._session = 0

    def identify(self) -> Identity:
        """Begin a session and return what the board says of itself.

        Raises
        ------
        CheckFailed
            If nothing answers, if the board speaks another version of the protocol, or if it has
            no weights.
        """
        found = self._hello()
        if found is not None and found.version == VERSION:
            found = self._loaded(found)
        if found is None:
            raise CheckFailed(
                "no xnorflow board answers on the port: check that the bitstream is loaded, that"
                " the port is the board's, and that the baud rate is that of the build"
            )
        if found.version != VERSION:
            raise CheckFailed(
                f"the board speaks version {found.version} of the link protocol, this xnorflow"
                f" version {VERSION}: build its bitstream again with this xnorflow"
            )
        return found

    def _loaded(self, found: Identity | None) -> Identity | None:
        """Wait until the board has loaded its weights; None if it no longer answers."""
        end = self.clock() + LOADING_SECONDS
        while found is not None and found.window in (NOT_LOADED, WRONGLY_LOADED):
            if self.clock() >= end:
                raise CheckFailed(
                    "the board cannot load its weights: those in its flash are damaged, or are not"
                    " this bitstream's. Write both with: xnorflow program DIR --flash"
                )
            self._read(PAUSE)
            found = self._hello()
        return found

    def expect(self, digest: str, frame_bytes: int, result_bytes: int) -> Identity:
        """Identify the board and check that it runs a certain design.

        Parameters
        ----------
        digest : str
            Digest of the design in hexadecimal.
        frame_bytes, result_bytes : int
            Bytes of one frame and of one result of the design.

        Raises
        ------
        CheckFailed
            As in `identify`, or if the board runs another design.
        """
        found = self.identify()
        if found.digest != digest[:32]:
            raise CheckFailed(
                f"the board runs another design: its digest is {found.digest}, the design's is"
                f" {digest[:32]}; load the bitstream that was built from this design"
            )
        if (found.frame_bytes, found.result_bytes) != (frame_bytes, result_bytes):
            raise CheckFailed(
                f"the board takes {found.frame_bytes} bytes and gives {found.result_bytes}, the"
                f" design takes {frame_bytes} and gives {result_bytes}; build the bitstream again"
            )
        return found

    def run(
        self, frames: NDArray[np.uint8], known: Identity, progress: Progress | None = None
    ) -> Answers:
        """Send frames and collect their results.

        A frame waits (`todo`), is on its way (`flight`, under its sequence number), or is done. As
        many frames are on their way as the board's window allows; after a loss the number is
        halved, and each answer raises it a little. The board answers in the order of sending, so
        an answer shows that all earlier messages without one are lost: their frames wait again. If
        nothing is answered within the timeout, or the board was reset, or the port is gone, all
        frames on their way wait again and a new session begins. The run ends when no frame is left,
        or after `patience` sessions in a row without an answer.

        Parameters
        ----------
        frames : uint8 array [N, frame_bytes]
            Frames, one DATA message each.
        known : Identity
            Board as `identify` or `expect` found it; later sessions must find the same.
        progress : callable, optional
            Is called with the numbers of frames that are answered and of all frames.

        Returns
        -------
        Answers
            Results, with a mark for each frame whether it was answered.

        Raises
        ------
        CheckFailed
            If another design answers in a later session.
        """
        count, start = len(frames), self.clock()
        results = np.zeros((count, known.result_bytes), np.uint8)
        answered = np.zeros(count, np.bool_)
        tries = [0] * count
        todo = deque(range(count))
        flight: dict[int, int] = {}  # Frames by sequence number, in the order of sending.
        room = float(known.window)
        fruitless, done, number, calm = 0, 0, 0, 0
        deadline = start + self.timeout
        while todo or flight:
            moved = down = False
            try:
                batch = []
                while todo and len(flight) < int(room):
                    frame = todo.popleft()
                    if tries[frame] < self.attempts:
                        tries[frame] += 1
                        flight[number] = frame
                        batch.append(
                            encode(Request.DATA, self._session, number, frames[frame].tobytes())
                        )
                        number = number + 1 & 0xFFFF
                if batch:
                    self.statistics.sent += len(batch)
                    self.transport.write(b"".join(batch))
                for message in self._read(max(0.0, deadline - self.clock()) if flight else 0.0):
                    if message.session != self._session:
                        # No answer of an earlier session can be left, so the board was reset.
                        down |= message.type == Reply.REFUSED
                        continue
                    lost = _earlier(flight, message)
                    for earlier in lost:
                        todo.appendleft(flight.pop(earlier))
                    self.statistics.lost += len(lost)
                    calm -= len(lost)
                    if lost and calm < 0:
                        # A queue may have overflowed, so fewer frames go at once. Losses among
                        # those that are on their way already say nothing about the new number.
                        room, calm = max(1.0, room / 2), len(flight)
                    if message.type != Reply.RESULT:
                        continue
                    if message.sequence in flight and len(message.payload) == results.shape[1]:
                        frame = flight.pop(message.sequence)
                        results[frame] = np.frombuffer(message.payload, np.uint8)
                        answered[frame] = moved = True
                        done += 1
                        calm -= 1
                        room = min(float(known.window), room + 1 / room)
                    else:
                        self.statistics.stray += 1
            except LinkDown:
                down = True
            if moved:
                deadline, fruitless = self.clock() + self.timeout, 0
                if progress:
                    progress(done, count)
            if down or (flight and self.clock() >= deadline):
                fruitless += 1
                self.statistics.lost += len(flight)
                todo.extendleft(reversed(flight.values()))
                flight.clear()
                found = self._loaded(self._hello()) if fruitless <= self.patience else None
                if found is None:
                    break
                if found != known:
                    raise CheckFailed(
                        f"the board changed during the run: after {done} of {count} frames the"
                        f" design {found.digest} answers; load the bitstream and run again"
                    )
                room, calm = max(1.0, room / 2), 0
                deadline = self.clock() + self.timeout
        return Answers(results, answered, self.clock() - start)

    def _read(self, timeout: float) -> list[Message]:
        messages = self._decoder.feed(self.transport.read(timeout))
        self.statistics.broken = self._decoder.broken
        return messages

    def _hello(self) -> Identity | None:
        """Begin a session and return the board's identity; None if nothing answers."""
        down = False
        for _ in range(self.patience):
            # No two HELLO messages are alike, so behind its answer nothing older can follow.
            self._session = (self._session + secrets.randbelow(0xFFFE)) % 0xFFFF + 1
            nonce = secrets.randbelow(0x10000)
            try:
                if down:
                    self.transport.reopen()
                    down = False
                self.transport.write(hello(self._session, nonce))
                end = self.clock() + self.timeout
                while self.clock() < end:
                    for message in self._read(max(0.0, end - self.clock())):
                        found = identity(message)
                        mine = (message.session, message.sequence) == (self._session, nonce)
                        if found is not None and mine:
                            self.statistics.sessions += 1
                            return found
            except LinkDown:
                down = True
                time.sleep(self.timeout)
        return None


def _earlier(flight: dict[int, int], message: Message) -> list[int]:
    """Return the sequence numbers that a message shows to be lost, the latest first.

    Answers come in the order of sending, so whatever was sent before an answered message will not
    be answered any more. The number of a refused message may itself be damaged: it counts only if
    it is the oldest number on its way, whose turn it is.
    """
    if message.type == Reply.RESULT and message.sequence in flight:
        numbers = []
        for number in flight:
            if number == message.sequence:
                break
            numbers.append(number)
        return numbers[::-1]
    if message.type == Reply.REFUSED and next(iter(flight), None) == message.sequence:
        return [message.sequence]
    return []
