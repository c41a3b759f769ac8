"""Tables of steps that `kernels.cpp` executes, made from parts of a network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Alphabet, Ints
from xnorflow.ir.features import Features, Window
from xnorflow.ir.joins import Add
from xnorflow.ir.layer import Layer
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import (
    Conv,
    Flatten,
    InputTable,
    MaxPool,
    Rescale,
    SumPool,
    Threshold,
)
from xnorflow.ir.stretches import AddMap

LIMIT = 1 << 30
"""Values and sums are smaller than that: int32 holds them, and differences of two."""
EXACT = 1 << 24
"""Integers up to that are exact in float32."""
PLANES = 2
"""Most bits of a code that is kept in planes of bits; wider ones are kept as values."""
SHORT = 32
"""Sums of fewer products are faster in float32 than as counts of bits."""


class StepKind(IntEnum):
    """The enumeration Kind of `kernels.cpp`."""

    TABLE_BITS = 0
    TABLE_WIDE = auto()
    SAMPLES = auto()
    CONV_BITS = auto()
    CONV_WIDE = auto()
    THRESHOLD = auto()
    MAX_BITS = auto()
    MAX_WIDE = auto()
    SUM_POOL = auto()
    FLATTEN_BITS = auto()
    UNPACK = auto()
    RESCALE = auto()


FIELDS = (
    "kind", "h", "w", "c", "oh", "ow", "oc", "kh", "kw", "sy", "sx", "dy", "dx", "top", "left",
    "groups", "pin", "pout", "lo", "step", "levels", "wplanes", "per_sum", "per_count",
    "p0", "p1", "p2", "p3", "in_words", "out_words", "pad",
)  # fmt: skip
"""The enumeration Field of `kernels.cpp`."""


@dataclass(frozen=True, eq=False)
class StepTable:
    """Steps that compute layers each of which alone reads the one before.

    Parameters
    ----------
    steps : int64 array [steps, fields]
        The table; some fields are addresses of `kept`.
    kept : tuple of array
        Weights, thresholds and tables that the steps point to.
    first, end : int
        The layers that they compute, as a range of indices.
    source : int
        Map that the first of these reads, as an index; 0 is the frame, whose codes are read.
    out : Features
        Feature map after the last of these.
    most : int
        Words of 64 bits that the largest map of a frame takes.
    """

    steps: NDArray[np.int64]
    kept: tuple[NDArray[Any], ...]
    first: int
    end: int
    source: int
    out: Features
    most: int


def step_tables(net: LayerGraph) -> list[StepTable]:
    """Return the steps of all parts of a network that are worth it, which are those with sums.

    Joins, layers that the kernels do not know, and those whose values they do not hold are left to
    the golden model.
    """
    found = []
    first = 0
    while first < len(net.layers):
        builder = _Builder(net, first)
        end = builder.all_steps()
        if any(isinstance(layer, Conv) for layer in net.layers[first:end]):
            found.append(builder.table(end))
        first = max(first + 1, end)
    return found


def _alone(net: LayerGraph, first: int) -> int:
    """Return the end of the layers from `first` on of which each alone reads the one before."""
    end = first + 1
    while end < len(net.layers) and net.reads[end] == (end,) and net.readers[end] == (end,):
        end += 1
    return end


def _words(count: int) -> int:
    """Return the number of words of 64 bits that `count` bits take."""
    return -(-count // 64)


def _planes(alphabet: Alphabet) -> int:
    """Return the planes in which codes of an alphabet are kept; 0 if values are."""
    return alphabet.bits if alphabet.bits <= PLANES else 0


def _held(alphabet: Alphabet) -> bool:
    """Return whether the kernels hold the values of an alphabet."""
    return max(abs(alphabet.lo), abs(alphabet.hi)) < LIMIT


def _packed(bits: NDArray[Any]) -> NDArray[np.uint64]:
    """Return rows of bits [rows, bits] as words [rows, words], the first bit the lowest."""
    padded = np.zeros((len(bits), 64 * _words(bits.shape[1])), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, 1, bitorder="little").view("<u8").astype(np.uint64)


@dataclass
class _Builder:
    """Collect steps; `planes` are those of the map that the next one reads, 0 if it has values."""

    net: LayerGraph
    first: int
    planes: int = 0
    steps: list[dict[str, int]] = field(default_factory=list)
    kept: list[NDArray[Any]] = field(default_factory=list)

    def all_steps(self) -> int:
        """Write the steps of as many layers as possible, and return the end of these."""
        maps, stop = self.net.features, _alone(self.net, self.first)
        layers = self.net.layers[:stop]
        done, inp = self.first, maps[self.source]
        if not _held(inp.alphabet):
            return done
        if self.source:
            self._load(inp)
        elif not isinstance(layers[done], InputTable):
            self._add(StepKind.SAMPLES, inp, inp, 0, lo=inp.alphabet.lo, step=inp.alphabet.step)
        while done < stop and _held(maps[done + 1].alphabet):
            layer, out = layers[done], maps[done + 1]
            follower = layers[done + 1] if done + 1 < stop else None
            fused = isinstance(layer, Conv) and isinstance(follower, Threshold)
            if fused and not _held(maps[done + 2].alphabet):
                fused = False
            after = follower if fused and isinstance(follower, Threshold) else None
            if isinstance(layer, InputTable) and isinstance(follower, Flatten):
                # Pixels of one channel would take a word each.
                self._flat_table(layer, inp, maps[done + 2])
                done += 2
            elif self._layer(layer, inp, out, after):
                done += 2 if fused else 1
            else:
                break
            inp = maps[done]
        self._unpack(inp)
        return done

    @property
    def source(self) -> int:
        """The map that the first layer reads, the first of several."""
        return self.net.reads[self.first][0]

    def table(self, end: int) -> StepTable:
        """Return the table of the steps that compute the layers up to `end`."""
        steps = np.array([[step[name] for name in FIELDS] for step in self.steps], np.int64)
        most = int(steps[:, [FIELDS.index("in_words"), FIELDS.index("out_words")]].max())
        kept, out = tuple(self.kept), self.net.features[end]
        return StepTable(steps, kept, self.first, end, self.source, out, most)

    def _load(self, inp: Features) -> None:
        """Write the steps that read a map of values, and bring few-valued ones into planes."""
        self._add(StepKind.SAMPLES, inp, inp, 0, lo=0, step=1)
        self._pack(inp)

    def _pack(self, inp: Features) -> None:
        """Write a step from values to codes in planes, if they are to be kept so."""
        a = inp.alphabet
        if planes := _planes(a):
            bounds = a.values(np.arange(1, a.levels))
            packing = Threshold("packing", np.tile(bounds, (inp.channels, 1)), a)
            self._add(StepKind.THRESHOLD, inp, inp, planes, None, **self._cut(packing))

    def _layer(self, layer: Layer, inp: Features, out: Features, after: Threshold | None) -> bool:
        """Write the steps of a layer, and of the thresholds after it; False if it is not known."""
        if isinstance(layer, InputTable):
            return self._table(layer, inp, out)
        if isinstance(layer, Conv):
            return self._conv(layer, inp, out, after)
        if isinstance(layer, Threshold):
            self._unpack(inp)
            self._add(
                StepKind.THRESHOLD, inp, out, _planes(layer.alphabet), None, **self._cut(layer)
            )
        elif isinstance(layer, MaxPool):
            minimum = layer.minimum
            kind = StepKind.MAX_WIDE
            marks: NDArray[Any] = minimum.astype(np.int32)
            if self.planes:
                kind, marks = StepKind.MAX_BITS, _packed(minimum[None])
            self._add(kind, inp, out, self.planes, layer.window, p0=self._keep(marks))
        elif isinstance(layer, SumPool):
            self._unpack(inp)
            pad = inp.alphabet.lo + inp.alphabet.step * layer.pad_code
            self._add(StepKind.SUM_POOL, inp, out, 0, layer.window, pad=pad)
        elif isinstance(layer, Rescale):
            bounds = (layer.least, layer.most)
            self._rescale(inp, out, layer.multiply, layer.offset, bounds, layer.shift)
        elif isinstance(layer, Add) and len(layer.multiply) == 1:
            factors = np.broadcast_to(layer.multiply[0], inp.channels)
            self._rescale(inp, out, factors, np.zeros(inp.channels, np.int64))
        elif isinstance(layer, AddMap) and layer.values.shape[:2] == (1, 1):
            constants = np.broadcast_to(layer.values[0, 0], inp.channels)
            self._rescale(inp, out, np.ones(inp.channels, np.int64), constants)
        elif isinstance(layer, Flatten):
            # Values lie in the right order as they are.
            if self.planes:
                self._add(StepKind.FLATTEN_BITS, inp, out, self.planes)
        else:
            return False
        return True

    def _rescale(
        self,
        inp: Features,
        out: Features,
        multiply: Ints,
        offset: Ints,
        bounds: tuple[Ints, Ints] | None = None,
        shift: int = 0,
    ) -> None:
        """Write products plus offsets; with `bounds` they are codes, otherwise values."""
        self._unpack(inp)
        a = out.alphabet
        least, most = bounds or (np.full(len(offset), sign * LIMIT) for sign in (-1, 1))
        self._add(
            StepKind.RESCALE, inp, out, 0, p0=self._keep64(multiply), p1=self._keep64(offset),
            p2=self._keep64(least), p3=self._keep64(most), levels=shift,
            lo=a.lo if bounds else 0, step=a.step if bounds else 1,
        )  # fmt: skip
        self._pack(out)

    def _flat_table(self, layer: InputTable, inp: Features, out: Features) -> None:
        """Write a table and the flattening after it as one table of a single pixel."""
        rows = layer.table
        if len(rows) > 1:
            rows = np.tile(rows, (inp.height * inp.width, 1))
        flat = Features(1, 1, inp.size, inp.alphabet)
        self._table(replace(layer, table=rows), flat, out)

    def _table(self, layer: InputTable, inp: Features, out: Features) -> bool:
        """Write a table of codes, or of values where they are kept."""
        planes = _planes(layer.alphabet)
        values = layer.table if planes else layer.alphabet.values(layer.table)
        kind = StepKind.TABLE_BITS if planes else StepKind.TABLE_WIDE
        table = self._keep(values.astype(np.int32))
        own = int(len(layer.table) > 1)
        self._add(kind, inp, out, planes, p0=table, pad=own, levels=layer.table.shape[1])
        return True

    def _cut(self, layer: Threshold) -> dict[str, int]:
        """Return the fields of thresholds; those beyond all values stay beyond them."""
        # A pointer of 0 means that there are none.
        found = np.clip(layer.thresholds.T, -LIMIT, LIMIT).astype(np.int32)
        a = layer.alphabet
        kept = self._keep(found if found.size else np.zeros(1, np.int32))
        return {"p3": kept, "levels": a.levels - 1, "lo": a.lo, "step": a.step}

    def _conv(self, layer: Conv, inp: Features, out: Features, after: Threshold | None) -> bool:
        """Write a convolution as counts of bits, or else in float32; False if neither is exact."""
        groups, weights = layer.groups, layer.weights.reshape(len(layer.weights), -1)
        codes, rest = np.divmod(weights - layer.alphabet.lo, layer.alphabet.step)
        bits, count = layer.alphabet.bits, weights.shape[1]
        a, b = inp.alphabet, layer.alphabet
        largest_code = (1 << self.planes) * (1 << bits)
        counts = count * largest_code * (a.step * b.step + a.step * abs(b.lo))
        extreme = max(abs(a.lo), abs(a.hi), abs(layer.pad_value))
        largest = int(np.abs(weights).sum(1).max()) * extreme
        cut = self._cut(after) if after else {}
        planes = _planes(after.alphabet) if after else 0
        if self.planes and bits <= PLANES and count >= SHORT and counts < LIMIT and not rest.any():
            constants, classes = _constants(layer, inp)
            if int(np.abs(constants).max()) >= LIMIT:
                return False
            rows = _packed(np.stack([codes >> p & 1 for p in range(bits)], 1).reshape(-1, count))
            # Words of four outputs of a group lie side by side.
            each = len(weights) // groups
            four = np.zeros((groups, -(-each // 4) * 4, bits, rows.shape[1]), np.uint64)
            four[:, :each] = rows.reshape(groups, each, bits, -1)
            four = four.reshape(-1, 4, bits, rows.shape[1]).transpose(0, 2, 3, 1)
            self._add(
                StepKind.CONV_BITS, inp, out, planes, layer.window, groups=groups, wplanes=bits,
                per_sum=a.step * b.lo, per_count=a.step * b.step, p0=self._keep(four),
                p1=self._keep(constants.astype(np.int32)), p2=self._keep(classes), **cut,
            )  # fmt: skip
            return True
        if largest >= EXACT or extreme >= EXACT:
            return False
        self._unpack(inp)
        each = len(weights) // groups
        padded = np.zeros((groups, count, -(-each // 16) * 16), np.float32)
        padded[:, :, :each] = weights.reshape(groups, each, count).transpose(0, 2, 1)
        self._add(
            StepKind.CONV_WIDE, inp, out, planes, layer.window, groups=groups,
            pad=layer.pad_value, p0=self._keep(padded), **cut,
        )  # fmt: skip
        return True

    def _unpack(self, inp: Features) -> None:
        """Write a step from codes in planes to values, if they are not values yet."""
        if self.planes:
            a = inp.alphabet
            self._add(StepKind.UNPACK, inp, inp, 0, lo=a.lo, step=a.step)

    def _keep64(self, values: Ints) -> int:
        return self._keep(values.astype(np.int64))

    def _keep(self, values: NDArray[Any]) -> int:
        """Keep an array, and return its address."""
        self.kept.append(np.ascontiguousarray(values))
        return self.kept[-1].ctypes.data

    def _add(
        self,
        kind: StepKind,
        inp: Features,
        out: Features,
        planes: int,
        window: Window | None = None,
        **more: int,
    ) -> None:
        """Write a step, after which the map has so many planes."""
        w = Window() if window is None else window
        step = dict.fromkeys(FIELDS, 0)
        step |= {"kind": kind, "h": inp.height, "w": inp.width, "c": inp.channels}
        step |= {"oh": out.height, "ow": out.width, "oc": out.channels}
        step |= dict(zip(("kh", "kw"), w.kernel, strict=True))
        step |= dict(zip(("sy", "sx"), w.stride, strict=True))
        step |= dict(zip(("dy", "dx"), w.dilation, strict=True))
        step |= {"top": w.pads[0], "left": w.pads[1], "groups": 1}
        step |= {"pin": self.planes, "pout": planes}
        step |= {"in_words": _size(inp, self.planes), "out_words": _size(out, planes)}
        self.steps.append(step | more)
        self.planes = planes


def _size(features: Features, planes: int) -> int:
    """Return how many words of 64 bits a frame's map takes."""
    pixels = features.height * features.width
    return pixels * planes * _words(features.channels) if planes else _words(32 * features.size)


def _constants(layer: Conv, inp: Features) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return what a sum has beside the counts of bits, by class of borders, and each pixel's class.

    Padded taps count as code 0, that is as the value `lo`; the constant makes them `pad_value`.

    Returns
    -------
    constants : int64 array [classes, out_channels]
        Constants.
    classes : int32 array [out_rows * out_columns]
        Class of each position of the window.
    """
    a, w = inp.alphabet, layer.window
    top, left, bottom, right = w.pads
    padded = np.pad(
        np.zeros((inp.height, inp.width), bool),
        ((top, bottom), (left, right)),
        constant_values=True,
    )
    view = np.lib.stride_tricks.sliding_window_view(padded, w.extent)
    view = view[:: w.stride[0], :: w.stride[1], :: w.dilation[0], :: w.dilation[1]]
    flat = view.reshape(view.shape[0] * view.shape[1], -1)
    masks, classes = np.unique(flat, axis=0, return_inverse=True)
    per_tap = layer.weights.sum(3).reshape(len(layer.weights), -1)
    constants = a.lo * per_tap.sum(1) + (layer.pad_value - a.lo) * (masks @ per_tap.T)
    return constants, classes.reshape(-1).astype(np.int32)
