"""XNOR-popcount array: PE output channels at once, SIMD inputs at once.

A beat passes three stages of a pipeline: the weights are read, the products of the beat are summed,
and the sum is accumulated. Activations are delayed until their weights have been read. The pipeline
never stalls; a beat without valid is a bubble.

With thresholds nothing is compared. An accumulation starts at 2^n - T instead of 0, so that its top
bit tells whether the sum has reached T.

Of a grouped convolution several groups may be computed at once. Inputs and output channels then
form blocks, and each output channel has weights only for the inputs of its own block.

Weights that are -1, 0 or 1 may be masked: a plane of signs, and one that is 0 where the weight is.

Several pixels at once use the same weights. Each has a lane that reads one bank of the feature
buffer. From one kernel column to the next a window's input moves to another bank, so its sum moves
to that bank's lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.array.rom_sums import RomSums
from xnorflow_hw.array.stored_sums import StoredSums
from xnorflow_hw.array.sums import Sums
from xnorflow_hw.base.lanes import check_bits, check_blocks, check_lanes, check_sizes, window_codes
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.fabric import accumulate
from xnorflow_hw.memory.rom import IMAGE_BITS, Rom, field_words
from xnorflow_hw.spec import IN_BLOCKS, RomSpec
from xnorflow_hw.spec.borders import ConstantSets
from xnorflow_hw.spec.kinds import Fabric, Style, SumForm


class DotArray(wiring.Component):
    """Accumulates weighted XNOR popcounts over the beats of a reduction.

    Parameters
    ----------
    pe : int
        Number of output channels computed at once.
    simd : int
        Number of inputs per beat.
    bits : int
        Width of an activation code in bits; each bit is a plane.
    coefficients : sequence of int
        Positive integer factor of each weight plane.
    weights : uint8 array [depth, planes, pe, simd / blocks]
        Weight bits, one word per beat, in the order in which the beats arrive. The first word
        follows the last one. With `masked` a mask follows the planes.
    acc_bits : int
        Width of a sum in bits; the sum is exact modulo ``2 ** acc_bits``.
    rows : int
        Number of values of `i_row`.
    thresholds : int array [rows, sets * pe], optional
        If given, the results are codes of one bit, ``sum >= threshold``, instead of sums. All sums
        then have to be below ``2 ** acc_bits``.
    sets : ConstantSets, optional
        Which set of thresholds each window has; by default there is one for all of them.
    pixels : int
        Number of windows at once.
    turn : int
        Number of lanes, modulo `pixels`, by which sums move with `i_turn`.
    lanes : sequence of int, length `pixels`
        The lane in which each window's sum ends.
    blocks : int
        Equal parts, in order, of inputs and output channels; each channel sums the inputs of its
        own part.
    masked : bool
        Whether inputs add nothing where their mask is 0.
    form, fabric : str
        How the products of a beat are summed, and with which logic cells; see `BeatSum`. The form
        "stored" keeps the weights in the LUTs that compare (see `StoredSums`); it is for one pixel,
        one block, codes of one bit, weights of one bit or masked ones, and 2 to 16 words.
    rom : RomSpec
        What the memory of the weights is built of.
    start_rom : RomSpec
        What the memory of the starting values is built of; only with thresholds.
    rom_register : bool
        Whether the memory of the weights has an output register.
    name : str
        Identifier of the weight memory's module and image; that of the thresholds is
        ``<name>_start``.
    style : {"amaranth", "verilog"}
        "verilog" instantiates the Verilog in `modules`.
    image_bits : int
        Memories of more bits than this go to a hex image.

    Members
    -------
    i_valid, i_first, i_last : In(1)
        A beat, and whether it is the first and the last one of its reduction.
    i_data : In(pixels * simd * bits)
        Activation codes; lane 0 lowest, and in each lane input 0 lowest.
    i_turn : In(1)
        Whether sums move to other lanes before this beat is added. Only with several pixels; it is
        0 in a first beat.
    load : In(LOAD_BITS + number of SPRAMs)
        The load bus of `SpramRom`; only where the weights are in SPRAM.
    i_row : In(range(rows)), at least one bit
        Passed on with the result; that of the last beat counts. Thresholds are those of the first
        beat's row.
    o_valid : Out(1)
        A result, `latency` cycles after the last beat.
    o_values : Out(pixels * pe * out_bits)
        Unsigned sums or codes; window 0 lowest, and in each window PE 0 lowest.
    o_row : Out(range(rows)), at least one bit
        Row of the result.

    Attributes
    ----------
    latency : int
        Clock cycles from the last beat to its result; see `dot_latency`.
    out_bits : int
        Width of a value in bits: `acc_bits`, or 1 with thresholds.
    sections : tuple of tuple of int
        Words to be loaded into each SPRAM; empty where there is none.
    modules, images : dict of str to str
        Verilog modules, by name, to append to the design, and hex images, by file name, to lie
        beside it.

    Raises
    ------
    ValueError
        If a size is not positive, shapes do not fit together, or the fabric lacks the form.
    """

    def __init__(
        self,
        *,
        pe: int,
        simd: int,
        bits: int,
        coefficients: Sequence[int],
        weights: NDArray[Any],
        acc_bits: int,
        rows: int = 1,
        thresholds: NDArray[Any] | None = None,
        sets: ConstantSets | None = None,
        pixels: int = 1,
        turn: int = 0,
        lanes: Sequence[int] = (0,),
        blocks: int = 1,
        masked: bool = False,
        form: SumForm = "tree",
        fabric: Fabric = "generic",
        rom: RomSpec = IN_BLOCKS,
        start_rom: RomSpec = IN_BLOCKS,
        rom_register: bool = True,
        name: str = "weights",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the parameters and create the memories."""
        check_sizes(
            pe=pe,
            simd=simd,
            bits=bits,
            acc_bits=acc_bits,
            rows=rows,
            pixels=pixels,
            blocks=blocks,
        )
        if not coefficients or min(coefficients) < 1:
            raise ValueError(
                f"coefficients are {tuple(coefficients)}; there has to be at least one, each 1 or"
                " more"
            )
        check_blocks(blocks, pe, simd)
        expected = (len(coefficients) + masked, pe, simd // blocks)
        if weights.ndim != 4 or weights.shape[1:] != expected or not len(weights):
            raise ValueError(f"weights have shape {weights.shape}, not (depth, *{expected})")
        check_bits(weights)
        check_lanes(lanes, pixels)
        self.pe, self.simd, self.bits, self.acc_bits, self.rows = pe, simd, bits, acc_bits, rows
        self.pixels, self.turn, self.lanes = pixels, turn % pixels, tuple(lanes)
        self.sets = ConstantSets((0,) * pixels, (0,) * pixels) if sets is None else sets
        self.blocks, self.masked = blocks, masked
        self.coefficients, self.weights, self.style = tuple(coefficients), weights, style
        options: dict[str, Any] = {"style": style, "image_bits": image_bits}
        self.fabric = fabric
        self._beats: Sums
        if form == stored.FORM:
            if (bits, self.coefficients, pixels, blocks) != (1, (1,), 1, 1):
                raise ValueError(
                    "form 'stored' needs one pixel, one block, codes of one bit and one plane of"
                    f" weights; here pixels is {pixels}, blocks is {blocks}, bits is {bits} and"
                    f" coefficients are {self.coefficients}"
                )
            if fabric not in stored.FABRICS or rom != stored.ROM:
                raise ValueError(
                    f"form 'stored' needs one of the fabrics {', '.join(stored.FABRICS)} and"
                    f" storage {stored.ROM.storage!r}, not {fabric!r} with {rom.storage!r}"
                )
            masks = weights[:, 1] if masked else None
            self._beats = StoredSums(weights=weights[:, 0], masks=masks, name=name, style=style)
        else:
            self._beats = RomSums(
                weights=weights,
                blocks=blocks,
                bits=bits,
                coefficients=self.coefficients,
                masked=masked,
                form=form,
                fabric=fabric,
                rom=rom,
                rom_register=rom_register,
                name=name,
                **options,
            )
        self.sections, self._load = self._beats.sections, self._beats.load
        self.latency = self._beats.latency + 1
        self.modules, self.images = dict(self._beats.modules), dict(self._beats.images)
        self.thresholds = thresholds
        self.out_bits, self._width = acc_bits, acc_bits
        if thresholds is not None:
            self.out_bits, self._width = 1, acc_bits + 1
            self._start = self._thresholds(thresholds, start_rom, f"{name}_start", options)
            self.modules |= self._start.modules
            self.images |= self._start.images
        if style == "verilog":
            text = accumulate.verilog_module(*self._size, **self._kind)
            self.modules[accumulate.module_name(*self._size, **self._kind)] = text
        row = index_shape(rows)
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(pixels * simd * bits),
                "i_first": In(1),
                "i_last": In(1),
                "i_row": In(row),
                **({"i_turn": In(1)} if pixels > 1 else {}),
                **({"load": In(self._load.shape())} if self._load is not None else {}),
                "o_valid": Out(1),
                "o_values": Out(pixels * pe * self.out_bits),
                "o_row": Out(row),
            }
        )

    def _thresholds(
        self, thresholds: NDArray[Any], rom: RomSpec, name: str, options: dict[str, Any]
    ) -> Rom:
        """Create the memory of the values that sums start with."""
        number = self.sets.number * self.pe
        if thresholds.shape != (self.rows, number):
            what = "pe" if self.sets.number == 1 else f"{self.sets.number} sets * pe ="
            expected = f"(rows {self.rows}, {what} {number})"
            raise ValueError(f"thresholds have shape {thresholds.shape}, not {expected}")
        if self.rows > 1 and self.latency < 2:
            raise ValueError(
                f"thresholds have {self.rows} rows, which a memory holds; with a latency of"
                f" {self.latency} the first beat is added before its threshold can be read"
            )
        # A threshold of 0 is always reached, as is any below; 2^acc_bits never is.
        start = (1 << self.acc_bits) - np.clip(thresholds, 0, 1 << self.acc_bits)
        # Block RAM is slow without an output register, so it gets as many registers as fit into
        # the time until the first sum of a beat is there.
        return Rom(
            words=field_words(start, self._width),
            width=number * self._width,
            storage=rom.storage,
            tiles=rom.tiles,
            register=self.latency > 2,
            registers=rom.registers and self.latency > 3,
            far=rom.far and self.latency > 3 + rom.extra,
            name=name,
            **options,
        )

    def model(
        self,
        codes: NDArray[Any],
        *,
        rows: NDArray[Any] | int = 0,
        turns: Sequence[int] = (),
    ) -> NDArray[np.int64]:
        """Return the results of reductions of which the first begins with the first weight word.

        Parameters
        ----------
        codes : int array [reductions, beats, (pixels,) simd]
            Activation codes of each lane; with one pixel the axis of lanes may be absent.
        rows : int array [reductions] or int
            Row of each reduction; needed only with thresholds.
        turns : sequence of int
            Indices of a reduction's beats before which sums move.

        Returns
        -------
        int64 array [reductions, (pixels,) pe]
            Sums, or codes with thresholds.
        """
        reductions, beats = codes.shape[:2]
        by_lane = codes.reshape(reductions, beats, self.pixels, self.simd)
        windows = window_codes(by_lane, lanes=self.lanes, turn=self.turn, turns=turns)
        total = np.zeros((reductions, self.pixels, self.pe), np.int64)
        # Each PE sees the codes of its own block.
        windows = windows.reshape(*windows.shape[:3], self.blocks, -1)
        windows = np.repeat(windows, self.pe // self.blocks, axis=3)
        word = np.arange(reductions * beats).reshape(reductions, beats) % len(self.weights)
        mask = self.weights[word, -1][:, :, None] if self.masked else 1
        for plane in range(self.bits):
            active = windows >> plane & 1
            for p, coefficient in enumerate(self.coefficients):
                agree = active == self.weights[word, p][:, :, None]
                total += (coefficient << plane) * (agree & mask).sum((1, 4), dtype=np.int64)
        total &= (1 << self.acc_bits) - 1
        if self.thresholds is not None:
            row = np.broadcast_to(rows, reductions)
            of_set = self.thresholds.reshape(self.rows, -1, self.pe)[row]
            total = (total >= of_set[:, list(self.sets.windows)]).astype(np.int64)
        return total.reshape(reductions, *codes.shape[2:-1], self.pe)

    def elaborate(self, platform: Any) -> Module:
        """Build the address counter, the sums of a beat and the accumulators."""
        m = Module()
        self._beats.add(m)
        if self._load is not None:
            m.d.comb += self._load.eq(self.load)
        address, depth = self._beats.address, self._beats.depth
        with m.If(self.i_valid):
            if depth & (depth - 1):
                last_word = Signal()
                m.d.comb += last_word.eq(address == depth - 1)
                m.d.sync += address.eq(Mux(last_word, 0, address + 1))
            elif depth > 1:
                m.d.sync += address.eq(address + 1)

        until_sum = self.latency - 1
        valid = delay(m, self.i_valid, until_sum, name="valid", reset=True)
        first = delay(m, self.i_first, until_sum, name="first")
        last = delay(m, self.i_last, until_sum, name="last")
        turn = delay(m, self.i_turn, until_sum, name="turn") if self.turn else Const(0)
        m.d.sync += self.o_valid.eq(valid & last)
        starts = self._starts(m, until_sum)

        sums = [
            [Signal(self._width, name=f"sum_{b}_{k}", reset_less=True) for k in range(self.pe)]
            for b in range(self.pixels)
        ]
        for b, own in enumerate(sums):
            codes = self.i_data.word_select(b, self.simd * self.bits)
            beats = self._beats.build(m, codes, b)
            start_of = starts[self.sets.lanes[b] * self.pe :][: self.pe]
            for k, (start, (n, lane), q) in enumerate(zip(start_of, beats, own, strict=True)):
                source = sums[(b - self.turn) % self.pixels][k]
                turned = (turn, source) if self.turn else None
                self._accumulate(
                    m,
                    f"accumulate_{b}_{k}",
                    en=valid,
                    first=first,
                    t=start,
                    n=n[: self._width],
                    q=q,
                    turn=turned,
                    lane=lane,
                )
        results = [value for lane in self.lanes for value in sums[lane]]
        if self.thresholds is not None:
            results = [value[-1] for value in results]
        m.d.comb += self.o_values.eq(Cat(results))
        return m

    def _accumulate(
        self,
        m: Module,
        name: str,
        *,
        en: Value,
        first: Value,
        t: Value,
        n: Value,
        q: Signal,
        turn: tuple[Value, Value] | None,
        lane: tuple[Value, Value] | None,
    ) -> None:
        """Add one beat's sum `n`, and 1 if the bits of `lane` agree, to an accumulator `q`.

        The parameters are those of `accumulate.instance`.
        """
        if self.style == "verilog":
            m.submodules[name] = accumulate.instance(
                en=en, first=first, t=t, n=n, q=q, turn=turn, lane=lane, fabric=self.fabric
            )
            return
        before = Signal(len(q), name=f"{name}_before")
        m.d.comb += before.eq(Mux(first, t, Mux(turn[0], turn[1], q) if turn else q))
        with m.If(en):
            m.d.sync += q.eq(before + n + (lane[0] == lane[1] if lane else 0))

    @property
    def _size(self) -> tuple[int, int]:
        """Width of an accumulator and of what is added to it."""
        return self._width, min(self._beats.width, self._width)

    @property
    def _kind(self) -> dict[str, Any]:
        """Options of an accumulator, as keyword arguments of `accumulate`."""
        return {"fabric": self.fabric, "turn": self.turn > 0, "lane": self._beats.spared > 0}

    def _starts(self, m: Module, until_sum: int) -> list[Value]:
        """Delay the row; return what sums start with, in time for the first addition.

        There is a value for each PE of each set.
        """
        if self.thresholds is None:
            m.d.sync += self.o_row.eq(delay(m, self.i_row, until_sum, name="row"))
            return [Const(0, self._width)] * (self.sets.number * self.pe)
        m.submodules.start = rom = self._start
        early = delay(m, self.i_row, until_sum - rom.latency, name="row")
        m.d.comb += rom.address.eq(early)
        m.d.sync += self.o_row.eq(delay(m, early, rom.latency, name="late_row"))
        return [rom.data.word_select(k, self._width) for k in range(self.sets.number * self.pe)]
