"""Streams frames to a board and gets every answer once, over a link that may fail in any way.

Why it can rely on an answer: a board answers a transmission (session, sequence number) only if
the checksum over these and the frame was right, and the answer carries them under a checksum of
its own. No number is used again while an answer to it may be on the way, so an answer never fits
another frame.
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
    VERSION,
    Decoder,
    Identity,
    Message,
    Reply,
    Request,
    encode,
    hello,
    identity,
)
from xnorflow_boards.host.transport import LinkDown, Transport
from xnorflow_hw.link.link_format import NOT_LOADED, WRONGLY_LOADED

Progress = Callable[[int, int], object]

LOADING_SECONDS = 2.0
"""For how long a board may load weights from its flash; the most there are take 0.2 s at 12 MHz."""
PAUSE = 0.02
"""Seconds between questions whether it is done."""


@dataclass
class Statistics:
    """What happened on the way.

    Parameters
    ----------
    sent : int
        DATA messages.
    lost : int
        Of these, those that were not answered or refused, and so were sent again or given up.
    sessions : int
        HELLOs that were answered; all but the first after a time of silence or a board's reset.
    stray : int
        Answers to nothing that was waited for: repeated on the way.
    broken : int
        Pieces of messages.
    """

    sent: int = 0
    lost: int = 0
    sessions: int = 0
    stray: int = 0
    broken: int = 0


@dataclass(frozen=True, eq=False)
class Answers:
    """Results of N frames.

    Parameters
    ----------
    results : uint8 array [N, result_bytes]
        What the accelerator sent; zeros for a frame without an answer.
    answered : bool array [N]
        Which frames have one.
    seconds : float
        From the first byte sent to the last answer.
    """

    results: NDArray[np.uint8]
    answered: NDArray[np.bool_]
    seconds: float

    def check(self) -> None:
        """Raise CheckFailed, with the numbers of the frames, unless all are answered."""
        missing = np.flatnonzero(~self.answered)
        if missing.size:
            few = ", ".join(map(str, missing[:5])) + (", ..." if missing.size > 5 else "")
            raise CheckFailed(
                f"{missing.size} of {len(self.answered)} frames were not answered (frames {few});"
                " is the board still there? Check cable, power and baud rate, then run again."
            )


class Driver:
    """A board at the other end of a transport.

    Parameters
    ----------
    transport : Transport
        Carries the bytes.
    timeout : float
        Seconds without an answer after which a new session begins. It has to be longer than a
        frame and its answer need, on the line and in the accelerator.
    attempts : int
        Times that one frame is sent before it is reported as failed.
    patience : int
        Unanswered HELLOs in a row, or sessions in a row without a single answered frame, after
        which all frames left are reported as failed.
    clock : callable
        Gives the time in seconds.
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
        """Begin a session and learn what the board is.

        Raises
        ------
        CheckFailed
            If nothing answers, with another version of the protocol, or if it has no weights.
        """
        found = self._hello()
        if found is not None and found.version == VERSION:
            found = self._loaded(found)
        if found is None:
            raise CheckFailed(
                "no xnorflow board answers on the port: check that the bitstream is loaded, the"
                " port is the board's and the baud rate that of the build"
            )
        if found.version != VERSION:
            raise CheckFailed(
                f"the board speaks version {found.version} of the link protocol, this xnorflow"
                f" version {VERSION}: build its bitstream again with this xnorflow"
            )
        return found

    def _loaded(self, found: Identity | None) -> Identity | None:
        """Wait until the board has loaded its weights; None if it answers no more."""
        end = self.clock() + LOADING_SECONDS
        while found is not None and found.window in (NOT_LOADED, WRONGLY_LOADED):
            if self.clock() >= end:
                raise CheckFailed(
                    "the board cannot load its weights: those in its flash are not this"
                    " bitstream's, or damaged. Write both with: xnorflow program DIR --flash"
                )
            self._read(PAUSE)
            found = self._hello()
        return found

    def expect(self, digest: str, frame_bytes: int, result_bytes: int) -> Identity:
        """Identify the board and refuse it unless it runs the design with this digest.

        Raises
        ------
        CheckFailed
            As `identify` does, or if the design is another.
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

        Parameters
        ----------
        frames : uint8 array [N, frame_bytes]
            Payloads of DATA.
        known : Identity
            What `identify` or `expect` gave; sessions begun on the way must find the same.
        progress : callable, optional
            Is told of frames answered and in all.

        Returns
        -------
        Answers
            Every frame is answered or marked as not answered.

        Raises
        ------
        CheckFailed
            If another design answers on the way.
        """
        count, start = len(frames), self.clock()
        results = np.zeros((count, known.result_bytes), np.uint8)
        answered = np.zeros(count, np.bool_)
        tries = [0] * count
        todo = deque(range(count))
        flight: dict[int, int] = {}  # Frame by sequence number, in the order of sending.
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
                        # What an earlier session left behind is over; so the board was reset.
                        down |= message.type == Reply.REFUSED
                        continue
                    lost = _earlier(flight, message)
                    for earlier in lost:
                        todo.appendleft(flight.pop(earlier))
                    self.statistics.lost += len(lost)
                    calm -= len(lost)
                    if lost and calm < 0:
                        # Perhaps a queue ran over: send less at once. What is on its way already
                        # tells nothing of that.
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
                        f"the board changed on the way: after {done} of {count} frames the design"
                        f" {found.digest} answers"
                    )
                room, calm = max(1.0, room / 2), 0
                deadline = self.clock() + self.timeout
        return Answers(results, answered, self.clock() - start)

    def _read(self, timeout: float) -> list[Message]:
        messages = self._decoder.feed(self.transport.read(timeout))
        self.statistics.broken = self._decoder.broken
        return messages

    def _hello(self) -> Identity | None:
        """Begin a session; None if nothing answers."""
        down = False
        for _ in range(self.patience):
            # Every HELLO is unlike all others: once its answer is here, nothing older can follow.
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
    """Give the numbers that this message shows to be lost, latest first.

    Answers come in the order of what was sent, so whatever was sent before an answered message
    will not be answered any more. A refused message's own number may be damaged: it counts only
    if it is that of the oldest one, which is the one whose turn it is.
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
