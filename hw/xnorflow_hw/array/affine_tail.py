"""The tail that computes uniform codes: a product, a sum, a shift, and what rounding corrects."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from numpy.typing import NDArray

from xnorflow_hw.array.product import product
from xnorflow_hw.array.tail import Ints, Tail
from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.spec.kinds import MULTIPLIERS
from xnorflow_hw.spec.latency import multiplier_latency
from xnorflow_hw.spec.tails import AffineSpec


class AffineTail(Tail):
    """Computes ``clip((value * multiply + offset) >> shift, 0, levels - 1)``, with corrections.

    A lane's factor, offset and way to break ties are one field of a word that all lanes share, read
    by row. The bits of late codes are a memory per lane, which the code addresses too.

    Parameters
    ----------
    spec : AffineSpec
        Constants of the tail, with the widths of values and codes.
    **options
        As those of `Tail`, without `acc_bits`.

    Raises
    ------
    ValueError
        If constants have different shapes, a factor or the shift is negative, the step is no power
        of two, or codes do not fit; if late codes are no more than a value apart, have ties, or are
        marked where no code comes before.
    """

    def __init__(self, spec: AffineSpec, *, pe: int, **options: Any) -> None:
        """Check the constants and create the memories."""
        shape, late = spec.multiply.shape, spec.late
        if len(shape) != 2 or spec.offset.shape != shape or spec.ties.shape != shape:
            raise ValueError(
                f"constants have shapes {shape}, {spec.offset.shape} and {spec.ties.shape}, not"
                " (rows, pe)"
            )
        if late is not None and late.shape != (*shape, spec.levels):
            raise ValueError(f"late codes have shape {late.shape}, not (rows, pe, {spec.levels})")
        if int(spec.multiply.min()) < 0 or spec.shift < 0:
            raise ValueError("a factor or the shift is negative")
        if spec.step < 1 or spec.step & (spec.step - 1):
            raise ValueError(f"step is {spec.step}; it has to be a power of two")
        if not 1 <= spec.levels <= 1 << spec.out_bits:
            raise ValueError(f"{spec.levels} levels do not fit out_bits {spec.out_bits}")
        if not np.isin(spec.ties, (0, 1, 2)).all() or spec.multiplier not in MULTIPLIERS:
            raise ValueError("ties are not 0, 1 or 2, or the multiplier is unknown")
        if late is not None and (
            spec.ties.any() or int(spec.multiply.max()) * spec.step >= 1 << spec.shift
        ):
            raise ValueError("codes that begin late have ties, or are closer than values")
        if late is not None and late[:, :, 0].any():
            raise ValueError("code 0 is marked as late, but nothing comes before code 0")
        least, most = spec.least, spec.most
        if least is not None or most is not None:
            if least is None or most is None or not least.shape == most.shape == shape:
                raise ValueError(f"bounds of codes are not two arrays of shape {shape}")
            if late is not None or not spec.bounded or spec.ties.any():
                raise ValueError("bounds of codes go with limits, without ties and late codes")
            if (least < 0).any() or (least > most).any() or (most >= spec.levels).any():
                raise ValueError("a bound of codes is no code, or a least one above the greatest")
        super().__init__(
            constants=spec.multiply,
            pe=pe,
            acc_bits=spec.acc_bits,
            out_bits=spec.out_bits,
            latency=spec.latency,
            **options,
        )
        self.spec = spec
        fields = spec.multiply.astype(object) | (
            (spec.offset.astype(object) & ((1 << spec.offset_bits) - 1)) << spec.factor_bits
        )
        self._tie_low = spec.factor_bits + spec.offset_bits
        if spec.tie_bits:
            fields = fields | (spec.ties.astype(object) << self._tie_low)
        self._bound_low = self._tie_low + spec.tie_bits
        if spec.least is not None and spec.most is not None:
            both = spec.least.astype(object) | (spec.most.astype(object) << spec.out_bits)
            fields = fields | (both << self._bound_low)
        self._width = self._bound_low + spec.bound_bits
        self._constants = self._memory("", fields, self._width, self.rom)
        self._late: list[Any] = []
        if late is not None:
            codes = 1 << spec.out_bits
            bits = np.zeros((*shape, codes), np.int64)
            bits[:, :, : spec.levels] = late
            self._late = [
                self._memory(f"_late_{i}", bits[:, k].reshape(-1, 1), 1, spec.late_rom.storage)
                for i, k in self._indices()
            ]

    def model(self, values: NDArray[Any], rows: NDArray[Any], pixel: int = 0) -> Ints:
        """Return a pixel's codes, int64 [n, pe], of values [n, pe] with rows [n]."""
        s, rows = self.spec, np.asarray(rows)

        def own(constants: NDArray[Any]) -> NDArray[Any]:
            return self._own(constants, pixel)[rows]

        factors, ties = own(s.multiply), own(s.ties)
        total = np.asarray(values, np.int64) * factors + own(s.offset)
        code, rest = total >> s.shift, total % (1 << s.shift)
        tie = (rest == 0) & np.where(code % 2 == 1, ties == 1, ties == 2)
        least = 0 if s.least is None else own(s.least)
        most = s.levels - 1 if s.most is None else own(s.most)
        found = np.clip(code - tie, least, most)
        if s.late is not None:
            marked = np.take_along_axis(own(s.late), found[:, :, None], 2)[:, :, 0]
            found = found - (marked & (code == found) & (rest < s.step * factors))
        return found.astype(np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Read the constants, multiply, add, limit, and correct."""
        m = Module()
        m.submodules.constants = self._constants
        m.d.comb += self._constants.address.eq(self.i_row)
        s, results = self.spec, list[Value]()
        bits = min(s.acc_bits, s.factor_bits)
        taken = multiplier_latency(bits=bits, multiplier=s.multiplier)
        # The row's way to the memory of late codes is shared by all lanes.
        row = delay(m, self.i_row, 1 + taken + 2, name="row") if self._late else None
        for (i, k), value in zip(self._indices(), self._values(), strict=True):
            word = self._constants.data.word_select(k, self._width)
            factor = word[: s.factor_bits]
            offset = word[s.factor_bits : self._tie_low].as_signed()
            value = delay(m, value, 1, name=f"value_{i}")
            scaled = product(m, value, factor, s.multiplier, name=f"product_{i}")
            added = scaled + delay(m, offset, taken, name=f"offset_{i}").as_signed()
            total = Signal(added.shape(), name=f"total_{i}", reset_less=True)
            m.d.sync += total.eq(added)
            if s.late is not None:
                late_factor = delay(m, factor, taken + 1, name=f"factor_{i}")
                results.append(self._less_late(m, i, total, late_factor, row))
            elif s.ties.any():
                ties: Value = Const(int(s.ties.flat[0]), 2)
                if s.tie_bits:
                    ties = word[self._tie_low : self._bound_low]
                    ties = delay(m, ties, taken + 1, name=f"ties_{i}")
                results.append(self._less_ties(m, i, total, ties))
            else:
                code = Signal(self.out_bits, name=f"code_{i}", reset_less=True)
                bounds = None
                if s.least is not None:
                    both = delay(m, word[self._bound_low :], taken + 1, name=f"bounds_{i}")
                    bounds = both[: s.out_bits], both[s.out_bits :]
                m.d.sync += code.eq(self._limited(total >> s.shift, bounds))
                results.append(code)
        self._pulse(m, results)
        return m

    def _limited(self, code: Value, bounds: tuple[Value, Value] | None = None) -> Value:
        """Return a signed code as the nearest one that there is, or that is within its bounds."""
        if not self.spec.bounded:
            return code
        least, most = bounds or (Const(0), Const(self.spec.levels - 1))
        return Mux(code < least, least, Mux(code > most, most, code))

    def _less_ties(self, m: Module, i: int, total: Value, ties: Value) -> Value:
        """Return the code, one less where a tie may not go to it."""
        shift = min(self.spec.shift, len(total))
        whole = total >> self.spec.shift
        tie = Signal(name=f"tie_{i}", reset_less=True)
        m.d.sync += tie.eq((total[:shift] == 0) & Mux(whole[0], ties[0], ties[1]))
        code = Signal(whole.shape(), name=f"whole_{i}", reset_less=True)
        m.d.sync += code.eq(whole)
        result = Signal(self.out_bits, name=f"code_{i}", reset_less=True)
        m.d.sync += result.eq(self._limited(code - tie))
        return result

    def _less_late(self, m: Module, i: int, total: Value, factor: Value, row: Any) -> Value:
        """Return the code, one less where it begins late and this is its first value."""
        s = self.spec
        signed, rest = total >> s.shift, total[: min(s.shift, len(total))]
        begins = rest < Cat(Const(0, s.step.bit_length() - 1), factor)
        code = Signal(self.out_bits, name=f"whole_{i}", reset_less=True)
        first = Signal(name=f"first_{i}", reset_less=True)
        m.d.sync += [
            code.eq(self._limited(signed)),
            first.eq(begins & (signed >= 0) & (signed < s.levels)),
        ]
        memory = self._late[i]
        m.submodules[f"late_{i}"] = memory
        # With a single row, the assignment drops the row's bit.
        m.d.comb += memory.address.eq(Cat(code, row))
        result = Signal(self.out_bits, name=f"code_{i}", reset_less=True)
        down = memory.data & delay(m, first, 1, name=f"first_late_{i}")
        m.d.sync += result.eq(delay(m, code, 1, name=f"code_late_{i}") - down)
        return result
