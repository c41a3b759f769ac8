"""Draw networks that branch with a folding, to be built in hardware."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import Part, reductions
from xnorflow.plan.reductions import Fold

from .graph_strategies import graph_cases
from .strategies import MAX_CYCLES, Case, one_of, reduction_fold

MAX_PART_CYCLES = 2 * MAX_CYCLES
"""Most cycles per frame of a part, beyond which a network is not simulated."""


@st.composite
def branching_cases(draw: Any, *, frames: int = 3, forks: int = 1) -> Case:
    """Draw a network that branches, with a folding and frames.

    Parameters
    ----------
    draw : callable
        Given by Hypothesis.
    frames, forks : int
        Number of frames, and of forks at most.
    """
    drawn = draw(graph_cases(frames=frames, forks=forks))
    net = drawn.net
    parts = reductions(net)
    folds = tuple(fold_of(draw, part) for part in parts)
    assume(all(p.cycles(f) <= MAX_PART_CYCLES for p, f in zip(parts, folds, strict=True)))
    in_lanes = draw(st.integers(1, min(8, net.features[0].size)))
    return Case(net, folds, in_lanes, draw(st.integers(1, min(9, net.score_count))), drawn.x)


def fold_of(draw: Any, part: Part) -> Fold:
    """Draw a folding of a part: any that the compiler could be given."""
    if not isinstance(part, Joint):
        return reduction_fold(draw, part)
    within = part.aligned
    lanes = [n for n in range(1, part.out_channels + 1) if not within or within % n == 0]
    enough = [n for n in lanes if part.cycles(Fold(n, n)) <= MAX_CYCLES] or lanes[-1:]
    return Fold(*[one_of(draw, enough)] * 2)
