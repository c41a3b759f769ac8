"""Input stage: turns raw samples into activation codes, by comparison or by table."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.spec.geometry import ceil_div

LEAST_BITS, MOST_BITS = 8, 16
"""Bits that a sample may have."""
MAX_STEPS = 64
"""Most changes of a table of wide samples that are built as comparators."""


def _step(row: list[int]) -> tuple[int, int, int] | None:
    """Return a table as (threshold, code below it, code from it on), or None if it is no step."""
    changes = [x for x in range(1, len(row)) if row[x] != row[x - 1]]
    if len(changes) > 1:
        return None
    return (changes[0] if changes else 0), row[0], row[-1]


class InputStage(wiring.Component):
    """Looks up the code of every sample.

    There is one register, at the output: a beat accepted in cycle a is offered from a + 1 on, and
    the next one can be accepted in the cycle in which it is taken.

    Parameters
    ----------
    lanes : int
        Samples per beat.
    bits : int
        Width of a code in bits.
    table : int array [channels, 2 ** sample bits]
        Code of every sample value. Sample i of a group belongs to channel i mod `channels`. A table
        with one step is built as a comparator, the identity as wires, and others as read-only
        memories in LUTs, or, for samples of more than 8 bits and few steps, as comparators.
    group : int
        Samples per group, a multiple of `channels`. A group begins with a new beat.

    Members
    -------
    i : In(stream.Signature(lanes * 8 or 16))
        Samples in whole bytes, lane 0 lowest.
    o : Out(stream.Signature(lanes * bits))
        Codes, lane 0 lowest; 0 in the lanes past the end of a group.

    Attributes
    ----------
    latency : int
        1 clock cycle.

    Raises
    ------
    ValueError
        If a number is not positive, the table has another shape, a code does not fit, or `group` is
        no multiple of the channels.
    """

    latency = 1

    def __init__(self, *, lanes: int, bits: int, table: NDArray[Any], group: int) -> None:
        """Check the parameters and declare the ports."""
        for name, size in {"lanes": lanes, "bits": bits, "group": group}.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; it has to be 1 or more")
        table = np.asarray(table)
        sizes = [1 << b for b in range(LEAST_BITS, MOST_BITS + 1)]
        if table.ndim != 2 or table.shape[1] not in sizes or not len(table):
            raise ValueError(f"table has shape {table.shape}, not (channels, {sizes[0]} or more)")
        if table.min() < 0 or int(table.max()).bit_length() > bits:
            raise ValueError(
                f"table has codes from {table.min()} to {table.max()}; they do not fit {bits} bits"
            )
        if group % len(table):
            raise ValueError(
                f"group is {group}; it has to be a multiple of the table's {len(table)} channels"
            )
        self.lanes, self.bits, self.group = lanes, bits, group
        self.sample_bits = table.shape[1].bit_length() - 1
        self.lane_bits = 8 * ceil_div(self.sample_bits, 8)
        self.table: NDArray[np.int64] = table.astype(np.int64)
        super().__init__(
            {
                "i": In(stream.Signature(lanes * self.lane_bits)),
                "o": Out(stream.Signature(lanes * bits)),
            }
        )

    @property
    def beats(self) -> int:
        """Number of beats per group."""
        return ceil_div(self.group, self.lanes)

    def model(self, samples: NDArray[Any]) -> NDArray[np.int64]:
        """Return the output beats, int64 [groups * beats, lanes], of samples [groups, group]."""
        channel = np.arange(self.group) % len(self.table)
        codes = self.table[channel, samples]
        padded = np.pad(codes, [(0, 0), (0, self.beats * self.lanes - self.group)])
        return padded.reshape(-1, self.lanes)

    def elaborate(self, platform: Any) -> Module:
        """Build the look-up of every lane and the register behind it."""
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        channels = len(self.table)
        same = bool((self.table == self.table[0]).all())
        # The channels of the lanes repeat after `period` beats, and start again with each group.
        period = 1 if same else min(self.beats, channels // gcd(channels, self.lanes))
        phase, beat = Loop(period, "phase"), Loop(self.beats, "beat")
        ragged = self.group % self.lanes != 0
        restart = self.beats % period != 0
        codes = []
        for lane in range(self.lanes):
            word = self.i.payload.word_select(lane, self.lane_bits)
            sample = word[: self.sample_bits] if self.sample_bits < self.lane_bits else word
            rows = [self.table[(p * self.lanes + lane) % channels].tolist() for p in range(period)]
            code = self._lane(m, lane, sample, rows, phase.index)
            if ragged and lane >= self.group % self.lanes:
                code = code & (~beat.last).replicate(self.bits)
            codes.append(code)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
            m.d.sync += self.o.payload.eq(Cat(codes))
        with m.If(self.i.ready & self.i.valid):
            phase.advance(m)
            if ragged or restart:
                beat.advance(m)
            if restart:
                with m.If(beat.last):
                    phase.restart(m)
        return m

    def _lane(
        self, m: Module, lane: int, sample: Value, rows: list[list[int]], phase: Value
    ) -> Value:
        """Build the look-up of one lane in the table of the current phase; return the code.

        Parameters
        ----------
        m : Module
            The module that gets the logic.
        lane : int
            Number of the lane, for names.
        sample : Value [sample bits]
            The lane's sample.
        rows : list of list of int
            The lane's table in each phase.
        phase : Value
            Number of the current phase.
        """
        low = (1 << min(self.bits, self.sample_bits)) - 1
        if all(row == [i & low for i in range(1 << self.sample_bits)] for row in rows):
            return (
                sample[: self.bits]
                if self.bits <= self.sample_bits
                else Cat(sample, Const(0, self.bits - self.sample_bits))
            )
        code = Signal(self.bits, name=f"code_{lane}")
        steps = [_step(row) for row in rows]
        if all(steps):
            with m.Switch(phase):
                for p, step in enumerate(steps):
                    assert step is not None
                    threshold, below, above = step
                    with m.Case(p) if p + 1 < len(steps) else m.Default():
                        m.d.comb += code.eq(above)
                        if threshold:
                            with m.If(sample < threshold):
                                m.d.comb += code.eq(below)
            return code
        changes = [[i for i in range(1, len(row)) if row[i] != row[i - 1]] for row in rows]
        if self.sample_bits > LEAST_BITS and max(map(len, changes)) <= MAX_STEPS:
            with m.Switch(phase):
                for p, row in enumerate(rows):
                    with m.Case(p) if p + 1 < len(rows) else m.Default():
                        m.d.comb += code.eq(row[0])
                        for change in changes[p]:
                            with m.If(sample >= change):
                                m.d.comb += code.eq(row[change])
            return code
        contents = [entry for row in rows for entry in row]
        memory = Memory(shape=self.bits, depth=len(contents), init=contents)
        m.submodules[f"table_{lane}"] = memory
        port = memory.read_port(domain="comb")
        m.d.comb += [port.addr.eq(Cat(sample, phase)), code.eq(port.data)]
        return code
