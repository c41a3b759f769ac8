"""Tails: what is applied to the sums of a reduction before they become features.

A tail takes a pulse of one unsigned value per PE and the row of its constants, and delivers a pulse
of one code or score per PE.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.memory.rom import IMAGE_BITS, Rom, field_words
from xnorflow_hw.spec.kinds import Storage, Style
from xnorflow_hw.spec.latency import OFFSET_LATENCY, TABLE_LATENCY, threshold_latency

Ints = NDArray[np.int64]


class Tail(wiring.Component):
    """Ports and constants that all tails share.

    Parameters
    ----------
    pe : int
        Number of values at once, each with constants of its own.
    acc_bits : int
        Width of a value in bits.
    pixels : int
        Number of pixels at once, each with `pe` values.
    sets : sequence of int, length `pixels`, optional
        Which set of constants each pixel has. A row of constants holds the sets one after the
        other, each of `pe`; by default there is one, which all pixels share.
    rom : Storage
        What the memories of the constants are built of.
    name : str
        Prefix of the names of the memories' modules and images.
    style : {"amaranth", "verilog"}
        Only "verilog" has `modules` and `images`.
    image_bits : int
        Memories of more bits than this go to a hex image.

    Members
    -------
    i_valid : In(1)
        Whether there are values.
    i_values : In(pixels * pe * acc_bits)
        Unsigned values; pixel 0 lowest, and in each pixel PE 0 lowest.
    i_row : In(range(rows)), at least one bit
        Row of the constants that apply.
    o_valid : Out(1)
        Whether there are results, `latency` cycles after the values.
    o_values : Out(pixels * pe * out_bits)
        Results, in the order of the values.

    Attributes
    ----------
    latency : int
        Clock cycles from `i_valid` to `o_valid`.
    modules, images : dict of str to str
        Verilog modules, by name, to append to the design, and hex images, by file name, to lie
        beside it.

    Raises
    ------
    ValueError
        If a size is not positive or the constants do not fit.
    """

    def __init__(
        self,
        *,
        constants: NDArray[Any],
        pe: int,
        acc_bits: int,
        out_bits: int,
        latency: int,
        pixels: int = 1,
        sets: Sequence[int] | None = None,
        rom: Storage = "auto",
        name: str = "tail",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the sizes and declare the ports; `constants` is an array [rows, sets * pe, ...]."""
        if acc_bits < 1 or out_bits < 1:
            raise ValueError(
                f"acc_bits is {acc_bits} and out_bits is {out_bits}; both have to be 1 or more"
            )
        self.rows, self.pe = len(constants), pe
        if pixels < 1:
            raise ValueError(f"pixels is {pixels}; it has to be 1 or more")
        self.sets = (0,) * pixels if sets is None else tuple(sets)
        if len(self.sets) != pixels or min(self.sets) < 0:
            raise ValueError(f"sets are {self.sets}; each of {pixels} pixels has to have one")
        number = max(self.sets) + 1
        if self.rows < 1 or pe < 1 or constants.shape[1] != number * pe:
            what = f"pe {pe}" if number == 1 else f"{number} sets * pe {pe}"
            raise ValueError(f"constants have shape {constants.shape}, not (rows, {what}, ...)")
        self.acc_bits, self.out_bits, self.latency, self.rom = acc_bits, out_bits, latency, rom
        self.pixels = pixels
        self._rom_options: dict[str, Any] = {
            "register": False,
            "style": style,
            "image_bits": image_bits,
        }
        self._name = name
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        super().__init__(
            {
                "i_valid": In(1),
                "i_values": In(pixels * pe * acc_bits),
                "i_row": In(index_shape(self.rows)),
                "o_valid": Out(1),
                "o_values": Out(pixels * pe * out_bits),
            }
        )

    def _memory(self, suffix: str, fields: NDArray[Any], width: int, storage: Storage) -> Rom:
        """Create a memory of fields [depth, n]; its data comes one cycle later, or is constant."""
        rom = Rom(
            words=field_words(fields, width),
            width=width * fields.shape[1],
            storage=storage,
            name=self._name + suffix,
            **self._rom_options,
        )
        self.modules |= rom.modules
        self.images |= rom.images
        return rom

    def _values(self) -> list[Value]:
        """Return the values of a pulse."""
        return [self.i_values.word_select(i, self.acc_bits) for i, _ in self._indices()]

    def _indices(self) -> list[tuple[int, int]]:
        """Return the index of every value, and that of its constants in a row of them."""
        owners = [(j, k) for j in range(self.pixels) for k in range(self.pe)]
        return [(i, self.sets[j] * self.pe + k) for i, (j, k) in enumerate(owners)]

    def _own(self, constants: NDArray[Any], pixel: int) -> NDArray[Any]:
        """Return the part of constants [rows, sets * pe, ...] that belongs to a pixel."""
        first = self.sets[pixel] * self.pe
        return constants[:, first : first + self.pe]

    def _pulse(self, m: Module, results: list[Value]) -> None:
        """Drive the output pulse with results that are `latency` cycles late."""
        m.d.comb += self.o_values.eq(Cat(results))
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, self.latency, name="valid", reset=True))


def search_steps(thresholds: NDArray[Any], acc_bits: int) -> list[Ints]:
    """Return the thresholds of each step of a binary search, as arrays [rows, pe, prefixes].

    Step j knows the first j bits of the code, its prefix, and compares the value with the threshold
    in the middle of the codes that remain. A code above the last level has a threshold that is
    never reached.

    Parameters
    ----------
    thresholds : int array [rows, pe, levels - 1]
        Thresholds, ascending along the last axis.
    acc_bits : int
        Width of the values in bits.
    """
    steps, never = ceil_log2(thresholds.shape[2] + 1), 1 << acc_bits
    missing = (1 << steps) - 1 - thresholds.shape[2]
    full = np.pad(
        np.clip(thresholds, 0, never).astype(np.int64),
        [(0, 0), (0, 0), (0, missing)],
        constant_values=never,
    )
    return [full[:, :, ((2 * np.arange(1 << j) + 1) << (steps - 1 - j)) - 1] for j in range(steps)]


class ThresholdTail(Tail):
    """Counts the thresholds that a value reaches, by binary search.

    Every step takes two cycles: one to read a threshold and one to compare. The thresholds of the
    first step depend only on the row and are one word for all PEs. Those of later steps depend also
    on the PE's result so far. In logic each PE has a small memory, which is addressed by both.
    Block RAM is read by row, as one wide word, and a multiplexer follows, because one block per PE
    would be mostly empty.

    Parameters
    ----------
    thresholds : int array [rows, sets * pe, levels - 1]
        Thresholds, ascending along the last axis. The code is the number of thresholds T with
        ``value >= T``. Those below 1 are always reached, those above ``2 ** acc_bits - 1`` never.
    out_bits : int, optional
        Width of a code in bits; by default the smallest width that holds every code.
    **options
        As those of `Tail`.

    Raises
    ------
    ValueError
        If the thresholds have another shape or do not ascend, or `out_bits` is too small.
    """

    def __init__(
        self,
        *,
        pe: int,
        acc_bits: int,
        thresholds: NDArray[Any],
        out_bits: int | None = None,
        **options: Any,
    ) -> None:
        """Check the thresholds and lay out the steps' memories."""
        if thresholds.ndim != 3 or not thresholds.shape[2]:
            raise ValueError(f"thresholds have shape {thresholds.shape}, not (rows, pe, 1 or more)")
        steps = ceil_log2(thresholds.shape[2] + 1)
        out_bits = steps if out_bits is None else out_bits
        if out_bits < steps:
            raise ValueError(f"out_bits is {out_bits}; the codes need {steps} bits or more")
        never = 1 << acc_bits
        self.thresholds: Ints = np.clip(thresholds, 0, never).astype(np.int64)
        if (np.diff(self.thresholds, axis=2) < 0).any():
            raise ValueError("thresholds are not ascending along their last axis")
        super().__init__(
            constants=thresholds,
            pe=pe,
            acc_bits=acc_bits,
            out_bits=out_bits,
            latency=threshold_latency(bits=steps),
            **options,
        )
        found = search_steps(thresholds, acc_bits)
        self._width = max(int(step.max()) for step in found).bit_length() or 1
        self._always = (found[0][:, :, 0] == 0).all(0).tolist()
        self._steps = [self._step(j, step) for j, step in enumerate(found)]

    def _step(self, j: int, thresholds: Ints) -> Rom | list[Rom]:
        """Create the memory of step `j` from [rows, pe, prefixes], or one memory per value."""
        wide = thresholds.reshape(self.rows, -1)
        large = self.rows >= 64 and wide.size * self._width > 8192
        if j == 0 or self.rom == "block" or (self.rom == "auto" and large):
            # Block RAM pays for a wide word only if there are enough rows to fill it.
            return self._memory(f"_{j}", wide, self._width, self.rom)
        return [
            self._memory(f"_{j}_{i}", thresholds[:, k].reshape(-1, 1), self._width, "logic")
            for i, k in self._indices()
        ]

    def model(self, values: NDArray[Any], rows: NDArray[Any], pixel: int = 0) -> Ints:
        """Return a pixel's codes, int64 [n, pe], of values [n, pe] with rows [n]."""
        reached = np.asarray(values)[:, :, None] >= self._own(self.thresholds, pixel)[rows]
        return reached.sum(2, dtype=np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Chain the steps of the search."""
        m = Module()
        row: Value = self.i_row
        values = self._values()
        codes: list[Value] = [Const(0, 0)] * len(values)
        for j, step in enumerate(self._steps):
            at_compare = [
                delay(m, value, 1, name=f"value_{j}_{k}") for k, value in enumerate(values)
            ]
            prefixes = [delay(m, code, 1, name=f"prefix_{j}_{k}") for k, code in enumerate(codes)]
            if isinstance(step, Rom):
                m.submodules[f"thresholds_{j}"] = step
                m.d.comb += step.address.eq(row)
            thresholds: list[Value] = []
            for (i, k), code, prefix in zip(self._indices(), codes, prefixes, strict=True):
                if isinstance(step, Rom):
                    own = step.data.word_select(k, self._width << j)
                    threshold = Signal(self._width, name=f"threshold_{j}_{i}")
                    with m.Switch(prefix):
                        for at in range(1 << j):
                            with m.Case(at) if at + 1 < 1 << j else m.Default():
                                m.d.comb += threshold.eq(own.word_select(at, self._width))
                    thresholds.append(threshold)
                else:
                    m.submodules[f"thresholds_{j}_{i}"] = step[i]
                    # With a single row, the assignment drops the row's bit.
                    m.d.comb += step[i].address.eq(Cat(code, row))
                    thresholds.append(step[i].data)
            for (i, k), prefix in zip(self._indices(), prefixes, strict=True):
                reached = Signal(name=f"reached_{j}_{i}", reset_less=True)
                # Linters warn about a comparison with a constant 0.
                always = j == 0 and self._always[k]
                m.d.sync += reached.eq(1 if always else at_compare[i] >= thresholds[i])
                codes[i] = Cat(reached, delay(m, prefix, 1, name=f"code_{j}_{i}"))
            if j + 1 < len(self._steps):
                values = [
                    delay(m, value, 1, name=f"next_{j}_{k}") for k, value in enumerate(at_compare)
                ]
                row = delay(m, row, 2, name=f"row_{j}")
        padding = Const(0, self.out_bits - len(self._steps))
        self._pulse(m, [Cat(code, padding) for code in codes])
        return m


class OffsetTail(Tail):
    """Computes the low `out_bits` bits of ``(value * multiply + offset) >> shift``.

    Parameters
    ----------
    multiply : int
        Factor of all values.
    offset : int array [rows, sets * pe]
        What is added to the product.
    shift : int
        Number of bits of the arithmetic shift to the right, 0 or more.
    out_bits : int
        Width of a result in bits.
    signed : bool
        Whether the result is two's complement. Only `model` depends on it.
    **options
        As those of `Tail`.

    Raises
    ------
    ValueError
        If `offset` has another shape or `shift` is negative.
    """

    def __init__(
        self,
        *,
        pe: int,
        acc_bits: int,
        multiply: int,
        offset: NDArray[Any],
        shift: int,
        out_bits: int,
        signed: bool = True,
        **options: Any,
    ) -> None:
        """Check the parameters and create the memory of the offsets."""
        if offset.ndim != 2:
            raise ValueError(f"offset has shape {offset.shape}, not (rows, pe)")
        if shift < 0:
            raise ValueError(f"shift is {shift}; it has to be 0 or more")
        super().__init__(
            constants=offset,
            pe=pe,
            acc_bits=acc_bits,
            out_bits=out_bits,
            latency=OFFSET_LATENCY,
            **options,
        )
        self.multiply, self.offset, self.shift = int(multiply), offset, shift
        self.signed = signed
        low, high = int(offset.min()), int(offset.max())
        self._width = max(high.bit_length(), (~low).bit_length() if low < 0 else 0) + 1
        self._offsets = self._memory("", offset, self._width, self.rom)

    def model(self, values: NDArray[Any], rows: NDArray[Any], pixel: int = 0) -> Ints:
        """Return a pixel's results, int64 [n, pe], of values [n, pe] with rows [n]."""
        product = np.asarray(values, np.int64) * self.multiply + self._own(self.offset, pixel)[rows]
        result = product >> self.shift & ((1 << self.out_bits) - 1)
        if self.signed:
            result -= (result >> (self.out_bits - 1)) << self.out_bits
        return result.astype(np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Multiply while the offsets are read, then add."""
        m = Module()
        m.submodules.offsets = offsets = self._offsets
        m.d.comb += offsets.address.eq(self.i_row)
        results: list[Value] = []
        for (i, k), value in zip(self._indices(), self._values(), strict=True):
            scaled = value * self.multiply
            product = Signal(scaled.shape(), name=f"product_{i}", reset_less=True)
            m.d.sync += product.eq(scaled)
            total = product + offsets.data.word_select(k, self._width).as_signed()
            result = Signal(self.out_bits, name=f"result_{i}", reset_less=True)
            m.d.sync += result.eq(total >> self.shift)
            results.append(result)
        self._pulse(m, results)
        return m


class TableTail(Tail):
    """Looks every value up in a table of its PE.

    Parameters
    ----------
    table : int array [rows, sets * pe, 2 ** acc_bits]
        Result for each value; negative ones are stored in two's complement.
    out_bits : int
        Width of a result in bits.
    **options
        As those of `Tail`.

    Raises
    ------
    ValueError
        If `table` has another shape or an entry does not fit `out_bits`.
    """

    def __init__(
        self, *, pe: int, acc_bits: int, table: NDArray[Any], out_bits: int, **options: Any
    ) -> None:
        """Check the table and create the memories."""
        if table.ndim != 3 or table.shape[2] != 1 << acc_bits:
            raise ValueError(f"table has shape {table.shape}, not (rows, pe, {1 << acc_bits})")
        super().__init__(
            constants=table,
            pe=pe,
            acc_bits=acc_bits,
            out_bits=out_bits,
            latency=TABLE_LATENCY,
            **options,
        )
        low, high = int(table.min()), int(table.max())
        if low < -(1 << (out_bits - 1)) or high >= 1 << out_bits:
            raise ValueError(
                f"table has values from {low} to {high}, which do not fit out_bits {out_bits}"
            )
        self.table = table
        self._memories = [
            self._memory(f"_{i}", table[:, k].reshape(-1, 1), out_bits, self.rom)
            for i, k in self._indices()
        ]

    def model(self, values: NDArray[Any], rows: NDArray[Any], pixel: int = 0) -> Ints:
        """Return a pixel's results, int64 [n, pe], of values [n, pe] with rows [n]."""
        rows = np.asarray(rows)[:, None]
        return self._own(self.table, pixel)[rows, np.arange(self.pe), values].astype(np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Read the memories."""
        m = Module()
        for i, (memory, value) in enumerate(zip(self._memories, self._values(), strict=True)):
            m.submodules[f"table_{i}"] = memory
            # With a single row, the assignment drops the row's bit.
            m.d.comb += memory.address.eq(Cat(value, self.i_row))
        self._pulse(m, [memory.data for memory in self._memories])
        return m
