"""Lower an imported network of float operations to an integer network, exactly.

`passes` bring the graph to a plain form, `write_layers` walks along it and writes integer layers;
decisions are found by evaluating the float32 operations over all integers that can reach them
(`evaluate`). May import `graph`, `ir` and `xnorflow.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from xnorflow.graph.function_ops import OtherDivisors
from xnorflow.graph.ops import AveragePoolOp, Graph
from xnorflow.ir import IntegerNetwork
from xnorflow.ir.verify import verify
from xnorflow.lower.averages import split_averages, spread_averages
from xnorflow.lower.host_quantiser import quantise_on_host
from xnorflow.lower.negate import OffCentre
from xnorflow.lower.pads import resolve_pads
from xnorflow.lower.passes import (
    check_constants,
    drop_identities,
    fold_picks,
    hoist_elementwise,
    split_bias,
)
from xnorflow.lower.write_layers import walk

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    check_constants,
    fold_picks,
    split_bias,
    split_averages,
    hoist_elementwise,
    drop_identities,
)
"""In order; each gives a graph of the same function."""


def lower(graph: Graph) -> IntegerNetwork:
    """Turn an imported network into integers.

    The scores order any two classes of a frame exactly as the graph's float32 scores do, ties
    included, with each sum of products rounded once to float32. `IntegerNetwork.notes` says where
    a framework's own order of summation could round otherwise.

    Parameters
    ----------
    graph : Graph
        As the frontend read it.

    Returns
    -------
    IntegerNetwork
        Verified.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the graph has no exact integer form; it names the node.
    """
    *_, (_, net) = lowering_steps(graph)
    assert isinstance(net, IntegerNetwork)
    return net


def lowering_steps(graph: Graph) -> Iterator[tuple[str, Graph | IntegerNetwork]]:
    """Lower step by step.

    Yields
    ------
    str, Graph or IntegerNetwork
        Name of the step, and what it made: of the imported graph itself, without what the host
        does, of each pass and, last, of the walk that writes the integer network. All order the
        scores of a frame alike.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        As `lower`.
    """
    graph = quantise_on_host(check_constants(graph))
    steps = _steps(graph, PASSES)
    if any(isinstance(op, AveragePoolOp) and any(op.uncounted) for op in graph.ops):
        try:
            steps = iter(list(steps))
        except OtherDivisors:
            spread = (spread_averages if tidy is split_averages else tidy for tidy in PASSES)
            steps = _steps(graph, spread)
    yield from steps


def _steps(
    graph: Graph, passes: Iterable[Callable[[Graph], Graph]]
) -> Iterator[tuple[str, Graph | IntegerNetwork]]:
    yield "imported", graph
    for tidy in passes:
        graph = tidy(graph)
        yield tidy.__name__, graph
    try:
        net = walk(graph)
    except OffCentre:
        net = walk(graph, centred=True)
    verify(net)
    net = resolve_pads(net)
    verify(net)
    yield "integer", net
