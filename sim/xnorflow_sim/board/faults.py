"""A line that damages what it carries: bytes are dropped, flipped, repeated or inserted."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

LONGEST_DROP, LONGEST_REPEAT, LONGEST_INSERT = 40, 240, 40
"""Most bytes that one fault drops, repeats or inserts."""


@dataclass(frozen=True)
class FaultRates:
    """How often a line damages a byte.

    Parameters
    ----------
    drop, flip, repeat, insert : float
        Probability of each kind of fault at a byte; their sum is at most 1.
    """

    drop: float = 0.0
    flip: float = 0.0
    repeat: float = 0.0
    insert: float = 0.0

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0 or self.total > 1:
            raise ValueError(f"{self}: rates have to be 0 or more, and their sum at most 1")

    @property
    def total(self) -> float:
        """Probability of any fault at a byte."""
        return self.drop + self.flip + self.repeat + self.insert


class NoisyLine:
    """One direction of a line with faults.

    A fault drops up to 40 bytes, flips at least one bit of one byte, repeats up to 240 of the last
    bytes, or inserts up to 40 random bytes.

    Parameters
    ----------
    rates : FaultRates
        How often each kind of fault happens.
    seed : int
        Seed of the faults. They hit the same bytes however the stream is cut into pieces.

    Attributes
    ----------
    counts : dict of str to int
        Number of faults of each kind so far.
    """

    def __init__(self, rates: FaultRates, seed: int) -> None:
        self.rates = rates
        self.counts = dict.fromkeys(vars(rates), 0)
        self._random = random.Random(seed)
        self._dropping = 0
        self._history = b""
        self._gap = self._draw()

    def _draw(self) -> int:
        """Return the number of bytes before the next fault; -1 if there is none."""
        total = self.rates.total
        if total == 0:
            return -1
        if total == 1:
            return 0
        return int(math.log(1 - self._random.random()) / math.log(1 - total))

    def carry(self, data: bytes) -> bytes:
        """Take bytes at one end and return those that come out at the other."""
        out = bytearray()
        while data:
            if self._dropping:
                self._dropping, data = (max(0, self._dropping - len(data)), data[self._dropping :])
                continue
            if self._gap < 0 or self._gap >= len(data):
                self._gap -= len(data) if self._gap > 0 else 0
                out += data
                self._remember(data)
                break
            out += data[: self._gap]
            self._remember(data[: self._gap])
            data = self._fault(data[self._gap :], out)
            self._gap = self._draw()
        return bytes(out)

    def _remember(self, data: bytes) -> None:
        self._history = (self._history + data[-LONGEST_REPEAT:])[-LONGEST_REPEAT:]

    def _fault(self, data: bytes, out: bytearray) -> bytes:
        """Damage the first of some bytes and return the bytes that are left."""
        rng, rates = self._random, vars(self.rates)
        kind = rng.choices(list(rates), list(rates.values()))[0]
        self.counts[kind] += 1
        if kind == "drop":
            self._dropping = rng.randint(1, LONGEST_DROP)
            return data
        if kind == "flip":
            out.append(data[0] ^ rng.randint(1, 255))
        elif kind == "insert":
            # Two in three are bytes that have a meaning in the framing.
            out += bytes(
                rng.choice((rng.randrange(256), 0x7E, 0x7D))
                for _ in range(rng.randint(1, LONGEST_INSERT))
            )
            out.append(data[0])
        elif kind == "repeat":
            out += self._history[-rng.randint(1, LONGEST_REPEAT) :]
            out.append(data[0])
        else:
            raise ValueError(f"no fault of the kind {kind!r}")
        self._remember(data[:1])
        return data[1:]
