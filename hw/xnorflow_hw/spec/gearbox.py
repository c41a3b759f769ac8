"""Spec of a gearbox, which changes the number of lanes of a stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GearboxSpec:
    """Spec of a gearbox: how the elements of a stream are grouped before and behind it.

    One of the two groups is a multiple of the other; they differ only behind a Flatten.

    Parameters
    ----------
    bits : int
        Width of an element in bits.
    group_in, group_out : int
        Elements per group of the input and of the output stream.
    lanes_in, lanes_out : int
        Elements per beat of the input and of the output stream.
    """

    bits: int
    group_in: int
    lanes_in: int
    group_out: int
    lanes_out: int

    @property
    def needed(self) -> bool:
        """Whether the two streams differ at all."""
        if self.lanes_in != self.lanes_out:
            return True
        shorter = min(self.group_in, self.group_out)
        return self.group_in != self.group_out and shorter % self.lanes_in != 0

    @property
    def kind(self) -> str:
        """How the gearbox is built: as "wires", "up", "down" or "barrel"."""
        if not self.needed:
            return "wires"
        # Groups that leave no lane unused can be seen as parts of one longer group.
        longest = max(self.group_in, self.group_out)
        aligned = all(
            group == longest or group % lanes == 0
            for group, lanes in ((self.group_in, self.lanes_in), (self.group_out, self.lanes_out))
        )
        if aligned and self.lanes_out % self.lanes_in == 0:
            return "up"
        if aligned and self.lanes_in % self.lanes_out == 0:
            return "down"
        return "barrel"
