"""Compare the best-fit folding with FINN's rule on the same boards, engines and resource model.

FINN's rule is implemented here from the description in its own source and documentation:
src/finn/transformation/fpgadataflow/set_folding.py, class SetFolding, at
https://github.com/Xilinx/finn, commit 0b00f69. Towards a target in cycles per frame every matrix
engine first widens SIMD, through the divisors, until it is below the target or a PE's weights are
wider than 36 bits; then PE, likewise. Pools widen their lanes. If an engine misses the target, all
are folded once more for what the slowest reached. It looks at no resources, so here it gets the
target of most frames per second among all those whose folding fits the board.

FINN's SIMD divides the inputs of a kernel; ours, and the one here, the inputs of a tap. The engines
are ours in both cases, with their gearboxes and one pixel at once, so that only the choice of the
folding is compared. Both may take the same share of the board (`xnorflow.resources.budget`). The
column "no pixels" is our choice without several pixels at once, which FINN does not have.

Run: python benchmarks/folding.py [--only TEXT]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from networks import DEMO, TRAINED, trained

import xnorflow as xf
from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.folding import stream_lanes
from xnorflow.folding.search import Fit
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.resources.budget import Budget, board_budget
from xnorflow.resources.usage import Resources, checked, status

BOARDS = ("icebreaker", "tangnano9k", "tangnano20k", "ulx3s-25f", "ulx3s-85f", "pynq-z1", "zc706")
NETWORKS = (DEMO, *(t.name for t in TRAINED))
WIDEST_WEIGHTS = 36
"""FINN's default of ``mvau_wwidth_max`` in bits."""
HOPELESS = 1.15
"""Factor above the limits at which a design is not even assembled."""


def divisors(number: int) -> Iterator[int]:
    """Return the divisors in ascending order."""
    return (n for n in range(1, number + 1) if number % n == 0)


def first_below(part: Reduction, folds: Sequence[Fold], target: int) -> Fold:
    """Return the first folding that is below the target, or else the last one."""
    return next((f for f in folds if part.cycles(f) < target), folds[-1])


def finn_reduction(part: Reduction, target: int) -> Fold:
    """Fold a reduction by FINN's rule."""
    inputs = list(divisors(part.inp.channels))
    if not isinstance(part.layer, ir.Conv):
        return first_below(part, [Fold(n, n) for n in inputs], target)
    bits = part.layer.alphabet.bits
    # The first width beyond the limit is tried, and dropped again unless it meets the target.
    narrow = [Fold(1, n) for n in inputs if bits * n <= WIDEST_WEIGHTS]
    wider = [Fold(1, n) for n in inputs if bits * n > WIDEST_WEIGHTS][:1]
    chosen = first_below(part, narrow + wider, target)
    if chosen in wider and part.cycles(chosen) >= target:
        chosen = narrow[-1]
    folds = [Fold(n, chosen.simd) for n in divisors(part.out_channels)]
    return first_below(part, folds, target)


def finn(parts: Sequence[Reduction], target: int) -> tuple[Fold, ...]:
    """Fold a network by FINN's rule, with its second pass."""
    folds = tuple(finn_reduction(p, target) for p in parts)
    reached = max(p.cycles(f) for p, f in zip(parts, folds, strict=True))
    return folds if reached <= target else tuple(finn_reduction(p, reached) for p in parts)


@dataclass(frozen=True)
class Found:
    """A design that fits its board, or none."""

    design: Design | None
    takes: Resources

    @property
    def ii(self) -> float:
        """Initiation interval of the design in cycles."""
        return self.design.ii if self.design else float("inf")


def hopeless(search: Fit, folds: Sequence[Fold], budget: Budget) -> bool:
    """Whether the engines alone take far more than both limits, with memories of any kind."""
    share = 0.0
    for engine, chosen in zip(search.chain.engines, folds, strict=True):
        takes = engine.takes[[f == chosen for f in engine.folds]]
        if not len(takes):
            return False
        share += (takes[:, 0] / budget.luts + takes[:, 2] / budget.ram_blocks).min()
    return share > 2 * HOPELESS


def best_of_finn(search: Fit, parts: Sequence[Reduction], budget: Budget) -> Found:
    """Return the fastest design of FINN's rule that fits the board."""
    cycles = {
        part.cycles(Fold(pe, simd) if isinstance(part.layer, ir.Conv) else Fold(simd, simd))
        for part in parts
        for pe in divisors(part.out_channels)
        for simd in divisors(part.inp.channels)
    }
    best, seen = Found(None, Resources()), set()
    # A folding meets a target if it is below it.
    for target in sorted(c + 1 for c in cycles):
        folds = finn(parts, target)
        slowest = max(p.cycles(f) for p, f in zip(parts, folds, strict=True))
        if folds in seen or slowest >= best.ii:
            continue
        seen.add(folds)
        if hopeless(search, folds, budget):
            continue
        design = search.assemble(folds, slowest)
        takes = search.takes(design)
        if design.ii < best.ii and not budget.exceeded(takes):
            best = Found(design, takes)
    return best


def best_fit(search: Fit, budget: Budget) -> Found:
    """Return the design with xnorflow's own folding."""
    found = search.fastest(budget)
    return Found(found.design, found.takes) if found else Found(None, Resources())


def compare(name: str, boards: Sequence[str]) -> None:
    """Print a row per board for a network."""
    source = trained(name)
    net = xf.load(source.path, input_scale=source.scale)
    parts = reductions(net)
    frame, _ = stream_lanes.input_groups(net)
    for board in boards:
        device, clock = fpga(board), clock_for(board, None)
        budget = board_budget(device, frame)
        assemble = assembler(net, board, clock)
        search = Fit(net, device, assemble)
        theirs = best_of_finn(search, parts, budget)
        started = time.monotonic()
        ours = best_fit(Fit(net, device, assemble), budget)
        seconds = time.monotonic() - started
        plain = best_fit(Fit(net, device, assemble, pixels=1), budget)
        cells = []
        for found in (theirs, plain, ours):
            if found.design is None:
                cells += ["does not fit", ""]
                continue
            cells += [
                f"{found.design.ii:,} / {found.design.fps:,.0f}",
                f"{100 * found.takes.luts / device.luts.use():.0f} /"
                f" {100 * found.takes.ram_blocks / device.ram_blocks.use():.0f}",
            ]
        gain = f"{theirs.ii / ours.ii:.2f}" if theirs.design else "" if not ours.design else "-"
        print(f"| {name} | {board} | {' | '.join(cells)} | {gain} | {seconds:.1f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of 'network board'")
    only = parser.parse_args().only
    for family in {
        fpga(board).family.coefficients: fpga(board).family for board in BOARDS
    }.values():
        print(f"{family.coefficients}: resources {status(family)}; {checked(family)}\n")
    print(
        "| network | board | FINN's rule: II / FPS | LUT / RAM, % | no pixels: II / FPS |"
        " LUT / RAM, % | best fit: II / FPS | LUT / RAM, % | times FINN's | search, s |\n"
        + "|---" * 10
        + "|"
    )
    for name in NETWORKS:
        boards = [board for board in BOARDS if only in f"{name} {board}"]
        if boards:
            compare(name, boards)


if __name__ == "__main__":
    main()
