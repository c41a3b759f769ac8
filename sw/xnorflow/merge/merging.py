"""The passes that merge layers, in order, and their choice by estimated cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from xnorflow import ir
from xnorflow.merge.parallel_chains import join_chains
from xnorflow.merge.plain_layers import drop_plain
from xnorflow.merge.weight_blocks import group_blocks
from xnorflow.merge.weight_sums import add_weights

Candidates = Callable[[ir.IntegerNetwork], Iterator[ir.IntegerNetwork]]
Choice = Callable[[ir.IntegerNetwork, ir.IntegerNetwork], bool]


def by_estimate(before: ir.IntegerNetwork, after: ir.IntegerNetwork) -> bool:
    """Return whether a merge is worth it; see `xnorflow.merge.worth.worthwhile`."""
    # The estimate needs the hardware library, which takes long to import; few networks need it.
    from xnorflow.merge.worth import worthwhile

    return worthwhile(before, after)


class MergingPass(NamedTuple):
    """A pass that merges layers.

    Parameters
    ----------
    run : callable
        Yields the networks that each one merge would make.
    does : str
        What the pass does, in a few words.
    always : bool
        Whether a merge is a gain whatever it costs.
    """

    run: Candidates
    does: str
    always: bool = False

    @property
    def name(self) -> str:
        """Name of the pass."""
        return self.run.__name__


PASSES = (
    MergingPass(drop_plain, "layers that change nothing vanish", always=True),
    MergingPass(add_weights, "sums of convolutions with one window become one convolution"),
    MergingPass(join_chains, "parallel equal chains become one chain"),
    MergingPass(group_blocks, "weights that are zero outside of blocks become groups"),
)
"""All passes, in order; they are repeated until none changes anything."""


def merging_steps(
    net: ir.IntegerNetwork, choice: Choice = by_estimate
) -> Iterator[tuple[MergingPass, ir.IntegerNetwork]]:
    """Merge layers step by step.

    Parameters
    ----------
    net : IntegerNetwork
        Network from `xnorflow.lower.lower`.
    choice : callable
        Tells of the networks before and after a merge whether it is worth it.

    Yields
    ------
    MergingPass, IntegerNetwork
        The pass, and what it made: each pass at first, later those that change something.
        All networks have the same scores.
    """
    first, changed = True, True
    while changed:
        changed = False
        for step in PASSES:
            made = _merged(net, step.run, None if step.always else choice)
            if first or made is not net:
                yield step, made
            changed, net = changed or made is not net, made
        first = False


def merged(net: ir.IntegerNetwork, choice: Choice = by_estimate) -> ir.IntegerNetwork:
    """Return a network with fewer layers and the same scores; the parameters of `merging_steps`."""
    *_, (_, net) = merging_steps(net, choice)
    return net


def _merged(net: ir.IntegerNetwork, run: Candidates, choice: Choice | None) -> ir.IntegerNetwork:
    """Return what a pass makes of a network when all merges that are worth it are done."""
    refused: set[tuple[str, ...]] = set()
    while True:
        for made in run(net):
            key = made.notes[len(net.notes) :]
            if key and key in refused:
                continue
            if choice is None or choice(net, made):
                net = made
                break
            refused.add(key)
        else:
            return net
