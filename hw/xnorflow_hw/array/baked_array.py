"""The array of a dense layer that takes all inputs at once: its weights are logic, not memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.array import baked
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.spec.kinds import Fabric, Style, SumForm
from xnorflow_hw.spec.latency import baked_latency

FORM: SumForm = "baked"
"""Name of this array's form in a `DotSpec`."""
FABRICS: tuple[Fabric, ...] = ("xilinx7",)
"""Fabrics that have this form."""


class BakedArray(wiring.Component):
    """Counts, for every output, the inputs that agree with its weights; there is a result per beat.

    Parameters
    ----------
    weights : uint8 array [outputs, simd]
        Weight bits.
    thresholds : int array [outputs], optional
        If given, the results are codes of one bit, ``count >= threshold``, instead of counts.
    acc_bits : int
        Width of a count in bits.
    rows : int
        Number of values of `i_row`.
    name : str
        Identifier of the Verilog module.
    style : {"amaranth", "verilog"}
        "verilog" instantiates the module.

    Members
    -------
    i_valid, i_first, i_last : In(1)
        A beat, which is always both the first and the last one of its reduction.
    i_data : In(simd)
        Input bits.
    i_row : In(range(rows)), at least one bit
        Passed on with the result.
    o_valid, o_row : Out(1), Out(range(rows))
        `i_valid` and `i_row`, `latency` cycles later.
    o_values : Out(outputs * out_bits)
        Counts or codes, output 0 lowest.

    Attributes
    ----------
    latency : int
        Clock cycles from a beat to its result; see `baked_latency`.
    out_bits : int
        Width of a value in bits.
    modules, images : dict of str to str
        Verilog module, by name, to append to the design; there are no images.

    Raises
    ------
    ValueError
        If the shapes of `weights` and `thresholds` do not fit.
    """

    def __init__(
        self,
        *,
        weights: NDArray[Any],
        acc_bits: int,
        thresholds: NDArray[Any] | None = None,
        rows: int = 1,
        name: str = "weights",
        style: Style = "amaranth",
    ) -> None:
        """Check the parameters and write the module."""
        if weights.ndim != 2 or not weights.size:
            raise ValueError(f"weights have shape {weights.shape}, not (outputs, simd)")
        if thresholds is not None and thresholds.shape != weights.shape[:1]:
            raise ValueError(f"thresholds have shape {thresholds.shape}, not {weights.shape[:1]}")
        self.weights, self.thresholds = np.asarray(weights, np.uint8), thresholds
        self.pe, self.simd = weights.shape
        self.acc_bits, self.rows, self.style, self.name = acc_bits, rows, style, name
        self.out_bits = acc_bits if thresholds is None else 1
        self.latency = baked_latency(self.simd, threshold=thresholds is not None)
        self.images: dict[str, str] = {}
        self.modules: dict[str, str] = {}
        if style == "verilog":
            limits = None if thresholds is None else thresholds.tolist()
            self.modules[name] = baked.verilog_module(name, self.weights, limits)
        row = index_shape(rows)
        super().__init__(
            {
                "i_valid": In(1),
                "i_first": In(1),
                "i_last": In(1),
                "i_data": In(self.simd),
                "i_row": In(row),
                "o_valid": Out(1),
                "o_row": Out(row),
                "o_values": Out(self.pe * self.out_bits),
            }
        )

    def model(self, inputs: NDArray[Any]) -> NDArray[np.int64]:
        """Return the results of 0/1 arrays [beats, simd]: int64 [beats, outputs]."""
        counts = (np.asarray(inputs)[:, None] == self.weights).sum(2, dtype=np.int64)
        return counts if self.thresholds is None else (counts >= self.thresholds).astype(np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Build the layer, and delay lines beside it."""
        m = Module()
        m.d.comb += [
            self.o_valid.eq(delay(m, self.i_valid, self.latency, name="valid", reset=True)),
            self.o_row.eq(delay(m, self.i_row, self.latency, name="row")),
        ]
        bits = 1 if self.thresholds is not None else self.simd.bit_length()
        results = Signal(self.pe * bits)
        if self.style == "verilog":
            m.submodules.layer = Instance(
                self.name, i_clk=ClockSignal(), i_x=self.i_data, o_y=results
            )
        else:
            now = [self._result(m, k, bits) for k in range(self.pe)]
            m.d.comb += results.eq(delay(m, Cat(now), self.latency, name="result"))
        m.d.comb += self.o_values.eq(
            Cat(
                results.word_select(k, bits)[: self.out_bits] | Const(0, self.out_bits)
                for k in range(self.pe)
            )
        )
        return m

    def _result(self, m: Module, k: int, bits: int) -> Signal:
        """Build one output without a register, a code or a count."""
        pattern = sum(int(bit) << i for i, bit in enumerate(self.weights[k]))
        agree = Signal(self.simd, name=f"agree_{k}")
        m.d.comb += agree.eq(~(self.i_data ^ Const(pattern, self.simd)))
        terms = [*agree]
        count = Signal(self.simd.bit_length(), name=f"count_{k}")
        m.d.comb += count.eq(sum(terms[1:], terms[0]))
        if self.thresholds is None:
            return count
        reached = Signal(bits, name=f"reached_{k}")
        m.d.comb += reached.eq(count >= int(max(0, self.thresholds[k])))
        return reached
