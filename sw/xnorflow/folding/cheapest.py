"""Choose the cheapest folding of a whole network for a target, at given prices of resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.folding import stream_lanes
from xnorflow.folding.costs import EngineOptions, LinkOptions, Prices
from xnorflow.ir import Ints
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.reductions import Fold
from xnorflow.resources.engine import EngineSummary
from xnorflow.resources.usage import Resources


@dataclass(frozen=True)
class FoldingChoice:
    """Folding of a network that was chosen for a target.

    Parameters
    ----------
    cycles : int
        Target that the folding meets, in cycles per frame.
    folds : tuple of Fold
        Folding of each reduction.
    takes : Resources
        Estimated resources, with approximate depths of buffers and queues.
    """

    cycles: int
    folds: tuple[Fold, ...]
    takes: Resources


class Chain:
    """Foldings of all engines of a network on an FPGA family.

    Parameters
    ----------
    net : IntegerNetwork
        Network to fold.
    parts : sequence of Reduction or Joint
        Parts of the network.
    examples : sequence of EngineSummary
        Summary of each reduction at some folding.
    family : Family
        FPGA family whose resources are counted.
    pixels : int
        Most output pixels that an engine may compute at once.
    sprams, dsps : int
        SPRAMs and DSP blocks that the device has.
    """

    def __init__(
        self,
        net: ir.IntegerNetwork,
        parts: Sequence[Part],
        examples: Sequence[EngineSummary],
        family: Family,
        pixels: int,
        sprams: int = 0,
        dsps: int = 0,
    ) -> None:
        self.engines = [
            EngineOptions(p, e, family, pixels, sprams, dsps)
            for p, e in zip(parts, examples, strict=True)
        ]
        self.frame, self.group = stream_lanes.input_groups(net)
        self.classes = net.score_count
        self.family = family
        first, last = self.engines[0], self.engines[-1]
        self._input_bits = parts[0].inp.alphabet.bits
        self._inputs: dict[tuple[int, int], LinkOptions] = {}
        self._outputs: dict[int, LinkOptions] = {}
        self._output_bits = examples[-1].out_bits
        self.links = [
            LinkOptions(
                b.part.inp.alphabet.bits,
                a.part.out_channels,
                b.part.inp.channels,
                b.part.inp.size,
                a.lanes,
                b.widths,
                family,
            )
            for a, b in zip(self.engines, self.engines[1:], strict=False)
        ]
        streams = self.frame // self.group
        self.targets: Ints = np.unique(np.concatenate([e.cycles for e in self.engines]))
        least = max(streams, *(int(e.cycles.min()) for e in self.engines))
        self.targets = self.targets[self.targets >= least]
        assert first.widths[0] == 1 and last.lanes[0] == 1

    def _input(self, cycles: int, prices: Prices) -> np.ndarray:
        """Compute the cost of the gearbox before the first engine, for each SIMD of the engine."""
        first = self.engines[0]
        costs = []
        for o, width in enumerate(first.widths):
            lanes = stream_lanes.input_lanes(self.group, self.frame, Fold(1, int(width)), cycles)
            key = lanes, o
            if key not in self._inputs:
                self._inputs[key] = LinkOptions(
                    self._input_bits,
                    self.group,
                    first.part.inp.channels,
                    self.frame,
                    np.array([lanes]),
                    np.array([width]),
                    self.family,
                )
            costs.append(self._inputs[key].cost(cycles, prices)[0, 0])
        return np.array(costs)

    def _output(self, cycles: int, prices: Prices) -> np.ndarray:
        """Compute the cost of the gearbox after the last engine, for each PE of the engine."""
        width = stream_lanes.output_lanes(self.classes, cycles)
        if width not in self._outputs:
            last = self.engines[-1]
            self._outputs[width] = LinkOptions(
                self._output_bits,
                self.classes,
                self.classes,
                self.classes,
                last.lanes,
                np.array([width]),
                self.family,
            )
        return self._outputs[width].cost(cycles, prices)[:, 0]

    def cheapest(self, cycles: int, prices: Prices, sprams: int = 0) -> FoldingChoice | None:
        """Choose the folding of least cost for a target.

        This is dynamic programming from source to sink: how the choice for an engine affects the
        engines after it depends only on its number of lanes and on the SPRAMs that are left.

        Parameters
        ----------
        cycles : int
            Most cycles per frame.
        prices : Prices
            Prices of block RAM, flip-flops and DSP blocks.
        sprams : int
            Most SPRAMs that the folding may take.

        Returns
        -------
        FoldingChoice or None
            None if no folding is fast enough.
        """
        # One row for each number of SPRAMs taken so far.
        first = self._input(cycles, prices)
        arrive = np.stack([first, *[np.full_like(first, np.inf)] * sprams])
        came_from: list[Ints] = []
        picked: list[Ints] = []
        for k, engine in enumerate(self.engines):
            best, pick = self._step(engine, engine.cost(cycles, prices), arrive)
            picked.append(pick)
            if k < len(self.links):
                total = best[:, :, None] + self.links[k].cost(cycles, prices)
                before = total.argmin(axis=1)
                came_from.append(before)
                arrive = np.take_along_axis(total, before[:, None], 1)[:, 0]
        last = best + self._output(cycles, prices)
        taken, lane = map(int, np.unravel_index(last.argmin(), last.shape))
        if not np.isfinite(last[taken, lane]):
            return None
        chosen: list[int] = []
        for k in reversed(range(len(self.engines))):
            index = int(picked[k][taken, lane])
            chosen.append(index)
            taken -= int(self.engines[k].sprams[index])
            if k:
                lane = int(came_from[k - 1][taken, self.engines[k].width_of[index]])
        return self._choice(cycles, chosen[::-1])

    @staticmethod
    def _step(
        engine: EngineOptions, cost: np.ndarray, arrive: np.ndarray
    ) -> tuple[np.ndarray, Ints]:
        """Compute the least cost for each number of SPRAMs and each PE, and the folding with it.

        `arrive` [SPRAMs, widths] is the least cost of everything before the engine.
        """
        best = np.full((len(arrive), len(engine.lanes)), np.inf)
        pick = np.zeros(best.shape, np.int64)
        for before, arriving in enumerate(arrive):
            if not np.isfinite(arriving).any():
                continue
            whole = cost + arriving[engine.width_of]
            for own in range(len(arrive) - before):
                found, which = engine.best_by_lanes(whole, own)
                row = best[before + own]
                better = found < row
                row[better], pick[before + own][better] = found[better], which[better]
        return best, pick

    def _choice(self, cycles: int, chosen: Sequence[int]) -> FoldingChoice:
        takes, sprams, dsps = np.zeros(3), 0, 0
        for k, (engine, index) in enumerate(zip(self.engines, chosen, strict=True)):
            takes += engine.takes[index]
            sprams += int(engine.sprams[index])
            dsps += int(engine.dsps[index])
            if k:
                before = self.engines[k - 1]
                lane = before.lane_of[chosen[k - 1]]
                takes += self.links[k - 1].takes[lane, engine.width_of[index]]
        folds = tuple(e.folds[i] for e, i in zip(self.engines, chosen, strict=True))
        found = Resources(takes[0], takes[1], round(takes[2]), sprams, dsps)
        return FoldingChoice(cycles, folds, found)
