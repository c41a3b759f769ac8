"""Choose a cheap folding of a network that branches, at given prices of resources.

Every part has one stream that counts as its way to the rest: these form a tree, over which dynamic
programming is exact. The gearboxes of all other streams are priced for what their ends were before;
so the choice is made a few times, and the best one is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.folding import stream_lanes
from xnorflow.folding.cheapest import FoldingChoice
from xnorflow.folding.costs import EngineOptions, LinkOptions, Prices, Reals
from xnorflow.ir import Ints
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import Part
from xnorflow.resources.engine import EngineSummary
from xnorflow.resources.usage import Resources
from xnorflow_hw.spec import JoinSpec

ROUNDS = 3
"""Times that all foldings are chosen."""
SLOW = 2.0**30
"""Price, in LUTs, of a gearbox that is too slow; where no other will do, the target has to fall."""


def is_chain(parts: Sequence[Part]) -> bool:
    """Return whether every part reads what the one before it sends, and nothing else."""
    return all(part.reads == (k,) for k, part in enumerate(parts))


@dataclass(frozen=True, eq=False)
class _PartStream:
    """The gearboxes of a stream between two parts.

    Parameters
    ----------
    source, sink : int
        Numbers of the parts.
    options : LinkOptions
        Gearboxes for the lanes of the source and the widths of the sink.
    tree : bool
        Whether the stream belongs to the tree.
    """

    source: int
    sink: int
    options: LinkOptions
    tree: bool


class Branches:
    """Foldings of all parts of a network that branches, on an FPGA family.

    The parameters are those of `xnorflow.folding.cheapest.Chain`.
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
        frame, group = stream_lanes.input_groups(net)
        self.links = list(self._links(parts, family))
        self.targets: Ints = np.unique(np.concatenate([e.cycles for e in self.engines]))
        least = max(frame // group, *(int(e.cycles.min()) for e in self.engines))
        self.targets = self.targets[self.targets >= least]

    def _links(self, parts: Sequence[Part], family: Family) -> Sequence[_PartStream]:
        found = []
        for sink, part in enumerate(parts):
            tree = True
            for port, (read, f) in enumerate(zip(part.reads, part.inputs, strict=True)):
                if not read:
                    continue
                before, after = self.engines[read - 1], self.engines[sink]
                options = LinkOptions(
                    f.alphabet.bits,
                    before.part.out_channels,
                    f.size if isinstance(part.layer, ir.AllScores) else f.channels,
                    f.size,
                    before.lanes,
                    np.array([_port_lanes(part, port, int(w)) for w in after.widths]),
                    family,
                )
                found.append(_PartStream(read - 1, sink, options, tree))
                tree = False
        return found

    def cheapest(self, cycles: int, prices: Prices, sprams: int = 0) -> FoldingChoice | None:
        """Choose a folding of low cost for a target.

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
        own = self._own_costs(cycles, prices, sprams)
        if not all(np.isfinite(cost).any() for cost in own):
            return None
        matrices = [np.minimum(link.options.cost(cycles, prices), SLOW) for link in self.links]
        chosen = [int(cost.argmin()) for cost in own]
        best, least = chosen, self._total(own, matrices, chosen)
        for _ in range(ROUNDS):
            chosen = self._chosen(own, matrices, chosen)
            total = self._total(own, matrices, chosen)
            if total < least:
                best, least = chosen, total
        return self._choice(cycles, best)

    def _own_costs(self, cycles: int, prices: Prices, sprams: int) -> list[Reals]:
        """Return the cost of each part's foldings; SPRAM goes where it saves most blocks of RAM."""
        costs = [e.cost(cycles, prices) for e in self.engines]
        usual = [
            np.where(e.sprams == 0, c, np.inf) for e, c in zip(self.engines, costs, strict=True)
        ]
        saved = []
        for k, (engine, cost) in enumerate(zip(self.engines, costs, strict=True)):
            inside = np.flatnonzero((engine.sprams > 0) & np.isfinite(cost))
            if sprams and len(inside) and np.isfinite(usual[k]).any():
                fewest = int(engine.sprams[inside].min())
                blocks = engine.takes[int(usual[k].argmin()), 2]
                saved.append((-blocks / fewest, fewest, k))
        for _, fewest, k in sorted(saved):
            if fewest <= sprams:
                sprams -= fewest
                usual[k] = np.where(self.engines[k].sprams <= fewest, costs[k], np.inf)
        return usual

    def _cost_of(self, link: int, matrix: Reals, chosen: Sequence[int]) -> tuple[Reals, Reals]:
        """Return a link's costs by lanes of its source and by widths of its sink, as chosen."""
        found = self.links[link]
        source, sink = self.engines[found.source], self.engines[found.sink]
        lane, width = source.lane_of[chosen[found.source]], sink.width_of[chosen[found.sink]]
        return matrix[:, width], matrix[lane]

    def _chosen(
        self, own: Sequence[Reals], matrices: Sequence[Reals], before: Sequence[int]
    ) -> list[int]:
        """Choose the foldings of least cost, with the streams beside the tree as they were."""
        costs = [cost.copy() for cost in own]
        for k, link in enumerate(self.links):
            if not link.tree:
                by_lane, by_width = self._cost_of(k, matrices[k], before)
                costs[link.source] += by_lane[self.engines[link.source].lane_of]
                costs[link.sink] += by_width[self.engines[link.sink].width_of]
        # From the leaves: what each number of lanes of a source costs in all that hangs on it.
        for link, matrix in zip(reversed(self.links), reversed(matrices), strict=True):
            if link.tree:
                sink = self.engines[link.sink]
                by_width = np.full(len(sink.widths), np.inf)
                np.minimum.at(by_width, sink.width_of, costs[link.sink])
                hanging = (matrix + by_width).min(axis=1)
                costs[link.source] += hanging[self.engines[link.source].lane_of]
        chosen = [-1] * len(costs)
        for link, matrix in zip(self.links, matrices, strict=True):
            if link.tree:
                source, sink = self.engines[link.source], self.engines[link.sink]
                if chosen[link.source] < 0:
                    chosen[link.source] = int(costs[link.source].argmin())
                lane = source.lane_of[chosen[link.source]]
                whole = costs[link.sink] + matrix[lane][sink.width_of]
                chosen[link.sink] = int(whole.argmin())
        return [int(costs[k].argmin()) if at < 0 else at for k, at in enumerate(chosen)]

    def _total(
        self, own: Sequence[Reals], matrices: Sequence[Reals], chosen: Sequence[int]
    ) -> float:
        total = sum(float(cost[at]) for cost, at in zip(own, chosen, strict=True))
        for link, matrix in zip(self.links, matrices, strict=True):
            lane, width = self._ends(link, chosen)
            total += float(matrix[lane, width])
        return total

    def _ends(self, link: _PartStream, chosen: Sequence[int]) -> tuple[int, int]:
        source, sink = self.engines[link.source], self.engines[link.sink]
        return int(source.lane_of[chosen[link.source]]), int(sink.width_of[chosen[link.sink]])

    def _choice(self, cycles: int, chosen: Sequence[int]) -> FoldingChoice:
        takes, sprams, dsps = np.zeros(3), 0, 0
        for engine, index in zip(self.engines, chosen, strict=True):
            takes += engine.takes[index]
            sprams += int(engine.sprams[index])
            dsps += int(engine.dsps[index])
        for link in self.links:
            takes += link.options.takes[self._ends(link, chosen)]
        folds = tuple(e.folds[i] for e, i in zip(self.engines, chosen, strict=True))
        found = Resources(takes[0], takes[1], round(takes[2]), sprams, dsps)
        return FoldingChoice(cycles, folds, found)


def _port_lanes(part: Part, port: int, width: int) -> int:
    """Return the lanes that a port of a part takes where the part has so many."""
    if not isinstance(part, Joint):
        return width
    front = part.rule.front(part, width)
    return front.ports[port].lanes if isinstance(front, JoinSpec) else width
