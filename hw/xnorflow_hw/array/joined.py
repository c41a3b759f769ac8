"""Joined array: computes each value from the codes of one or more ports.

Every beat is a reduction by itself. In the first cycle the constants are read, in the second each
port's codes are scaled, and in the third the ports are combined.
"""

from __future__ import annotations

from functools import reduce
from operator import add, mul
from typing import Any, get_args

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.memory.rom import Rom, field_words
from xnorflow_hw.spec import JoinedSpec
from xnorflow_hw.spec.arrays import JoinedOp
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.spec.latency import JOINED_LATENCY

Ints = NDArray[np.int64]


class JoinedArray(wiring.Component):
    """Combines the scaled codes of several ports, or passes on those of the port whose turn it is.

    With u_k the code of port k, and v_k = u_k * factors[k] + offsets[k], the result is the sum,
    product, maximum or minimum of all v_k, or one v_k ("copy"); its low `out_bits` bits are
    delivered. The rows of `factors` and `offsets` are used one after the other, beat by beat, over
    and over.

    Parameters
    ----------
    spec : JoinedSpec
        Operation, codes and constants.
    rows : int
        Number of values of `i_row`.
    style : {"amaranth", "verilog"}
        Only "verilog" has `modules` and `images`.
    name : str
        Prefix of the names of the memories' modules and images.

    Members
    -------
    i_valid : In(1)
        A beat.
    i_first, i_last : In(1)
        Not used: every beat is a reduction.
    i_data : In
        Codes of all ports, port 0 lowest, and in each port lane 0 lowest; a port that is held has a
        single code. With "copy" it is as wide as the widest port and holds the codes of `i_port`.
    i_row : In(range(rows)), at least one bit
        Passed on with the result.
    i_port : In(range(ports)), at least one bit
        Port whose codes these are; only with "copy" and several ports.
    o_valid : Out(1)
        A result, `latency` cycles after its beat.
    o_values : Out(lanes * out_bits)
        Results, lane 0 lowest.
    o_row : Out(range(rows)), at least one bit
        Row of the result.

    Attributes
    ----------
    latency : int
        3 clock cycles.
    modules, images : dict of str to str
        Verilog modules, by name, to append to the design, and hex images, by file name, to lie
        beside it.

    Raises
    ------
    ValueError
        If the operation is unknown, or a size or a shape does not fit.
    """

    latency = JOINED_LATENCY

    def __init__(
        self, spec: JoinedSpec, *, rows: int = 1, style: Style = "amaranth", name: str = "joined"
    ) -> None:
        """Check the parameters, create the memories of the constants, and declare the ports."""
        _check(spec, rows)
        self.spec, self.rows = spec, rows
        ports, lanes = len(spec.bits), spec.lanes
        self._widths = [
            bits * (1 if held else lanes) for bits, held in zip(spec.bits, spec.held, strict=True)
        ]
        self.factors = _BeatConstants(spec.factors, f"{name}_factors", style)
        self.offsets = _BeatConstants(spec.offsets, f"{name}_offsets", style)
        self.modules = self.factors.modules | self.offsets.modules
        self.images = self.factors.images | self.offsets.images
        self.in_turn = spec.op == "copy" and ports > 1
        row = index_shape(rows)
        super().__init__(
            {
                "i_valid": In(1),
                "i_first": In(1),
                "i_last": In(1),
                "i_data": In(max(self._widths) if self.in_turn else sum(self._widths)),
                "i_row": In(row),
                **({"i_port": In(index_shape(ports))} if self.in_turn else {}),
                "o_valid": Out(1),
                "o_values": Out(lanes * spec.out_bits),
                "o_row": Out(row),
            }
        )

    def model(self, *codes: NDArray[Any], port: NDArray[Any] | None = None) -> Ints:
        """Return the results of successive beats, from the first one after a reset.

        Parameters
        ----------
        *codes : int array [beats, lanes or 1]
            Codes of each port.
        port : int array [beats], optional
            Port whose turn it is, with "copy"; by default port 0.

        Returns
        -------
        int64 array [beats, lanes]
            Results.
        """
        spec, beats = self.spec, np.arange(len(codes[0]))
        factors = spec.factors[beats % len(spec.factors)].astype(np.int64)
        offsets = spec.offsets[beats % len(spec.offsets)].astype(np.int64)
        values = np.stack(
            [np.asarray(c) * factors[:, k] + offsets[:, k] for k, c in enumerate(codes)]
        )
        match spec.op:
            case "sum":
                found = values.sum(0)
            case "product":
                found = values.prod(0)
            case "maximum":
                found = values.max(0)
            case "minimum":
                found = values.min(0)
            case "copy":
                found = values[0 * beats if port is None else port, beats]
            case _:
                raise ValueError(f"op is {spec.op!r}; known are {', '.join(get_args(JoinedOp))}")
        result: Ints = found & ((1 << spec.out_bits) - 1)
        return result

    def elaborate(self, platform: Any) -> Module:
        """Build the three steps, and the counters that address the constants."""
        m = Module()
        spec, ports = self.spec, range(len(self.spec.bits))
        factors = self.factors.build(m, self.i_valid, "factors")
        offsets = self.offsets.build(m, self.i_valid, "offsets")
        data = delay(m, self.i_data, 1, name="data")
        port = delay(m, self.i_port, 2, name="port") if self.in_turn else Const(0, 1)
        results = []
        for lane in range(spec.lanes):
            values, low = [], 0
            for k in ports:
                own = data[low : low + self._widths[k]]
                low += 0 if self.in_turn else self._widths[k]
                code = own.word_select(0 if spec.held[k] else lane, spec.bits[k])
                value = Signal(self._shape(k, lane), name=f"value_{k}_{lane}", reset_less=True)
                m.d.sync += value.eq(code * factors[k][lane] + offsets[k][lane])
                values.append(value)
            result = Signal(spec.out_bits, name=f"result_{lane}", reset_less=True)
            m.d.sync += result.eq(self._combined(m, values, port, lane))
            results.append(result)
        m.d.comb += [
            self.o_values.eq(Cat(results)),
            self.o_valid.eq(delay(m, self.i_valid, 3, name="valid", reset=True)),
            self.o_row.eq(delay(m, self.i_row, 3, name="row")),
        ]
        return m

    def _shape(self, k: int, lane: int) -> range:
        """Return the shape of a port's scaled code in a lane."""
        most = (1 << self.spec.bits[k]) - 1
        factors, offsets = self.spec.factors[:, k, lane], self.spec.offsets[:, k, lane]
        low = int(offsets.min()) + min(0, int(factors.min())) * most
        high = int(offsets.max()) + max(0, int(factors.max())) * most
        return range(min(low, 0), max(high, 1) + 1)

    def _combined(self, m: Module, values: list[Signal], port: Value, lane: int) -> Value:
        """Combine the scaled codes of all ports in a lane."""
        first: Value = values[0]
        match self.spec.op:
            case "sum":
                return reduce(add, values[1:], first)
            case "product":
                return reduce(mul, values[1:], first)
            case "maximum" | "minimum":
                best = first
                for k, value in enumerate(values[1:], 1):
                    wins = value > best if self.spec.op == "maximum" else value < best
                    chosen = Mux(wins, value, best)
                    best = Signal(chosen.shape(), name=f"best_{k}_{lane}")
                    m.d.comb += best.eq(chosen)
                return best
            case "copy":
                copied = Signal(self.spec.out_bits, name=f"copied_{lane}")
                with m.Switch(port):
                    for k, value in enumerate(values):
                        with m.Case(k) if k + 1 < len(values) else m.Default():
                            m.d.comb += copied.eq(value)
                return copied
            case _:
                raise ValueError(
                    f"op is {self.spec.op!r}; known are {', '.join(get_args(JoinedOp))}"
                )


class _BeatConstants:
    """Constants of every port and lane, in rows that are used one after the other.

    Those that are the same in all rows are constants in logic; the others are read from a memory.

    Parameters
    ----------
    values : int array [rows, ports, lanes]
        The constants.
    name : str
        Prefix of the memory's name.
    style : {"amaranth", "verilog"}
        Whether a large memory is a Verilog module.
    """

    def __init__(self, values: NDArray[Any], name: str, style: Style) -> None:
        self.values: Ints = np.asarray(values).astype(np.int64)
        self.rows = len(values)
        self.varies = (self.values != self.values[0]).any(0)
        self.rom: Rom | None = None
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        low, high = int(self.values.min()), int(self.values.max())
        width = max(1, high.bit_length(), (~low).bit_length() if low < 0 else 0)
        self.shape = signed(width + 1) if low < 0 else unsigned(width)
        if self.varies.any():
            fields = self.values[:, self.varies]
            self.rom = Rom(
                words=field_words(fields, self.shape.width),
                width=self.shape.width * fields.shape[1],
                register=False,
                name=name,
                style=style,
            )
            self.modules, self.images = self.rom.modules, self.rom.images

    def build(self, m: Module, advance: Value, name: str) -> list[list[Value]]:
        """Build the memory; return the constants [ports][lanes] of a beat, a cycle after it."""
        found = [[Const(int(value)) for value in lanes] for lanes in self.values[0]]
        if self.rom is None:
            return found
        m.submodules[name] = self.rom
        beat = Loop(self.rows, f"{name}_beat")
        with m.If(advance):
            beat.advance(m)
        m.d.comb += self.rom.address.eq(beat.index)
        for at, (k, lane) in enumerate(np.argwhere(self.varies).tolist()):
            field = Signal(self.shape, name=f"{name}_{k}_{lane}")
            m.d.comb += field.eq(self.rom.data.word_select(at, self.shape.width))
            found[k][lane] = field
        return found


def _check(spec: JoinedSpec, rows: int) -> None:
    """Check the parameters of an array."""
    if spec.op not in get_args(JoinedOp):
        raise ValueError(f"op is {spec.op!r}; known are {', '.join(get_args(JoinedOp))}")
    if rows < 1 or spec.out_bits < 1 or not spec.bits or min(spec.bits) < 1:
        raise ValueError(
            f"rows is {rows}, out_bits is {spec.out_bits} and bits are {spec.bits}; all have to be"
            " 1 or more, for one port or more"
        )
    for name in ("factors", "offsets"):
        shape = getattr(spec, name).shape
        if len(shape) != 3 or min(shape) < 1 or shape[1:] != (len(spec.bits), spec.lanes):
            raise ValueError(
                f"{name} have shape {shape}, not (rows, ports {len(spec.bits)}, lanes {spec.lanes})"
            )
    if len(spec.held) != len(spec.bits):
        raise ValueError(f"held is {spec.held}; there are {len(spec.bits)} ports")
    if spec.op == "product" and len(spec.bits) != 2:
        raise ValueError(f"there are {len(spec.bits)} ports; a product has two")
