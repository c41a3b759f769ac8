"""Pooling arrays: the maximum, minimum or sum of each lane over the beats of a reduction.

A reduction is the beats from one with `i_first` to one with `i_last`. There may be bubbles between
them, and a single beat may be both. The result is a pulse, `latency` cycles after the last beat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.lanes import check_sizes
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.spec.latency import MAX_LATENCY, SUM_LATENCY


def _ports(lanes: int, bits: int, out_bits: int, rows: int) -> dict[str, Any]:
    """Return the ports that pooling arrays share."""
    row = index_shape(rows)
    return {
        "i_valid": In(1),
        "i_data": In(lanes * bits),
        "i_first": In(1),
        "i_last": In(1),
        "i_row": In(row),
        "o_valid": Out(1),
        "o_values": Out(lanes * out_bits),
        "o_row": Out(row),
    }


class MaxArray(wiring.Component):
    """Takes the maximum of each lane, or the minimum where marked; padded beats do not count.

    A minimum is the complement of the maximum of complements, so one comparator does both. A padded
    beat is a code of 0 at the comparator and never wins. A reduction of padded beats alone yields
    0, or all ones where the minimum is taken.

    Parameters
    ----------
    lanes : int
        Number of channels at once.
    bits : int
        Width of a code in bits.
    minimum : bool array [rows, lanes]
        Whether a lane takes the minimum, for each row.

    Members
    -------
    i_valid, i_first, i_last : In(1)
        A beat, and whether it is the first and the last one of its reduction.
    i_pad : In(1)
        Whether the beat is a padded tap.
    i_data : In(lanes * bits)
        Codes, lane 0 lowest.
    i_row : In(range(rows)), at least one bit
        Row of `minimum`; the same on all beats of a reduction.
    o_valid : Out(1)
        A result, `latency` cycles after the last beat.
    o_values : Out(lanes * bits)
        Codes, lane 0 lowest.
    o_row : Out(range(rows)), at least one bit
        Row of the result.

    Attributes
    ----------
    latency : int
        2 clock cycles: one to complement and one to compare.

    Raises
    ------
    ValueError
        If a size is not positive or `minimum` has another shape or other values.
    """

    latency = MAX_LATENCY

    def __init__(self, *, lanes: int, bits: int, minimum: NDArray[Any]) -> None:
        """Check the parameters and declare the ports."""
        check_sizes(lanes=lanes, bits=bits)
        minimum = np.asarray(minimum)
        if minimum.ndim != 2 or minimum.shape[1] != lanes or not len(minimum):
            raise ValueError(f"minimum has shape {minimum.shape}, not (rows, {lanes})")
        if not np.isin(minimum, (0, 1)).all():
            raise ValueError(
                f"minimum has values {np.unique(minimum).tolist()}; it has to be boolean"
            )
        self.lanes, self.bits, self.rows = lanes, bits, len(minimum)
        self.minimum = minimum.astype(bool)
        super().__init__(_ports(lanes, bits, bits, self.rows) | {"i_pad": In(1)})

    def model(
        self, codes: NDArray[Any], pad: NDArray[np.bool_], rows: NDArray[Any]
    ) -> NDArray[np.int64]:
        """Return the results of reductions of equal length.

        Parameters
        ----------
        codes : int array [reductions, beats, lanes]
            Activation codes.
        pad : bool array [reductions, beats]
            Whether each beat is a padded tap.
        rows : int array [reductions]
            Row of each reduction.

        Returns
        -------
        int64 array [reductions, lanes]
            Maximum or minimum codes.
        """
        ones = (1 << self.bits) - 1
        padded = np.asarray(pad, bool)[:, :, None]
        least = np.where(padded, ones, codes).min(1)
        most = np.where(padded, 0, codes).max(1)
        return np.where(self.minimum[rows], least, most).astype(np.int64)

    def _mask(self, m: Module, row: Value, name: str) -> Value:
        """Return one bit per lane: whether it takes the minimum in this row."""
        rows = [int("".join("01"[b] for b in r[::-1]), 2) for r in self.minimum.tolist()]
        if len(set(rows)) == 1:
            return Const(rows[0], self.lanes)
        mask = Signal(self.lanes, name=name)
        with m.Switch(row):
            for i, value in enumerate(rows):
                with m.Case(i) if i + 1 < len(rows) else m.Default():
                    m.d.comb += mask.eq(value)
        return mask

    def elaborate(self, platform: Any) -> Module:
        """Build a register behind the complement and one behind the comparison."""
        m = Module()
        valid = delay(m, self.i_valid, 1, name="valid", reset=True)
        first = delay(m, self.i_first, 1, name="first")
        last = delay(m, self.i_last, 1, name="last")
        row = delay(m, self.i_row, 1, name="row")
        m.d.sync += self.o_valid.eq(valid & last)
        m.d.sync += self.o_row.eq(row)
        before = self._mask(m, self.i_row, "mask_in")
        after = self._mask(m, self.o_row, "mask_out")
        if self.bits == 1:
            # The maximum of bits is their OR, so all lanes are one vector with one enable.
            codes = Signal(self.lanes, name="codes", reset_less=True)
            best = Signal(self.lanes, name="best", reset_less=True)
            m.d.sync += codes.eq(Mux(self.i_pad, 0, self.i_data ^ before))
            with m.If(valid):
                m.d.sync += best.eq(codes | Mux(first, 0, best))
            m.d.comb += self.o_values.eq(best ^ after)
            return m
        for lane in range(self.lanes):
            at = slice(lane * self.bits, (lane + 1) * self.bits)
            code = Signal(self.bits, name=f"code_{lane}", reset_less=True)
            best = Signal(self.bits, name=f"best_{lane}", reset_less=True)
            flip, unflip = before[lane].replicate(self.bits), after[lane].replicate(self.bits)
            m.d.sync += code.eq(Mux(self.i_pad, 0, self.i_data[at] ^ flip))
            with m.If(valid & (first | (code > best))):
                m.d.sync += best.eq(code)
            m.d.comb += self.o_values[at].eq(best ^ unflip)
        return m


class SumArray(wiring.Component):
    """Sums the codes of each lane.

    Parameters
    ----------
    lanes : int
        Number of channels at once.
    bits : int
        Width of a code in bits.
    out_bits : int
        Width of a sum in bits; the sum is exact modulo ``2 ** out_bits``.
    rows : int
        Number of values of `i_row`.

    Members
    -------
    i_valid, i_first, i_last : In(1)
        A beat, and whether it is the first and the last one of its reduction.
    i_data : In(lanes * bits)
        Codes, lane 0 lowest.
    i_row : In(range(rows)), at least one bit
        Passed on with the result; that of the last beat counts.
    o_valid : Out(1)
        A result, `latency` cycles after the last beat.
    o_values : Out(lanes * out_bits)
        Unsigned sums, lane 0 lowest.
    o_row : Out(range(rows)), at least one bit
        Row of the result.

    Attributes
    ----------
    latency : int
        1 clock cycle: the accumulator.

    Raises
    ------
    ValueError
        If a size is not positive.
    """

    latency = SUM_LATENCY

    def __init__(self, *, lanes: int, bits: int, out_bits: int, rows: int = 1) -> None:
        """Check the parameters and declare the ports."""
        check_sizes(lanes=lanes, bits=bits, out_bits=out_bits, rows=rows)
        self.lanes, self.bits, self.out_bits, self.rows = lanes, bits, out_bits, rows
        super().__init__(_ports(lanes, bits, out_bits, rows))

    def model(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the sums, int64 [reductions, lanes], of codes [reductions, beats, lanes]."""
        total: NDArray[np.int64] = np.asarray(codes).sum(1, dtype=np.int64)
        return total & ((1 << self.out_bits) - 1)

    def elaborate(self, platform: Any) -> Module:
        """Build the accumulators."""
        m = Module()
        m.d.sync += self.o_valid.eq(self.i_valid & self.i_last)
        m.d.sync += self.o_row.eq(self.i_row)
        sums = [
            Signal(self.out_bits, name=f"sum_{lane}", reset_less=True) for lane in range(self.lanes)
        ]
        m.d.comb += self.o_values.eq(Cat(sums))
        for lane, total in enumerate(sums):
            code = self.i_data.word_select(lane, self.bits)
            before = Signal(self.out_bits, name=f"before_{lane}")
            m.d.comb += before.eq(Mux(self.i_first, 0, total))
            with m.If(self.i_valid):
                m.d.sync += total.eq(before + code)
        return m
