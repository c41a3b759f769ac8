"""Search for foldings: the fastest that fits, the smallest that is fast enough, the Pareto front.

At given prices of block RAM and flip-flops, the cheapest folding for a target is found exactly
(`xnorflow.folding.cheapest`). At first, a block of RAM has the price that it is worth in LUTs. If
the cheapest folding then exceeds the budget, the prices of flip-flops, of block RAM and of DSP
blocks, which cost nothing at first, are raised step by step until it keeps to the budget. The
fastest target for which this succeeds is found by bisection over the cycles per frame that foldings
can have. Before a design has been assembled, the
depths of buffers and queues are only estimates; the assembled design corrects them, and only
designs that fit as a whole are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import log2
from typing import TYPE_CHECKING

import numpy as np

from xnorflow import ir
from xnorflow.devices.tables import Fpga
from xnorflow.errors import BadInput
from xnorflow.folding import narrowest
from xnorflow.folding.cheapest import FoldingChoice
from xnorflow.folding.costs import Prices
from xnorflow.folding.kept_tables import tables
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources.budget import Budget
from xnorflow.resources.summarise import engine_summaries
from xnorflow.resources.usage import Resources, design_resources

if TYPE_CHECKING:
    from xnorflow.design.design import Design

EXAMPLE_LANES = 1024
"""XNOR lanes of the folding from whose summaries those of all other foldings are derived."""
FF_PRICES = (0.0, 0.25, 1.0, 4.0, 16.0)
"""Prices of a flip-flop, in LUTs, that are tried in this order."""
DSP_PRICES = (0.0, 16.0, 32.0, 64.0, 96.0, 128.0, 192.0, 256.0, 2.0**24)
"""Prices of a DSP block, in LUTs, that are tried in this order."""
PRICE_STEPS = 14
"""Steps of the bisection for the price of a block of RAM."""
HUGE = 2.0**24
"""Price, in LUTs, at which a resource is avoided at any cost."""
TIE = 1e-3
"""Price, in LUTs, of a resource that is not scarce: it only decides between equal foldings."""
ROUNDS = 16
"""Most times that a folding is chosen, assembled and corrected."""
HOPES = (1.0, 1.2)
"""Factors of the budget's LUTs to start with: some designs take less than was estimated."""
WORTH = 0.98
"""Largest size of a design on the front, as a share of the next faster one's."""

Assemble = Callable[[tuple[Fold, ...], int], "Design"]
Progress = Callable[[str], object]
Designs = dict[tuple[tuple[Fold, ...], int], "tuple[Design, Resources]"]
"""Designs that have been assembled, with their resources, by folding and target."""
Found = tuple[FoldingChoice, "Design", Resources, Budget]
"""A choice, the design assembled from it, its resources, and the budget it was chosen for."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Result of a search: a design and its resources.

    Parameters
    ----------
    design : Design
        Design that was found.
    takes : Resources
        Estimated resources of the design.
    limit : str
        Reason why no faster design fits; empty if no faster one was sought.
    """

    design: Design
    takes: Resources
    limit: str = ""


class Fit:
    """Search for foldings of a network on an FPGA.

    Parameters
    ----------
    net : IntegerNetwork
        Network to fold.
    device : Fpga
        FPGA of the board.
    assemble : callable
        Builds the design for a folding and a target in cycles per frame.
    progress : callable, optional
        Callback that receives a line of text about what is being tried.
    pixels : int
        Most output pixels that an engine may compute at once.
    """

    def __init__(
        self,
        net: ir.IntegerNetwork,
        device: Fpga,
        assemble: Assemble,
        progress: Progress | None = None,
        pixels: int = narrowest.MAX_PIXELS,
    ) -> None:
        self.family, self.assemble = device.family, assemble
        self.progress = progress or (lambda text: None)
        self.progress("weighing foldings")
        self.parts = parts = reductions(net)
        folds = narrowest.for_cycles(parts, narrowest.default_cycles(parts, EXAMPLE_LANES))
        example = accelerator(net, folds, in_lanes=1, device=device, least=False)
        self.chain = tables(net, parts, engine_summaries(parts, example), device, pixels)
        self._worth = float(device.family.block_luts.use())
        worth = device.family.spram_luts
        self._spram_worth = float(worth.use()) if worth else 0.0
        self._sprams = device.spram_number
        self.targets = [int(t) for t in self.chain.targets]

    def size(self, takes: Resources) -> float:
        """Return the size of a design in LUTs, with every RAM counted as the LUTs it is worth."""
        return takes.luts + self._worth * takes.ram_blocks + self._spram_worth * takes.sprams

    def takes(self, design: Design) -> Resources:
        """Return the estimated resources of a design."""
        return design_resources(design.shape, self.family)

    def within(self, cycles: int, budget: Budget) -> FoldingChoice | None:
        """Choose a folding of few LUTs that is fast enough and keeps to a budget.

        It uses SPRAM only if there is no such folding without.

        Parameters
        ----------
        cycles : int
            Most cycles per frame.
        budget : Budget
            Limits of each resource.

        Returns
        -------
        FoldingChoice or None
            None if none was found.
        """
        found = self._within(cycles, budget, 0)
        if found is None and self._sprams:
            found = self._within(cycles, budget, self._sprams)
        return found

    def _within(self, cycles: int, budget: Budget, sprams: int) -> FoldingChoice | None:
        least = self.chain.cheapest(cycles, Prices(TIE, TIE), sprams)
        if least is None or least.takes.luts > budget.luts:
            return None
        scarce = least.takes.dsps > budget.dsps
        for dsp in DSP_PRICES if scarce else DSP_PRICES[:1]:
            found = self._at_price(cycles, budget, sprams, dsp)
            if found is not None:
                return found
        return None

    def _at_price(
        self, cycles: int, budget: Budget, sprams: int, dsp: float
    ) -> FoldingChoice | None:
        """Choose a folding that keeps to a budget, at a price of a DSP block."""
        for ff in FF_PRICES:
            usual = self.chain.cheapest(cycles, Prices(self._worth, ff + TIE, dsp), sprams)
            if usual is not None and not budget.exceeded(usual.takes):
                return usual
            found = self._blocks_within(cycles, budget, Prices(TIE, ff + TIE, dsp), sprams)
            if found is None or not budget.exceeded(found.takes):
                return found
        return None

    def _blocks_within(
        self, cycles: int, budget: Budget, prices: Prices, sprams: int
    ) -> FoldingChoice | None:
        """Choose a folding at the lowest price of block RAM at which there are blocks enough."""
        found = self.chain.cheapest(cycles, prices, sprams)
        if found is None or found.takes.ram_blocks <= budget.ram_blocks:
            return found
        low, high = -4.0, log2(HUGE)
        found = self.chain.cheapest(cycles, replace(prices, block=HUGE), sprams)
        if found is None or found.takes.ram_blocks > budget.ram_blocks:
            return None
        for _ in range(PRICE_STEPS):
            middle = (low + high) / 2
            tried = self.chain.cheapest(cycles, replace(prices, block=2.0**middle), sprams)
            if tried is not None and tried.takes.ram_blocks <= budget.ram_blocks:
                high = middle
                if tried.takes.luts <= found.takes.luts:
                    found = tried
            else:
                low = middle
        return found

    def fastest(self, budget: Budget) -> Fitted | None:
        """Choose the fastest design that keeps to a budget.

        Returns
        -------
        Fitted or None
            None if no design keeps to the budget.
        """
        best: Found | None = None
        designs: Designs = {}
        failed = 0
        for hope in HOPES:
            for found in self._rounds(budget, self.fastest_choice, hope, designs):
                choice, design, takes, _ = found
                if budget.exceeded(takes):
                    failed = max(failed, choice.cycles)
                elif best is None or self._rank(design, takes) < self._rank(*best[1:3]):
                    best = found
        best = self._between(failed, best, budget, designs)
        if best is None:
            return None
        choice, design, takes, corrected = best
        return Fitted(design, takes, self._limit(choice.cycles, corrected))

    def _rank(self, design: Design, takes: Resources) -> tuple[int, float]:
        return design.ii, self.size(takes)

    def _between(
        self, failed: int, best: Found | None, budget: Budget, designs: Designs
    ) -> Found | None:
        """Search for a faster design between a target that failed and the best one found.

        The corrections that made a target fail come from one design and may be too strict for
        others.
        """
        end = best[0].cycles if best else self.targets[-1] + 1
        targets = [t for t in self.targets if failed < t < end]
        hoped = replace(budget, luts=HOPES[-1] * budget.luts)
        low, high = 0, len(targets)
        while low < high:
            middle = (low + high) // 2
            choice = self.within(targets[middle], hoped)
            if choice is not None:
                design, takes = self._made(choice, designs)
                if not budget.exceeded(takes):
                    high = middle
                    if best is None or self._rank(design, takes) < self._rank(*best[1:3]):
                        best = choice, design, takes, budget
                    continue
            low = middle + 1
        return best

    def fastest_choice(self, budget: Budget) -> FoldingChoice | None:
        """Choose the folding for the fastest target that keeps to a budget, by the tables alone.

        It is found by bisection, as if every slower target kept to the budget, too. None if not
        even the slowest does.
        """
        low, high = 0, len(self.targets) - 1
        best = self.within(self.targets[high], budget)
        if best is None:
            return None
        while low < high:
            middle = (low + high) // 2
            self.progress(f"{self.targets[middle]:,} cycles per frame")
            tried = self.within(self.targets[middle], budget)
            if tried is None:
                low = middle + 1
            else:
                best, high = tried, middle
        return best

    def smallest(self, cycles: int, budget: Budget | None = None) -> Fitted | None:
        """Choose the smallest design that is fast enough and keeps to a budget.

        Parameters
        ----------
        cycles : int
            Most cycles per frame.
        budget : Budget, optional
            Limits of each resource; without them any design will do.

        Returns
        -------
        Fitted or None
            None if no design that is fast enough keeps to the budget.

        Raises
        ------
        BadInput
            If no folding is fast enough, however large.
        """
        limits = budget or Budget(np.inf, np.inf, np.inf, self.family.ram)
        target = cycles
        while True:
            best: Fitted | None = None
            slow: Design | None = None
            for design, takes in self._small(target, limits):
                if design.ii > cycles:
                    slow = design
                elif not limits.exceeded(takes) and (
                    best is None or self.size(takes) < self.size(best.takes)
                ):
                    best = Fitted(design, takes)
            if best is not None or slow is None:
                if best is None and self.chain.cheapest(target, Prices()) is None:
                    raise BadInput(self.out_of_reach(cycles))
                return best
            # Gearboxes between widths that do not divide each other took longer than the engines,
            # so the engines have to become faster than the target.
            target -= slow.ii - cycles

    def _small(self, target: int, limits: Budget) -> Iterator[tuple[Design, Resources]]:
        """Yield small designs for a target, among them the one with the fewest lanes."""
        for _, design, takes, _ in self._rounds(limits, lambda b: self.within(target, b)):
            yield design, takes
        try:
            design = self.assemble(narrowest.for_cycles(self.parts, target), target)
        except BadInput:
            return
        yield design, self.takes(design)

    def out_of_reach(self, cycles: int) -> str:
        """Return the message for a target that no folding meets; it names one that works."""
        least = next(t for t in self.targets if self.chain.cheapest(t, Prices()) is not None)
        slowest = max(self.chain.engines, key=lambda e: int(e.cycles.min()))
        return (
            f"{cycles} cycles per frame are out of reach: layer {slowest.part.name!r} needs at"
            f" least {int(slowest.cycles.min())}; ask for {least} or more"
        )

    def front(self, budget: Budget | None, points: int = 24) -> list[Fitted]:
        """Choose designs of the Pareto front: no other is both as fast and as small.

        Parameters
        ----------
        budget : Budget, optional
            Limits of each resource; without them any design will do.
        points : int
            Number of targets, evenly spaced on a logarithmic scale, that are tried.

        Returns
        -------
        list of Fitted
            Designs from fast to slow; empty if none keeps to the budget.
        """
        front: list[Fitted] = []
        limits = budget or Budget(np.inf, np.inf, np.inf, self.family.ram)
        first = self.fastest(limits)
        if first is None:
            return []
        begin, end = first.design.ii, self.targets[-1]
        wanted = np.unique(np.geomspace(begin, end, points).astype(int))
        for cycles in wanted:
            self.progress(f"{cycles:,} cycles per frame")
            found = self.smallest(int(cycles), budget) if cycles != begin else first
            if found is None:
                continue
            while (
                front
                and front[-1].design.ii >= found.design.ii
                and self.size(front[-1].takes) >= self.size(found.takes)
            ):
                front.pop()
            if not front or self.size(found.takes) < WORTH * self.size(front[-1].takes):
                front.append(found)
        return front

    def smallest_of_all(self) -> FoldingChoice:
        """Choose the folding with the fewest LUTs, whatever its speed."""
        found = self.chain.cheapest(self.targets[-1], Prices(TIE, TIE))
        assert found is not None
        return found

    def _rounds(
        self,
        budget: Budget,
        choose: Callable[[Budget], FoldingChoice | None],
        hope: float = 1.0,
        designs: Designs | None = None,
    ) -> Iterator[tuple[FoldingChoice, Design, Resources, Budget]]:
        """Yield designs: choose a folding, assemble it, correct the budget by it, choose again.

        Parameters
        ----------
        budget : Budget
            Limits that the designs should keep to.
        choose : callable
            Returns a folding for a budget, or None.
        hope : float
            Factor of the budget's LUTs to start with.
        designs : dict, optional
            Designs that need not be assembled again; new ones are added.
        """
        designs = {} if designs is None else designs
        corrected = replace(budget, luts=hope * budget.luts)
        made: dict[tuple[Fold, ...], tuple[Design, Resources]] = {}
        for _ in range(ROUNDS):
            choice = choose(corrected)
            if choice is None:
                return
            again = choice.folds in made
            if not again:
                made[choice.folds] = self._made(choice, designs)
                yield choice, *made[choice.folds], corrected
            _, takes = made[choice.folds]
            if again and not budget.exceeded(takes):
                return
            corrected = budget.corrected(corrected, choice.takes, takes)

    def _made(self, choice: FoldingChoice, designs: Designs) -> tuple[Design, Resources]:
        """Return the design of a choice and its resources, assembled unless `designs` has it."""
        key = choice.folds, choice.cycles
        if key not in designs:
            design = self.assemble(*key)
            designs[key] = design, self.takes(design)
        return designs[key]

    def _limit(self, cycles: int, budget: Budget) -> str:
        """Return the reason why the next faster target is not reached."""
        faster = [
            t
            for t in self.targets[: self.targets.index(cycles)]
            if self.chain.cheapest(t, Prices()) is not None
        ]
        if not faster:
            slowest = max(self.chain.engines, key=lambda e: int(e.cycles.min()))
            return f"layer {slowest.part.name!r} takes a cycle per window and kernel tap at least"
        short = []
        for name, prices, limit, of in (
            ("LUT", Prices(TIE, TIE), budget.luts, "luts"),
            ("FF", Prices(TIE, HUGE), budget.ffs, "ffs"),
            (budget.ram, Prices(HUGE, TIE), budget.ram_blocks, "ram_blocks"),
        ):
            least = self.chain.cheapest(faster[-1], prices, self._sprams)
            if least is not None and getattr(least.takes, of) > limit:
                short.append(name)
        if short:
            return f"not enough {' and '.join(short)}"
        return f"LUT and {budget.ram} do not suffice together"
