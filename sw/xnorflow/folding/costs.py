"""Compute the resources of every folding of an engine, and of every gearbox between two engines.

The numbers come from the resource model (`engine_resources` and `gearbox_resources`). They are kept
in arrays, so that the search can compare thousands of foldings at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.folding.narrowest import foldings
from xnorflow.ir import Ints
from xnorflow.plan.arrays.edge_array import factor_bits, part_number
from xnorflow.plan.fabric import form_on
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.products import can_multiply, choose, plane_number
from xnorflow.plan.reductions import Fold, ProductForm, Reduction
from xnorflow.plan.weight_words import weight_bits
from xnorflow.resources.engine import ComputedCodes, EdgeSums, EngineSummary, Products
from xnorflow.resources.usage import Resources, gearbox_resources, read_only, resources_by_storage
from xnorflow.schedule import regrouping
from xnorflow.storage.blocks import spram_number
from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.spec import IN_SPRAM, GearboxSpec, RomSpec

Reals = NDArray[np.float64]

IN_LUTS = (RomSpec("distributed"),)
"""Storage of weights that saves block RAM, as an alternative to what the model would choose."""
_PIPELINE = 12
"""Approximate cycles from a reduction's last beat to its result; a queue needs room for as many."""


@dataclass(frozen=True)
class Prices:
    """Cost of a block RAM, of a flip-flop and of a DSP block, in LUTs."""

    block: float = 0.0
    ff: float = 0.0
    dsp: float = 0.0


def _table(found: Sequence[Resources]) -> Reals:
    return np.array([(r.luts, r.ffs, r.ram_blocks) for r in found], float).reshape(-1, 3)


def _priced(table: Reals, prices: Prices) -> Reals:
    return table @ np.array([1.0, prices.ff, prices.block])


def refolded(
    example: EngineSummary, part: Part, fold: Fold, family: Family, dsps: int = 0
) -> EngineSummary:
    """Return the summary of an engine at another folding than that of `example`.

    It has no gearbox. The depths of its buffer and queue are approximate, because the exact ones
    depend on the neighbouring engines.

    Parameters
    ----------
    example : EngineSummary
        Summary of the engine at some folding.
    part : Reduction or Joint
        Part that the engine computes.
    fold : Fold
        Folding to describe.
    family : Family
        FPGA family that decides the form of the array's sums.
    dsps : int
        DSP blocks that the array may take.
    """
    if isinstance(part, Joint):
        return _rejoined(example, part, fold)
    conv = part.weighted
    words, blocks = ceil(part.inp.channels / fold.simd), part.groups_at_once(fold)
    repeat = part.repeat(fold)
    passes = ceil(part.out_channels / example.pe)
    before, after = part.borders(example.at_once).classes, part.borders(fold.pixels).classes
    # A row of constants for each pass and class of borders; in it, sets for the pixels at once.
    rows = repeat * len(after), passes * len(before)
    constants = fold.pe * len(after[0]), example.pe * len(before[0])
    taps = part.layer.window.kernel[0] * part.layer.window.kernel[1]
    beats = taps * part.words(fold)
    example_words = ceil(part.inp.channels * example.act_bits / example.buffer_width)
    depth = ceil(example.buffer_depth * words / example_words / fold.pixels)
    if fold.pixels > 1:
        depth = 1 << (depth - 1).bit_length()
    multiplier = choose(part, fold, family, dsps).multiplier
    products, planes, width = None, example.weight_planes, example.weight_planes
    if can_multiply(part):
        assert isinstance(part.layer, ir.Conv)
        planes = width = plane_number(part.layer.weights)
        if multiplier == "factors":
            planes = 2
        elif multiplier is not None:
            planes, width = 1, weight_bits(part.layer.weights)
            products = Products(multiplier, width)
    edges = _edges(part, fold, multiplier)
    if edges is not None:
        # A word holds the bits of both planes of every edge, and the factors of every sum.
        parts = edges.number // edges.edges
        width = 2 * edges.edges + ceil(edges.number * edges.factor_bits / (edges.lanes * parts))
    form = (
        form_on(
            family.fabric,
            pe=fold.pe,
            simd=fold.simd if edges is None else edges.lanes * blocks,
            pixels=fold.pixels,
            blocks=blocks,
            bits=example.act_bits,
            planes=planes - example.masked,
            words=repeat * beats,
            masked=example.masked,
        )
        if conv and products is None and example.lookups is None
        else ""
    )
    return replace(
        example,
        pe=fold.pe,
        simd=fold.simd if conv else 1,
        blocks=blocks if conv else 1,
        at_once=fold.pixels,
        cycles=part.cycles(fold),
        rom_depth=repeat * beats if conv else 0,
        rom_width=example.lookups.word_bits(fold.pe, fold.simd)
        if example.lookups is not None
        else part.lanes(fold) * width * conv,
        weight_planes=planes,
        products=products,
        edges=edges,
        buffer_depth=depth,
        buffer_width=fold.simd * example.act_bits,
        threshold_rows=ceil(example.threshold_rows * rows[0] / rows[1]),
        gearbox=None,
        threshold_words=tuple(
            ceil(w * constants[0] / constants[1]) for w in example.threshold_words
        ),
        form=form,
        rom=stored.ROM if form == stored.FORM else None,
        threshold_rom=None,
        buffer_ram="auto",
        repeat=repeat,
        streams=tuple(stream.widened(1) for stream in example.streams),
        tail_bits=ceil(example.tail_bits * fold.pe * fold.pixels / example.pe / example.at_once),
        computed=_computed_codes(example, rows, constants),
        queue_depth=max(repeat + 1 if fold.pixels > 1 else 1, ceil((_PIPELINE + 2) / beats)),
    )


def _edges(part: Reduction, fold: Fold, multiplier: ProductForm | None) -> EdgeSums | None:
    """Return the sums of an array whose weights are sums of edges; None for any other."""
    layer = part.layer
    if not isinstance(layer, ir.Conv) or (layer.edges is None and multiplier != "factors"):
        return None
    parts = part_number(part, fold)
    lanes = fold.simd // part.groups_at_once(fold) // parts
    count = layer.edge_count
    return EdgeSums(count * parts, lanes, factor_bits(layer), count)


def _rejoined(example: EngineSummary, part: Joint, fold: Fold) -> EngineSummary:
    """Return the summary of a joint at another folding than that of `example`."""
    share, repeat = fold.pe / example.pe, part.repeat(fold)
    before = ceil(part.out_channels / example.pe)
    assert example.join is not None
    return replace(
        example,
        pe=fold.pe,
        cycles=part.cycles(fold),
        buffer_depth=ceil(example.buffer_depth / share),
        buffer_width=ceil(example.buffer_width * share),
        threshold_rows=ceil(example.threshold_rows * repeat / before),
        gearbox=None,
        threshold_words=tuple(ceil(w * share) for w in example.threshold_words),
        threshold_rom=None,
        buffer_ram="auto",
        tail_bits=ceil(example.tail_bits * share),
        computed=_computed_codes(example, (repeat, before), (fold.pe, example.pe)),
        queue_depth=_PIPELINE + 2,
        join=example.join.widened(share),
        streams=tuple(stream.widened(share) for stream in example.streams),
    )


def _computed_codes(
    example: EngineSummary, rows: tuple[int, int], width: tuple[int, int]
) -> ComputedCodes | None:
    """Return the tail that computes codes at a folding, if there is one.

    Parameters
    ----------
    example : EngineSummary
        Summary of the engine at another folding.
    rows, width : tuple of int
        Rows of constants and constants of a row, at the folding and at the example's.
    """
    if (tail := example.computed) is None:
        return None
    return replace(
        tail,
        rows=ceil(tail.rows * rows[0] / rows[1]),
        word_bits=ceil(tail.word_bits * width[0] / width[1]),
        late_depth=ceil(tail.late_depth * rows[0] / rows[1]),
        rom=None,
        late_rom=None,
        # At other foldings, a product that finds no DSP block is built of logic.
        dsp_widths=None,
    )


def _shapes(
    part: Part, example: EngineSummary, family: Family, pixels: int, dsps: int
) -> Iterator[tuple[Fold, EngineSummary]]:
    """Yield the summaries of all foldings, those that take DSP blocks also without any."""
    for fold in foldings(part, pixels):
        shape = refolded(example, part, fold, family, dsps)
        yield fold, shape
        if shape.products is not None and shape.products.multiplier == "dsp":
            yield fold, refolded(example, part, fold, family)


class EngineOptions:
    """All useful foldings of a reduction, with their speed and resources.

    Parameters
    ----------
    part : Reduction or Joint
        Part to fold.
    example : EngineSummary
        Summary of its engine at some folding.
    family : Family
        FPGA family whose resources are counted.
    pixels : int
        Most output pixels at once.
    sprams, dsps : int
        SPRAMs and DSP blocks that the device has.

    Attributes
    ----------
    folds : list of Fold
        The foldings; a folding is repeated for each storage that its weights may have, and with and
        without DSP blocks.
    cycles : int array [folds]
        Beats per frame.
    takes : float array [folds, 3]
        LUTs, flip-flops and blocks of RAM.
    sprams, dsps : int array [folds]
        SPRAMs and DSP blocks.
    widths, lanes : int array
        Distinct SIMD and distinct PE, ascending.
    width_of, lane_of : int array [folds]
        Index of each folding's SIMD in `widths` and of its PE in `lanes`.
    """

    def __init__(
        self,
        part: Part,
        example: EngineSummary,
        family: Family,
        pixels: int,
        sprams: int = 0,
        dsps: int = 0,
    ) -> None:
        self.part = part
        self.folds: list[Fold] = []
        takes: list[Resources] = []
        for fold, shape in _shapes(part, example, family, pixels, dsps):
            # Weights that are stored in the LUTs of the sums have no storage to choose.
            choose = shape.rom is None and shape.rom_depth > 1
            in_blocks = choose and read_only(shape.rom_depth, shape.rom_width, family).ram_blocks
            storages = [shape.rom, *IN_LUTS[: bool(in_blocks)]]
            words, bits = shape.rom_depth, shape.rom_width
            if sprams and choose and spram_number(words, bits, family) <= sprams:
                storages.append(IN_SPRAM)
            found = resources_by_storage(shape, family, storages)
            self.folds += [fold] * len(found)
            takes += found
        self.cycles = np.array([part.cycles(f) for f in self.folds])
        self.takes = _table(takes)
        self.sprams = np.array([r.sprams for r in takes])
        self.dsps = np.array([r.dsps for r in takes])
        self.widths, self.width_of = np.unique([f.simd for f in self.folds], return_inverse=True)
        self.lanes, self.lane_of = np.unique([f.pe for f in self.folds], return_inverse=True)
        self._with = {int(n): self._by_lanes(self.sprams == n) for n in np.unique(self.sprams)}

    def cost(self, cycles: int, prices: Prices) -> Reals:
        """Return the cost of each folding in LUTs, infinite if it takes more than `cycles`."""
        cost = _priced(self.takes, prices)
        if prices.dsp:
            cost = cost + prices.dsp * self.dsps
        return np.where(self.cycles <= cycles, cost, np.inf)

    def best_by_lanes(self, cost: Reals, sprams: int = 0) -> tuple[Reals, Ints]:
        """Return the least cost for each entry of `lanes`, and the index of the folding with it.

        Only foldings that take exactly `sprams` SPRAMs count.
        """
        best, pick = np.full(len(self.lanes), np.inf), np.zeros(len(self.lanes), np.int64)
        if sprams in self._with:
            folds, begins, lanes = self._with[sprams]
            found = cost[folds]
            best[lanes[begins]] = np.minimum.reduceat(found, begins)
            equal = np.flatnonzero(found == best[lanes])
            # Of equal foldings the first one counts, which is assigned last.
            pick[lanes[equal[::-1]]] = folds[equal[::-1]]
        return best, pick

    def _by_lanes(self, these: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
        """Return foldings in the order of their PE, where each PE begins, and its index in `lanes`.

        Parameters
        ----------
        these : bool array [folds]
            Foldings to return.
        """
        folds = np.flatnonzero(these)
        folds = folds[np.argsort(self.lane_of[folds], kind="stable")]
        lanes = self.lane_of[folds]
        return folds, np.unique(lanes, return_index=True)[1], lanes


@dataclass(eq=False)
class LinkOptions:
    """All gearboxes between the possible PE of one engine and the possible SIMD of the next.

    Parameters
    ----------
    bits : int
        Bits of an element.
    group_in, group_out : int
        Elements per group before and after the gearbox.
    elements : int
        Elements per frame.
    lanes, widths : int array
        Possible numbers of elements per beat before and after the gearbox.
    family : Family
        FPGA family whose resources are counted.
    """

    bits: int
    group_in: int
    group_out: int
    elements: int
    lanes: Ints
    widths: Ints
    family: Family

    def __post_init__(self) -> None:
        """Compute bounds of the cycles per frame; `fast` computes exact ones where they matter."""
        ins = self.elements // self.group_in * -(-self.group_in // self.lanes)[:, None]
        outs = self.elements // self.group_out * -(-self.group_out // self.widths)[None]
        self.least, self.most = np.maximum(ins, outs), ins + outs
        self._slow = 0, np.zeros_like(self.least, bool)

    def box(self, lane: int, width: int) -> GearboxSpec:
        """Return the gearbox for the given indices of `lanes` and `widths`."""
        return GearboxSpec(
            self.bits, self.group_in, int(self.lanes[lane]), self.group_out, int(self.widths[width])
        )

    @cached_property
    def takes(self) -> Reals:
        """LUTs, flip-flops and blocks of RAM: float array [lanes, widths, 3]."""
        found = [
            gearbox_resources(self.box(i, o), self.family)
            for i in range(len(self.lanes))
            for o in range(len(self.widths))
        ]
        return _table(found).reshape(len(self.lanes), len(self.widths), 3)

    def fast(self, cycles: int) -> NDArray[np.bool_]:
        """Return which gearboxes pass a frame in `cycles` cycles: bool array [lanes, widths]."""
        open_ = (self.least <= cycles) & (self.most > cycles) & (self.least != self.most)
        # The beats repeat with the longer of the two groups, so one period is enough.
        period = max(self.group_in, self.group_out)
        for i, o in np.argwhere(open_):
            exact = regrouping.gearbox_cycles(self.box(i, o), period) * (self.elements // period)
            self.least[i, o] = self.most[i, o] = exact
        return np.asarray(self.most <= cycles)

    def cost(self, cycles: int, prices: Prices) -> Reals:
        """Return the cost of each gearbox in LUTs: float array [lanes, widths].

        It is infinite for gearboxes that take more than `cycles` cycles per frame.
        """
        if self._slow[0] != cycles:
            self._slow = cycles, ~self.fast(cycles)
        cost = _priced(self.takes, prices)
        cost[self._slow[1]] = np.inf
        return cost
