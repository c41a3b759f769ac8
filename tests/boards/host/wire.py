"""The model of the board behind a damaged line, in virtual time: no device, and no waiting."""

from __future__ import annotations

import random
import zlib

import numpy as np

from xnorflow_boards.host.transport import LinkDown
from xnorflow_boards.simulated.link_twin import ModelBoard
from xnorflow_hw.link.link_format import VERSION
from xnorflow_hw.link.link_spec import LinkSpec
from xnorflow_sim.board.faults import FaultRates, NoisyLine

FRAME, RESULT = 12, 6
DIGEST = bytes(range(100, 116))
CLEAN = FaultRates()
SPEC = LinkSpec(1, FRAME, 1, RESULT, digest=DIGEST, window=8)


def result_of(frame: bytes) -> bytes:
    """Return bytes that depend on every byte of a frame and on its place."""
    return (zlib.crc32(frame) * 0x10001).to_bytes(RESULT + 2, "little")[:RESULT]


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, FRAME)).astype(np.uint8)


def results(x: np.ndarray) -> np.ndarray:
    return np.array([list(result_of(f.tobytes())) for f in x], np.uint8).reshape(len(x), RESULT)


class Wire:
    """A transport with a board at its end.

    `resets` and `pulls` are numbers of written bytes after which the board is reset or the cable
    pulled. A pulled cable loses everything for `silence` seconds; with `gone`, its device is gone
    for that long.
    """

    def __init__(
        self,
        rates=CLEAN,
        seed=0,
        *,
        resets=(),
        pulls=(),
        silence=3.0,
        gone=False,
        piece=40,
        spec=SPEC,
    ):
        self.board = ModelBoard(spec.identity, FRAME, result_of, spec.version)
        self.to, self.back = NoisyLine(rates, seed), NoisyLine(rates, seed + 1)
        self.resets, self.pulls = list(resets), list(pulls)
        self.silence, self.gone, self.piece = silence, gone, piece
        self.now, self.silent_until, self.written = 0.0, 0.0, 0
        self.arrived = b""
        self.random = random.Random(seed)
        self.open = True
        self.reopened = 0

    def clock(self):
        return self.now

    @property
    def silent(self):
        return self.now < self.silent_until

    def write(self, data):
        self._check()
        self.written += len(data)
        self.now += 1e-5 * len(data)
        keep = data
        if self.pulls and self.written >= self.pulls[0]:
            self.pulls.pop(0)
            # The line is cut at any byte, in either direction.
            keep = data[: self.random.randrange(len(data) + 1)]
            self.arrived = self.arrived[: self.random.randrange(len(self.arrived) + 1)]
            self._answer(keep)
            self.silent_until = self.now + self.silence
            self.open = not self.gone
            return
        if self.resets and self.written >= self.resets[0]:
            self.resets.pop(0)
            half = self.random.randrange(len(data) + 1)
            self._answer(data[:half])
            self.board.reset()
            keep = data[half:]
        self._answer(keep)

    def _answer(self, data):
        if not self.silent:
            self.arrived += self.back.carry(self.board.feed(self.to.carry(data)))

    def read(self, timeout):
        self._check()
        if not self.arrived:
            self.now += timeout
            return b""
        self.now += 1e-4
        size = self.random.randint(1, self.piece)
        data, self.arrived = self.arrived[:size], self.arrived[size:]
        return data

    def reopen(self):
        self.reopened += 1
        if self.silent:
            raise LinkDown("no such device")
        self.open = True

    def _check(self):
        if not self.open:
            raise LinkDown("the device is gone")


def old_board() -> LinkSpec:
    return LinkSpec(1, FRAME, 1, RESULT, digest=DIGEST, window=8, version=VERSION - 1)
