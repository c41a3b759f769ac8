"""The comparison of a network's golden model with the file that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.evidence.divergence import first_divergence
from xnorflow.evidence.executor import Executor, Outputs
from xnorflow.evidence.record import Outcome, array_digest
from xnorflow.evidence.score_orders import Orders, compare_orders
from xnorflow.graph.input_scale import InputScale
from xnorflow.lower.fixed_point import FIXED_POINT
from xnorflow.lower.rounding import ORDER_OF_SUMMATION

Tick = Callable[[int, int], object]
Stages = Callable[[str], AbstractContextManager[Tick]]
"""Opens a progress bar with a title; it yields a function of the items done and of all items."""

GOLDEN = "golden model"
EXAMPLES = 24
"""Number of frames, besides one that differs, in which the first differing layer is searched."""


def against_file(
    net: ir.IntegerNetwork,
    file: Path,
    x: NDArray[Any],
    scores: ir.Ints,
    scale: InputScale,
    opened: Stages,
) -> tuple[Outcome, list[str]]:
    """Compare the golden model with the file in its executor.

    Parameters
    ----------
    net : IntegerNetwork
        The network.
    file : Path
        Its file.
    x : array [N, ...]
        A user's samples.
    scores : int64 array [N, score_count]
        The golden model's scores of them, in its own order.
    scale : InputScale
        Scaling of samples to the file's input.
    opened : callable
        Opens a progress bar, see `Stages`.

    Returns
    -------
    outcome : Outcome
        What differs.
    remarks : list of str
        Remarks for the user.
    """
    executor = Executor(file, scale, [output.name for output in net.outputs])
    with opened(executor.tool) as tick:
        found = executor.run(net.input_order.samples(x, net.shape), tick)
    exact = not any(ORDER_OF_SUMMATION in note for note in net.notes)
    rounded = any(note.startswith(FIXED_POINT) for note in net.notes)
    outcome = Outcome("golden", GOLDEN, executor.tool, len(x), exact=exact, rounded=rounded)
    sizes = tuple(output.size for output in net.named)
    if found.sizes != sizes:
        got, want = (" and ".join(map(str, of)) for of in (found.sizes, sizes))
        return replace(outcome, failure=f"{file.name} has {got} scores, the network {want}"), []
    own = _in_file_order(net, scores)
    orders = compare_orders(own, found.scores, sizes)
    outcome = compared(outcome, own, found.scores, _floats(net, scores, found), orders)
    if outcome.differs:
        wrong = _differing(orders)
        frames = np.unique([wrong, *range(min(EXAMPLES, len(x)))])
        place = first_divergence(net, executor, x[frames], frames)
        last = f"frame {wrong}, in the scores; all quantised layers agree"
        outcome = replace(outcome, first=last if place is None else str(place))
    notes = []
    if executor.ended:
        said = f"scores of {file.name} are those ahead of its {executor.ended}"
        if found.labels is not None and (other := int((found.labels != ir.labels(own)).sum())):
            said += f", which gives another label to {other} of {len(x)} frames"
        notes.append(said)
    return outcome, notes


def _in_file_order(net: ir.IntegerNetwork, scores: NDArray[Any]) -> NDArray[Any]:
    """Return scores in the order of the file's outputs, one output after the other."""
    return scores[:, np.concatenate([output.gather for output in net.named])]


def _floats(net: ir.IntegerNetwork, scores: ir.Ints, found: Outputs) -> NDArray[np.bool_] | None:
    """Mark scores whose float differs from the file's in any bit; None without such floats."""
    layers = net.score_layers
    if any(layer.floats is None for layer in layers):
        return None
    sizes = [net.features[net.layers.index(layer) + 1].size for layer in layers]
    parts = np.split(scores, np.cumsum(sizes)[:-1], axis=1)
    floats = [layer.to_float(part) for layer, part in zip(layers, parts, strict=True)]
    return np.asarray(_in_file_order(net, np.concatenate(floats, axis=1)) != found.scores)


def _differing(orders: Orders) -> int:
    """Return the first frame with the worst difference.

    Reversed pairs of scores are the worst, then labels, then other differences of order.
    """
    for flags in (orders.reversed, orders.labels, orders.order):
        if flags.any():
            return int(flags.argmax())
    return 0


def compared(
    outcome: Outcome,
    scores: NDArray[Any],
    expected: NDArray[Any],
    wrong: NDArray[np.bool_] | None,
    orders: Orders | None = None,
) -> Outcome:
    """Return `outcome` with its counts and digests filled in.

    Parameters
    ----------
    outcome : Outcome
        Outcome without counts.
    scores, expected : array [N, K]
        Scores under test, and those that they are compared with.
    wrong : bool array [N, K] or None
        Single scores that differ; None if they cannot be compared.
    orders : Orders, optional
        Differences of order; by default those of all scores together.
    """
    orders = orders or compare_orders(scores, expected)
    return replace(
        outcome,
        labels=int(orders.labels.sum()),
        order=int(orders.order.sum()),
        ties=int(orders.ties.sum()),
        scores=0 if wrong is None else int(wrong.sum()),
        total=0 if wrong is None else wrong.size,
        digest=array_digest(scores),
        expected=array_digest(expected),
    )
