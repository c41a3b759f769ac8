"""Lower an imported network of float operations to an integer network.

1. `host_quantiser` takes away what the host does, if the network takes floats.
2. `passes` bring the graph to a plain form.
3. `write_layers` walks along it; `pending` collects elementwise operations until a layer needs
   integers. `evaluate` then computes their float32 values for all integers that can reach them,
   `common_scale` writes these values as one scale times integers, and `thresholds` turns them into
   a layer. `negate` mirrors channels whose values fall.
4. `scores` finds integer scores with the order of the float scores.
5. `pads` sets the codes of padding.
6. `branches` does the same for networks that branch, chain by chain.

All of that is exact. What has no exact form is refused, or rounded by the rule of `fixed_point` if
the user asked for it.

May import `graph`, `ir` and `xnorflow.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from xnorflow.graph.function_ops import OtherDivisors
from xnorflow.graph.ops import AveragePoolOp, Graph
from xnorflow.ir import IntegerNetwork
from xnorflow.ir.verify import verify
from xnorflow.lower.averages import split_averages, spread_averages
from xnorflow.lower.branches.round_weights import round_all_weights
from xnorflow.lower.branches.segments import branches, host_quantised, lifted
from xnorflow.lower.branches.walk import walk as branches_walk
from xnorflow.lower.fixed_point import FixedPoint, refuse_real_weights, round_weights
from xnorflow.lower.host_quantiser import quantise_on_host
from xnorflow.lower.lookups import merge_lookups
from xnorflow.lower.negate import OffCentre
from xnorflow.lower.pads import resolve_pads
from xnorflow.lower.passes import (
    check_constants,
    drop_identities,
    fold_picks,
    hoist_elementwise,
    split_bias,
)
from xnorflow.lower.pending import Mark
from xnorflow.lower.write_layers import walk

Pass = Callable[[Graph], Graph]
PASSES: tuple[Pass, ...] = (
    check_constants,
    fold_picks,
    split_bias,
    split_averages,
    hoist_elementwise,
    drop_identities,
)
"""In order; each gives a graph of the same function."""


def lower(graph: Graph, fixed: FixedPoint | None = None) -> IntegerNetwork:
    """Turn an imported network into integers.

    Its scores order any two classes of a frame exactly as the graph's float32 scores do, ties
    included, if each sum of products is rounded to float32 once. `IntegerNetwork.notes` names the
    sums for which a framework's own order of summation could round differently.

    Parameters
    ----------
    graph : Graph
        An imported network, from `xnorflow.frontend.read`.
    fixed : FixedPoint, optional
        How to round what has no exact integer form; without it, that is refused.

    Returns
    -------
    IntegerNetwork
        A network that passes `xnorflow.ir.verify`.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the graph has no integer form; it names the node.
    """
    *_, (_, net) = lowering_steps(graph, fixed)
    assert isinstance(net, IntegerNetwork)
    return net


def tidy(graph: Graph, passes: Iterable[Pass] = PASSES) -> Iterator[tuple[str, Graph]]:
    """Bring a graph to the plain form that layers are written from, step by step.

    Parameters
    ----------
    graph : Graph
        An imported network.
    passes : iterable of callable
        Passes in order.

    Yields
    ------
    str, Graph
        Name of the step, and what it made.
    """
    graph = lifted(check_constants)(graph)
    graph = host_quantised(graph) if branches(graph) else quantise_on_host(graph)
    yield "imported", graph
    imported, graph = graph, merge_lookups(graph)
    if graph is not imported:
        yield merge_lookups.__name__, graph
    for step in passes:
        graph = lifted(step)(graph)
        yield step.__name__, graph


def lowering_steps(
    graph: Graph, fixed: FixedPoint | None = None
) -> Iterator[tuple[str, Graph | IntegerNetwork]]:
    """Lower step by step.

    Yields
    ------
    str, Graph or IntegerNetwork
        Name of the step, and what it made: of the imported graph itself, without what the host
        does, of each pass and, last, of the walk that writes the integer network. All order the
        scores of a frame alike, but for the rounding of weights to fixed point.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        As for `lower`.
    """
    steps = _steps(graph, fixed, PASSES)
    if any(isinstance(op, AveragePoolOp) and any(op.uncounted) for op in graph.ops):
        try:
            steps = iter(list(steps))
        except OtherDivisors:
            spread = (spread_averages if step is split_averages else step for step in PASSES)
            steps = _steps(graph, fixed, spread)
    yield from steps


def _steps(
    graph: Graph, fixed: FixedPoint | None, passes: Iterable[Pass]
) -> Iterator[tuple[str, Graph | IntegerNetwork]]:
    """Yield the steps with these passes."""
    for name, step in tidy(graph, passes):
        yield name, step
        graph = step
    if fixed is not None:
        graph = round_all_weights(graph, fixed.bits)
        yield round_weights.__name__, graph
    net, _ = write(graph, fixed)
    yield "integer", net


def write(graph: Graph, fixed: FixedPoint | None = None) -> tuple[IntegerNetwork, tuple[Mark, ...]]:
    """Write the integer network of a tidy graph.

    Returns
    -------
    net : IntegerNetwork
        Verified.
    marks : tuple of Mark
        Which of its layers' outputs stand for which values of the graph.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        As `lower`.
    """
    graph = refuse_real_weights(graph)
    walked = branches_walk if branches(graph) else walk
    try:
        net, marks = walked(graph, fixed=fixed)
    except OffCentre:
        # Alphabets with 0 in the middle are wider, so they are used only where they are needed.
        net, marks = walked(graph, centred=True, fixed=fixed)
    verify(net)
    net = resolve_pads(net)
    verify(net)
    return net, marks
