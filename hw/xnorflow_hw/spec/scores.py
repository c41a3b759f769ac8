"""Spec of the unit that computes float32 scores in integers, one beat after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Multiplier
from xnorflow_hw.spec.latency import score_step_latency
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec

SIGNIFICANT = 24
"""Bits to which a step rounds: those of a float32 value."""


@dataclass(frozen=True, eq=False)
class ScoreStepSpec:
    """Spec of a step: ``rounded(value * multiply + add) >> shift``, rounded to 24 bits.

    Parameters
    ----------
    multiply, add : object array [beats, lanes] of int
        Constants for each class; those of unused lanes keep a value of 0 at 0.
    shift : int
        Number of low bits that are dropped.
    value_bits, total_bits, result_bits : int
        Widths in two's complement of what comes in, of the sum, and of the result.
    multiplier : {"dsp", "logic"}
        What the product is built of.
    multiply_rom, add_rom : RomSpec
        What the memories of the constants are built of.
    """

    multiply: NDArray[Any]
    add: NDArray[Any]
    shift: int
    value_bits: int
    total_bits: int
    result_bits: int
    multiplier: Multiplier = "logic"
    multiply_rom: RomSpec = IN_BLOCKS
    add_rom: RomSpec = IN_BLOCKS

    @property
    def places(self) -> int | None:
        """Number of places by which a product is a shift, None if there has to be a product."""
        first = int(self.multiply.flat[0])
        if first < 1 or first & (first - 1) or (self.multiply != first).any():
            return None
        return first.bit_length() - 1

    @property
    def adds(self) -> bool:
        """Whether anything is added."""
        return bool(self.add.any())

    @property
    def rounds(self) -> bool:
        """Whether some sum may have more bits than a rounded one."""
        return self.total_bits - 1 > SIGNIFICANT

    @property
    def factor_bits(self) -> int:
        """Width of a factor's magnitude in bits."""
        return max(1, int(abs(self.multiply).max()).bit_length())

    @property
    def add_bits(self) -> int:
        """Width of what is added, in two's complement."""
        return max(int(self.add.max()).bit_length(), int(~self.add.min()).bit_length()) + 1

    @property
    def words(self) -> dict[str, tuple[int, int]]:
        """Words of each memory of constants and bits per word, by the field of its storage."""
        beats, lanes = self.multiply.shape
        found = {}
        if self.places is None and (self.multiply != self.multiply.flat[0]).any():
            found["multiply_rom"] = (beats, lanes * (self.factor_bits + 1))
        if (self.add != self.add.flat[0]).any():
            found["add_rom"] = (beats, lanes * self.add_bits)
        return found

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return score_step_latency(
            product=self.places is None,
            bits=min(self.value_bits, self.factor_bits),
            multiplier=self.multiplier,
            adds=self.adds,
            rounds=self.rounds,
        )


@dataclass(frozen=True, eq=False)
class ScoreSpec:
    """Spec of the unit that computes scores behind the last gearbox.

    Parameters
    ----------
    steps : tuple of ScoreStepSpec
        What is done to every value, in order.
    beats, lanes : int
        Beats per frame and values per beat.
    in_bits : int
        Width of a value that comes in, unsigned.
    """

    steps: tuple[ScoreStepSpec, ...]
    beats: int
    lanes: int
    in_bits: int

    @property
    def out_bits(self) -> int:
        """Width of a score in two's complement."""
        return self.steps[-1].result_bits

    @property
    def latency(self) -> int:
        """Clock cycles from a value to its score; the first are in a register."""
        return 1 + sum(step.latency for step in self.steps)
