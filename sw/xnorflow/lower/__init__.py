"""Lower an imported network of float operations to an integer network, exactly.

1. `host_quantiser` takes away what the host does, if the network takes floats.
2. `passes` bring the graph to a plain form.
3. `write_layers` walks along it; `pending` collects elementwise operations until a layer needs
   integers. `evaluate` then computes their float32 values for all integers that can reach them,
   `common_scale` writes these values as one scale times integers, and `thresholds` turns them into
   a layer. `negate` mirrors channels whose values fall.
4. `scores` finds integer scores with the order of the float scores.
5. `pads` sets the codes of padding.

May import `graph`, `ir` and `xnorflow.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator

from xnorflow.graph.ops import Graph
from xnorflow.ir import IntegerNetwork
from xnorflow.ir.verify import verify
from xnorflow.lower.host_quantiser import quantise_on_host
from xnorflow.lower.negate import OffCentre
from xnorflow.lower.pads import resolve_pads
from xnorflow.lower.passes import PASSES, check_constants
from xnorflow.lower.write_layers import walk


def lower(graph: Graph) -> IntegerNetwork:
    """Build the integer network of an imported network.

    Its scores order any two classes of a frame exactly as the graph's float32 scores do, ties
    included, if each sum of products is rounded to float32 once. `IntegerNetwork.notes` names the
    sums for which a framework's own order of summation could round differently.

    Parameters
    ----------
    graph : Graph
        An imported network, from `xnorflow.frontend.read`.

    Returns
    -------
    IntegerNetwork
        A network that passes `xnorflow.ir.verify`.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the graph has no exact integer form; the message names the node.
    """
    *_, (_, net) = lowering_steps(graph)
    assert isinstance(net, IntegerNetwork)
    return net


def lowering_steps(graph: Graph) -> Iterator[tuple[str, Graph | IntegerNetwork]]:
    """Yield the name and the result of each step of `lower`.

    Yields
    ------
    name : str
        "imported", then the name of each pass, and last "integer".
    result : Graph or IntegerNetwork
        The imported graph without the operations that the host computes, then the graph after each
        pass, and last the integer network. All order the scores of a frame in the same way.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        As for `lower`.
    """
    graph = quantise_on_host(check_constants(graph))
    yield "imported", graph
    for tidy in PASSES:
        graph = tidy(graph)
        yield tidy.__name__, graph
    try:
        net = walk(graph)
    except OffCentre:
        # Alphabets with 0 in the middle are wider, so they are used only where they are needed.
        net = walk(graph, centred=True)
    verify(net)
    net = resolve_pads(net)
    verify(net)
    yield "integer", net
