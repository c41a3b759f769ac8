"""Describes how a stream is regrouped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GearboxSpec:
    """Regroups a stream's elements; see ``docs/hardware.md``."""

    bits: int
    group_in: int
    lanes_in: int
    group_out: int
    lanes_out: int

    @property
    def needed(self) -> bool:
        """Whether anything has to be regrouped."""
        if self.lanes_in != self.lanes_out:
            return True
        shorter = min(self.group_in, self.group_out)
        return self.group_in != self.group_out and shorter % self.lanes_in != 0

    @property
    def kind(self) -> str:
        """How it is built: "wires", "up", "down" or "barrel"."""
        if not self.needed:
            return "wires"
        # Groups without unused lanes may as well be longer ones.
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
