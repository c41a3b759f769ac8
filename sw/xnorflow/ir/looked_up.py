"""The layer of a product-quantised convolution that looks its products up in a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Alphabet, Ints, weight_alphabet
from xnorflow.ir.features import Features, Window, window_sums
from xnorflow.ir.field_checks import check_padding, check_window, integers, need
from xnorflow.ir.layer import Layer, LayersBefore, Mask
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import Conv, any_tap

Net = TypeVar("Net", bound=LayerGraph)
MAX_WEIGHTS = 1 << 26
"""Most weights of a convolution that takes the place of lookups."""


@dataclass(frozen=True, eq=False)
class Gather(Layer):
    """Sum of table entries that constants choose, for each output channel.

    The channels of the input form M equal parts, in order, which are tables of as many entries. At
    each tap of the window, an output takes one entry of every table. So it is a convolution with
    weights of 0 and 1, of which M are 1 at each tap (Wu et al., arXiv:1512.06473).

    Parameters
    ----------
    indices : int64 array [out_channels, kernel_rows, kernel_cols, M]
        The entry that is taken of each table, counted within the table.
    words : int
        Entries of a table.
    negative : bool array [out_channels]
        Whether an output is the negative of its sum.
    window : Window
        Geometry; the kernel equals the middle axes of the indices.
    pad_value : int
        Value of a padded entry; it need not be in the input's alphabet.
    """

    indices: Ints
    words: int
    negative: NDArray[np.bool_]
    window: Window = Window()
    pad_value: int = 0
    kind: ClassVar[str] = "gather"

    @property
    def tables(self) -> int:
        """Number of tables, M."""
        return int(self.indices.shape[3])

    @property
    def lookups(self) -> int:
        """Number of entries that are added for an output value."""
        return int(np.prod(self.indices.shape[1:]))

    @property
    def index_bits(self) -> int:
        """Bits of an index."""
        return max(1, (self.words - 1).bit_length())

    @property
    def channels(self) -> Ints:
        """The input channel that each index means, in the shape of the indices."""
        return self.channels_of(self.indices, self.words)

    @staticmethod
    def channels_of(indices: Ints, words: int) -> Ints:
        """Return the channels that indices [..., tables] mean in tables of as many words."""
        found: Ints = indices + words * np.arange(indices.shape[-1])
        return found

    def bounds(self, inp: Alphabet) -> tuple[Ints, Ints]:
        """Return bounds of each output channel's sum, two int64 arrays [out_channels].

        Any entry is assumed to have any value of the alphabet or, with padding, `pad_value`.
        """
        lo, hi = inp.lo, inp.hi
        if any(self.window.pads):
            lo, hi = min(lo, self.pad_value), max(hi, self.pad_value)
        low, high = self.lookups * lo, self.lookups * hi
        return np.where(self.negative, -high, low), np.where(self.negative, -low, high)

    def output(self, inp: Features) -> Features:
        """Return the output's shape and, as alphabet, all integers between the bounds of sums."""
        out, rows, cols, tables = self.indices.shape
        if tables * self.words != inp.channels or (rows, cols) != self.window.kernel:
            raise ValueError(
                f"indices {self.indices.shape} [out, rows, columns, tables] of {self.words} entries"
                f" each do not fit {inp.channels} input channels and a kernel of"
                f" {self.window.kernel}"
            )
        lo, hi = self.bounds(inp.alphabet)
        return window_sums(self.window, inp, out, int(lo.min()), int(hi.max()))

    def check(self, inp: Features) -> None:
        """Check indices, signs, padding and window."""
        indices = integers(self.indices, 4, "indices")
        need(
            type(self.words) is int and self.words >= 1,
            f"tables of {self.words!r} entries are not possible",
        )
        need(
            indices.min() >= 0 and indices.max() < self.words,
            f"an index is out of range: they lie between {indices.min()} and {indices.max()}, and"
            f" a table has {self.words} entries",
        )
        need(
            isinstance(self.negative, np.ndarray)
            and self.negative.dtype == np.bool_
            and self.negative.shape == (len(indices),),
            "its field negative is not bool with an entry per output channel",
        )
        check_padding(self.pad_value)
        check_window(self.window, inp, every=False)

    def depends(self, alive: Mask) -> Mask:
        """Return for every window whether an entry that an output takes is alive."""
        out = len(self.indices)
        if alive.all():
            there = any_tap(np.ones((*alive.shape[:2], 1), np.bool_), self.window)
            return np.broadcast_to(there, (*there.shape[:2], out))
        top, left, bottom, right = self.window.pads
        x = np.pad(alive, ((top, bottom), (left, right), (0, 0)))
        view = np.lib.stride_tricks.sliding_window_view(x, self.window.extent, axis=(0, 1))
        (sy, sx), (dy, dx) = self.window.stride, self.window.dilation
        view = view[::sy, ::sx, :, ::dy, ::dx]
        found = np.zeros((*view.shape[:2], out), np.bool_)
        for ky, kx in np.ndindex(*self.window.kernel):
            found |= view[..., ky, kx][..., self.channels[:, ky, kx]].any(axis=3)
        return found

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Gather, Ints]:
        """Take the negative sums of marked channels."""
        return replace(self, negative=self.negative ^ mask), np.zeros(len(mask), np.int64)

    def code_of_padding(self, inp: Alphabet) -> int | None:
        """Return the code of `pad_value`, None if `inp` lacks that value, and 0 without padding."""
        return inp.code_of(self.pad_value) if any(self.window.pads) else 0


def tables(net: LayerGraph) -> tuple[int, ...]:
    """Return the places of lookups that alone read the 1 x 1 convolution right before them."""
    found = []
    for k, layer in enumerate(net.layers):
        read = net.reads[k][0]
        table = net.layers[read - 1] if read else None
        if (
            isinstance(layer, Gather)
            and isinstance(table, Conv)
            and table.window == Window()
            and read == k
            and net.readers[read] == (k,)
            and np.prod(layer.indices.shape[:3]) * table.groups * table.weights.shape[3]
            <= MAX_WEIGHTS
            and (layer.pad_value == 0 or not any(layer.window.pads))
        ):
            found.append(k)
    return tuple(found)


def multiplied(net: Net, at: int) -> Net:
    """Return a network in which a convolution takes the place of lookups and of their table.

    Parameters
    ----------
    net : IntegerNetwork
        A network.
    at : int
        Place of the lookups among its layers; one of `tables`.

    Returns
    -------
    IntegerNetwork
        A network of the same scores. The convolution has the name of the lookups.
    """
    table, layer = net.layers[at - 1 : at + 1]
    assert isinstance(layer, Gather) and isinstance(table, Conv)
    weights = _weights(layer, table)
    made = Conv(
        layer.name,
        weights,
        weight_alphabet(weights),
        layer.window,
        0,
        sources=tuple(dict.fromkeys((*table.sources, *layer.sources))),
        inputs=table.inputs,
    )
    return replace(net, layers=(*net.layers[: at - 1], made, *net.layers[at + 1 :]))


def _weights(layer: Gather, table: Conv) -> Ints:
    """Return the weights [out, rows, columns, in] that indices choose of a table's weights."""
    out, rows, columns, _ = layer.indices.shape
    per_group = table.weights.shape[3]
    by_group = np.zeros((len(table.weights), table.groups, per_group), np.int64)
    group = np.arange(len(by_group)) // (len(by_group) // table.groups)
    by_group[np.arange(len(by_group)), group] = table.weights[:, 0, 0]
    wide = by_group.reshape(len(by_group), -1)
    found = np.zeros((out, rows, columns, wide.shape[1]), np.int64)
    for m in range(layer.tables):
        found += wide[layer.channels[..., m]]
    return found * np.where(layer.negative, -1, 1)[:, None, None, None]


def all_multiplied(net: Net) -> Net:
    """Return a network with convolutions in place of all `tables`; it has the same scores."""
    while found := tables(net):
        net = multiplied(net, found[0])
    return net
