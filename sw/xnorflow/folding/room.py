"""Find out quickly which boards have room for a network, without a search or a schedule.

A few narrow foldings are described without the search for the least depths, so they are at most
larger than what a compilation gives: a board that has room for one of them holds the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod

import numpy as np

from xnorflow import ir
from xnorflow.devices.tables import Fpga, fpgas
from xnorflow.errors import BadInput
from xnorflow.folding import narrowest, stream_lanes
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources.budget import board_budget
from xnorflow.resources.summarise import design_summary
from xnorflow.resources.usage import Resources, design_resources

FASTER = (512, 64, 8, 1)
"""How many times faster than the slowest possible the foldings are that are tried, in order."""


class Room:
    """Boards that have room for a network.

    Parameters
    ----------
    net : IntegerNetwork
        Network to build.
    cycles : int, optional
        Most cycles per frame; by default any speed will do.
    """

    def __init__(self, net: ir.IntegerNetwork, cycles: int | None = None) -> None:
        self.net, self.parts = net, reductions(net)
        self.frame = prod(net.shape)
        self._cycles = cycles
        self._lanes = stream_lanes.input_groups(net)

    @property
    def weight_bits(self) -> int:
        """Bits of all weights, of which each has to be stored."""
        return sum(
            layer.weights.size * layer.alphabet.bits
            for layer in self.net.layers
            if isinstance(layer, ir.Conv)
        )

    def lacks_bits(self, device: Fpga) -> str:
        """Return why the weights alone exceed all memory of a device; empty if they do not."""
        bits = capacity_bits(device)
        if self.weight_bits <= bits:
            return ""
        return (
            f"its weights have {self.weight_bits:,} bits, and all block RAM"
            f"{', SPRAM' if device.spram_number else ''} and LUTs of the FPGA hold {bits:,}"
        )

    def takes(self, device: Fpga) -> Iterator[Resources]:
        """Yield what each of a few narrow foldings takes of a device, estimated."""
        for folds in self._foldings:
            yield self._takes(folds, device)

    def holds(self, device: Fpga) -> bool:
        """Return whether a device has room for one of the foldings, with the usual headroom."""
        if self.lacks_bits(device):
            return False
        budget = board_budget(device, self.frame)
        return any(not budget.exceeded(takes) for takes in self.takes(device))

    def front(self, device: Fpga, points: int) -> list[tuple[int, Resources]]:
        """Return foldings with the fewest lanes for a speed, from fast to slow.

        Those with more LUTs than a faster one are left out.

        Parameters
        ----------
        device : Fpga
            FPGA to describe them for, whether or not it has room for them.
        points : int
            Number of speeds that are tried, evenly spaced on a logarithmic scale.

        Returns
        -------
        list of (int, Resources)
            Cycles per frame of the busiest part, and what the folding takes, estimated.
        """
        slowest = max(part.cycles(Fold(1, 1)) for part in self.parts)
        quickest = max(narrowest.fastest(part) for part in self.parts)
        found: dict[tuple[Fold, ...], int] = {}
        for target in np.geomspace(slowest, quickest, points).astype(int):
            folds = narrowest.for_cycles(self.parts, max(int(target), quickest))
            pairs = zip(self.parts, folds, strict=True)
            found[folds] = max(part.cycles(fold) for part, fold in pairs)
        front: list[tuple[int, Resources]] = []
        for folds, cycles in sorted(found.items(), key=lambda item: item[1]):
            takes = self._takes(folds, device)
            if not front or takes.luts < front[-1][1].luts:
                front.append((cycles, takes))
        return front

    def boards(self, but: Fpga) -> list[str]:
        """Return the names of the shipped boards with room for the network.

        Those with open tools come first, then the others, each from the smallest to the largest.

        Parameters
        ----------
        but : Fpga
            Board to leave out.
        """
        found: list[Fpga] = []
        others = [d for d in fpgas().values() if d.part != but.part]
        for device in sorted(others, key=capacity_bits):
            if any(_contains(device, smaller) for smaller in found) or self.holds(device):
                found.append(device)
        return [
            device.board for device in sorted(found, key=lambda d: (not _open(d), capacity_bits(d)))
        ]

    @cached_property
    def _foldings(self) -> list[tuple[Fold, ...]]:
        slowest = max(part.cycles(Fold(1, 1)) for part in self.parts)
        found: list[tuple[Fold, ...]] = []
        for share in FASTER:
            target = min(self._cycles or slowest, slowest // share)
            try:
                folds = narrowest.for_cycles(self.parts, max(1, target))
            except BadInput:
                continue
            if folds not in found:
                found.append(folds)
        return found

    def _takes(self, folds: tuple[Fold, ...], device: Fpga) -> Resources:
        frame, group = self._lanes
        spec = accelerator(
            self.net,
            folds,
            in_lanes=stream_lanes.input_lanes(group, frame, folds[0], self._cycles or 1 << 60),
            device=device,
            least=False,
        )
        return design_resources(
            design_summary(self.net.name, self.parts, spec, 1, 1), device.family
        )


def capacity_bits(device: Fpga) -> int:
    """Return the bits that a device's block RAM, SPRAM and LUTs can hold together."""
    family = device.family
    block = max(depth * width for depth, width in family.ram_shapes)
    large = prod(family.spram_shape or (0, 0))
    return int(
        device.ram_blocks.use() * block
        + device.spram_number * large
        + device.luts.use() * 2**family.lut_inputs
    )


def _open(device: Fpga) -> bool:
    """Return whether open tools make bitstreams for a device: those of all makers but AMD."""
    return device.family.vendor != "AMD"


def _contains(device: Fpga, other: Fpga) -> bool:
    """Return whether a device has at least as much of everything as another of its family."""
    return device.family is other.family and all(
        getattr(device, name).use() >= getattr(other, name).use()
        for name in ("luts", "ffs", "ram_blocks")
    )
