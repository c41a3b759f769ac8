"""Parallel equal chains become one chain: ensembles, committees, cores, layers side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from xnorflow import ir
from xnorflow.ir.layer_graph import with_inputs
from xnorflow.merge.bundle import Bundle
from xnorflow.merge.chains import ParallelChain, chain_before
from xnorflow.merge.rebuild import readers, rebuilt, words
from xnorflow.merge.weight_sums import left_of_sum


def join_chains(net: ir.IntegerNetwork) -> Iterator[ir.IntegerNetwork]:
    """Yield networks in which some equal chains between a map and a join are one chain.

    The join is a `Concat` of channels, of which the one chain makes several neighbours, or an
    `Add`, of which it makes a part of the sum.
    """
    layers = with_inputs(net)
    by_name, read = {x.name: x for x in layers}, readers(layers)
    names = (ir.FRAME, *by_name)
    features = dict(zip(names, net.features, strict=True))
    for join in layers:
        beside = isinstance(join, ir.Concat) and join.axis == 2
        if not beside and not isinstance(join, ir.Add):
            continue
        found = [
            chain_before(name, k, by_name, features, read) for k, name in enumerate(join.inputs)
        ]
        for chains in _alike(found, adjacent=beside):
            made = (
                _beside(net, layers, join, chains)  # type: ignore[arg-type]
                if beside
                else _summed(net, layers, join, chains)  # type: ignore[arg-type]
            )
            if made is not None:
                yield made


def _alike(chains: Sequence[ParallelChain | None], *, adjacent: bool) -> list[list[ParallelChain]]:
    """Return the chains with equal keys, two or more each; with `adjacent`, only neighbours."""
    found: list[list[ParallelChain]] = []
    keys: list[object] = []
    for chain in chains:
        if chain is None:
            continue
        key = chain.key
        at = keys.index(key) if key in keys else -1
        if adjacent and at >= 0:
            at = max(k for k, known in enumerate(keys) if known == key)
            if found[at][-1].place != chain.place - 1:
                at = -1
        if at < 0:
            keys.append(key)
            found.append([])
        found[at].append(chain)
    return [group for group in found if len(group) > 1]


def _beside(
    net: ir.IntegerNetwork,
    layers: list[ir.Layer],
    join: ir.Concat,
    chains: list[ParallelChain],
) -> ir.IntegerNetwork | None:
    """Return the network with one chain in place of neighbours of a `Concat`."""
    bundle = Bundle(chains)
    if not all(bundle.grow(k) for k in range(len(chains[0].layers))) or not bundle.in_order:
        return None
    first, last = chains[0].place, chains[-1].place
    inputs = (*join.inputs[:first], bundle.before, *join.inputs[last + 1 :])
    rest: ir.Layer | None = ir.Concat(join.name, 2, sources=join.sources, inputs=inputs)
    renamed = {}
    if len(inputs) == 1:
        rest, renamed = None, {join.name: bundle.before}
    return _with(net, layers, chains, bundle, join, rest, renamed)


def _summed(
    net: ir.IntegerNetwork,
    layers: list[ir.Layer],
    join: ir.Add,
    chains: list[ParallelChain],
) -> ir.IntegerNetwork | None:
    """Return the network with one chain in place of some maps of a sum."""
    depth, places = len(chains[0].layers), [chain.place for chain in chains]
    last = chains[0].layers[-1]
    out = net.features[1 + [x.name for x in layers].index(join.name)].channels
    made = [net.features[1 + [x.name for x in layers].index(c.layers[-1].name)] for c in chains]
    if any(f.channels != out for f in made):
        return None
    multiply = np.broadcast_to(join.multiply, (len(join.inputs), out))[places]
    bundle = Bundle(chains, interleaved=not isinstance(last, ir.Conv))
    if isinstance(last, ir.Conv):
        if depth == 1 or not all(bundle.grow(k) for k in range(depth - 1)):
            return None
        if not bundle.sum_of(multiply):
            return None
        end = bundle.before
        rest, renamed = left_of_sum(join, places, end)
    else:
        if not all(bundle.grow(k) for k in range(depth)) or len(places) < len(join.inputs):
            return None
        bundle.sum_in_turn(multiply, join)
        rest, renamed = None, {}
    return _with(net, layers, chains, bundle, join, rest, renamed)


def _with(
    net: ir.IntegerNetwork,
    layers: list[ir.Layer],
    chains: list[ParallelChain],
    bundle: Bundle,
    join: ir.Layer,
    rest: ir.Layer | None,
    renamed: dict[str, str],
) -> ir.IntegerNetwork | None:
    """Return the network with a bundle in place of chains, and what is left of a join."""
    of = {layer.name: k for chain in chains for k, layer in enumerate(chain.layers)}
    # The one layer comes where the last of its members was, behind the last ones before them.
    order = {k: name for name, k in of.items()}
    for layer in layers:
        if layer.name in of:
            order[of[layer.name]] = layer.name
    at = {order[of[name]]: made for name, made in bundle.layers.items() if name in of}
    changed: list[ir.Layer] = []
    for layer in layers:
        if layer is join:
            if join.name in bundle.layers:
                changed.append(bundle.layers[join.name])
            elif rest is not None:
                changed.append(rest)
        elif layer.name in at:
            changed.append(at[layer.name])
        elif layer.name not in of:
            changed.append(layer)
    firsts = words([chain.layers[0] for chain in chains])
    what = "are one layer" if len(chains[0].layers) == 1 else "and what follows each are one chain"
    groups = [x for x in bundle.layers.values() if isinstance(x, ir.Conv) and x.groups > 1]
    grouped = f", of {len(chains)} groups" if groups else ""
    return rebuilt(net, changed, renamed, f"{firsts} {what}{grouped}.")
