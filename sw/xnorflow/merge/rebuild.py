"""Rebuild a network from changed layers, and check that it still computes what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from xnorflow import ir
from xnorflow.ir.layer_graph import without_usual_inputs
from xnorflow.ir.reach import reached
from xnorflow.ir.verify import verify

NOTE = "Merged: "
"""How the notes begin that say what was merged."""


def rebuilt(
    net: ir.IntegerNetwork,
    layers: Iterable[ir.Layer],
    renamed: Mapping[str, str],
    note: str = "",
) -> ir.IntegerNetwork | None:
    """Return a network with other layers.

    Parameters
    ----------
    net : IntegerNetwork
        The network before.
    layers : iterable of Layer
        Layers in order of execution, each with all inputs; those that nothing reads are left out.
    renamed : mapping of str to str
        What is read in place of layers that are gone.
    note : str
        What was merged, for the network's notes.

    Returns
    -------
    IntegerNetwork or None
        None where the layers are none that a network may have: sums would be too wide, the codes
        that a table or a padding stands for would be others, or a score would depend on padding
        alone.
    """

    def final(name: str) -> str:
        while name in renamed:
            name = renamed[name]
        return name

    found = [replace(x, inputs=tuple(map(final, x.inputs))) for x in layers]
    needed = {found[-1].name}
    kept: list[ir.Layer] = []
    for layer in reversed(found):
        if layer.name in needed:
            needed |= set(layer.inputs)
            kept.append(layer)
    notes = (*net.notes, NOTE + note) if note else net.notes
    made = replace(net, layers=without_usual_inputs(kept[::-1]), notes=notes)
    try:
        verify(made)
    except ValueError:
        return None
    if reached(net).all() and not reached(made).all():
        return None
    before = dict(_alphabets_of_codes(net))
    same = all(before.get(name, read) == read for name, read in _alphabets_of_codes(made))
    return made if same else None


def _alphabets_of_codes(net: ir.LayerGraph) -> Iterator[tuple[str, ir.Alphabet]]:
    """Yield the layers with constants that are codes of their input, with its alphabet."""
    for layer, inp, _ in net:
        padded = isinstance(layer, ir.SumPool) and any(layer.window.pads)
        if padded or isinstance(layer, ir.CodeTable):
            yield layer.name, inp.alphabet


def readers(layers: Iterable[ir.Layer]) -> Counter[str]:
    """Return how often each map is read, by the name of the layer that makes it."""
    return Counter(name for layer in layers for name in layer.inputs)


def sources(layers: Sequence[ir.Layer]) -> tuple[str, ...]:
    """Return the nodes of the file that some layers came from, each once."""
    return tuple(dict.fromkeys(node for layer in layers for node in layer.sources))


def words(layers: Sequence[ir.Layer]) -> str:
    """Return the names of layers in a sentence."""
    names = [layer.name for layer in layers]
    return f"{', '.join(names[:-1])} and {names[-1]}"
