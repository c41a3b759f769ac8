"""Build one chain of layers from several equal ones, layer by layer.

The map of the one chain holds the channels of all: `places` says where those of each are. Layers
that act on each channel by itself take the constants of all. Convolutions that read one map have
the outputs of all; later ones have a group, or as many as before, for each chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xnorflow import ir
from xnorflow.ir.alphabet import Ints, weight_alphabet
from xnorflow.merge.chains import OneMap, ParallelChain
from xnorflow.merge.rebuild import sources


class Bundle:
    """One chain in place of several.

    Parameters
    ----------
    chains : sequence of ParallelChain
        Chains with equal keys.
    interleaved : bool
        Whether the first layer's outputs are taken from the chains in turn, one by one, rather than
        all of a chain after those of the one before.

    Attributes
    ----------
    layers : dict of str to Layer
        The layers, each by the name of the last of those that it stands for.
    places : list of int64 array
        Where each chain's channels are among those of the last layer's map.
    """

    def __init__(self, chains: Sequence[ParallelChain], *, interleaved: bool = False) -> None:
        self.chains, self.interleaved = chains, interleaved
        self.layers: dict[str, ir.Layer] = {}
        self.places: list[Ints] = []
        self.before = chains[0].start
        self.flattened: tuple[int, int] | None = None
        """Size of a map that a `Flatten` has been left out for."""

    @property
    def channels(self) -> int:
        """Channels of the one map."""
        return sum(map(len, self.places))

    @property
    def in_order(self) -> bool:
        """Whether each chain's channels follow those of the chain before."""
        return bool((np.concatenate(self.places) == np.arange(self.channels)).all())

    def grow(self, level: int) -> bool:
        """Add the layers with a number, counted from the first; return whether that is possible."""
        members = [chain.layers[level] for chain in self.chains]
        inputs = [chain.inputs[level] for chain in self.chains]
        if isinstance(members[0], ir.Flatten):
            return self._flatten(level, members, inputs[0])
        made: ir.Layer | None
        if isinstance(members[0], ir.Conv):
            made = self._conv(members, level)
        else:
            # One map does not have the channels of all.
            made = self._by_channel(members, inputs) if level else None
        if made is None:
            return False
        self._put(members, made)
        return True

    def sum_of(self, multiply: Ints) -> bool:
        """Add the last layers, convolutions, as one that sums over all chains.

        Parameters
        ----------
        multiply : int64 array [chains, channels]
            Factor of each chain's results.
        """
        members = [chain.layers[-1] for chain in self.chains]
        first = members[0]
        if not isinstance(first, ir.Conv) or first.groups != 1:
            return False
        weights = np.zeros((*first.weights.shape[:3], self.channels), np.int64)
        for conv, places, factors in zip(members, self.places, multiply, strict=True):
            assert isinstance(conv, ir.Conv)
            weights[..., places] = conv.weights * factors[:, None, None, None]
        self._put(members, replace(first, weights=weights, alphabet=weight_alphabet(weights)))
        return True

    def sum_in_turn(self, multiply: Ints, total: ir.Add) -> None:
        """Add a layer that sums the channels of all chains, which are interleaved.

        Parameters
        ----------
        multiply : int64 array [chains, channels]
            Factor of each chain's channels.
        total : Add
            The sum that it stands for.
        """
        weights = np.ascontiguousarray(multiply.T[:, None, None, :], np.int64)
        alphabet = weight_alphabet(weights)
        made = ir.Conv(total.name, weights, alphabet, groups=len(weights), sources=total.sources)
        self.layers[total.name] = replace(made, inputs=(self.before,))
        self.before = total.name

    def _put(self, members: Sequence[OneMap], made: ir.Layer) -> None:
        """Add a layer that stands for several."""
        name = members[0].name
        of = sources(members)
        self.layers[members[-1].name] = replace(made, name=name, inputs=(self.before,), sources=of)
        self.before = name

    def _flatten(self, level: int, members: Sequence[OneMap], inp: ir.Features) -> bool:
        """Add a `Flatten`, or leave it out in front of a convolution of the whole map."""
        height, width = inp.shape[:2]
        rest = self.chains[0].layers[level + 1 :]
        if len(rest) > 1 or (rest and not isinstance(rest[0], ir.Conv)):
            if not isinstance(rest[0], ir.Conv) or not self.in_order:
                return False
            self.flattened = (height, width)
            return True
        pixels = np.arange(height * width)[:, None] * self.channels
        places = [(pixels + found).ravel() for found in self.places]
        self._put(members, members[0])
        self.places = places
        return True

    def _conv(self, members: Sequence[Any], level: int) -> ir.Conv | None:
        """Return one convolution; None where there is none."""
        first = members[0]
        outs = [len(conv.weights) for conv in members]
        if level == 0:
            if first.groups > 1 or (self.interleaved and len(set(outs)) > 1):
                return None
            self.places = _turns(outs) if self.interleaved else _blocks(outs)
            weights = np.empty((sum(outs), *first.weights.shape[1:]), np.int64)
            for conv, places in zip(members, self.places, strict=True):
                weights[places] = conv.weights
            return replace(first, weights=weights, alphabet=weight_alphabet(weights))
        if not self.in_order:
            return None
        weights, window = np.concatenate([conv.weights for conv in members]), first.window
        groups = first.groups
        if self.flattened is not None:
            if groups > 1:
                return None
            weights = weights.reshape(len(weights), *self.flattened, -1)
            window, self.flattened = ir.Window(self.flattened), None
        self.places = _blocks(outs)
        return replace(
            first,
            weights=weights,
            alphabet=weight_alphabet(weights),
            window=window,
            groups=groups * len(members),
        )

    def _by_channel(self, members: Sequence[Any], inputs: Sequence[ir.Features]) -> ir.Layer:
        """Return one layer that does to each channel what its own chain does."""
        first, channels = members[0], [f.channels for f in inputs]

        def all_of(name: str) -> Any:
            return self._scattered([getattr(x, name) for x in members])

        match first:
            case ir.Threshold():
                return replace(first, thresholds=all_of("thresholds"))
            case ir.CodeTable():
                return replace(first, table=all_of("table"))
            case ir.Rescale():
                names = ("multiply", "offset", "least", "most")
                return replace(first, **{name: all_of(name) for name in names})
            case ir.MaxPool():
                return replace(first, minimum=all_of("minimum"))
            case ir.SumPool() | ir.Stretch():
                return first
            case ir.Add():
                rows = [
                    np.broadcast_to(x.multiply[0], n)
                    for x, n in zip(members, channels, strict=True)
                ]
                factors = self._scattered(rows)[None]
                same = (factors == factors[:, :1]).all()
                return replace(first, multiply=factors[:, :1].copy() if same else factors)
            case ir.AddMap():
                size = inputs[0].shape[:2]
                maps = [
                    np.broadcast_to(x.values, (*size, n))
                    for x, n in zip(members, channels, strict=True)
                ]
                values = self._scattered([np.moveaxis(v, 2, 0) for v in maps])
                return replace(first, values=np.ascontiguousarray(np.moveaxis(values, 0, 2)))
            case _:
                raise TypeError(f"layers of type {type(first).__name__} do not become one")

    def _scattered(self, constants: Sequence[Any]) -> Any:
        """Return the constants [channels, ...] of all chains as those of the one map."""
        found = np.empty((self.channels, *constants[0].shape[1:]), constants[0].dtype)
        for own, places in zip(constants, self.places, strict=True):
            found[places] = own
        return found


def _blocks(counts: Sequence[int]) -> list[Ints]:
    """Return the places of channels of which those of each chain follow one another."""
    return np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])


def _turns(counts: Sequence[int]) -> list[Ints]:
    """Return the places of channels that are taken from the chains in turn."""
    return [np.arange(counts[0]) * len(counts) + k for k in range(len(counts))]
