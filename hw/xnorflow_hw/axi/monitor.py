"""Watches the two streams of an accelerator: counters, latency, interval, and snapshots of all."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.axi.register_map import COUNTERS, MEASUREMENTS, STATUS, Register
from xnorflow_hw.base.loop import Loop

COUNTER_BITS = 64


class _Measure:
    """Measures the cycles between two events: the last, the smallest and the largest value.

    The timer stops at all ones.
    """

    def __init__(self, m: Module, name: str, bits: int, clear: Value) -> None:
        none = (1 << bits) - 1
        self.values = [
            Signal(bits, name=name),
            Signal(bits, init=none, name=f"{name}_min"),
            Signal(bits, name=f"{name}_max"),
        ]
        last, least, most = self.values
        self.timer = Signal(bits, name=f"{name}_timer")
        m.d.sync += self.timer.eq(self.timer + ~self.timer.all())
        with m.If(clear):
            m.d.sync += [last.eq(0), least.eq(none), most.eq(0)]

    def start(self, m: Module) -> None:
        """Start the timer; call it inside the condition of the first event."""
        m.d.sync += self.timer.eq(1)

    def take(self, m: Module) -> None:
        """Record the time; call it inside the condition of the second event, before `start`."""
        last, least, most = self.values
        m.d.sync += last.eq(self.timer)
        with m.If(self.timer < least):
            m.d.sync += least.eq(self.timer)
        with m.If(self.timer > most):
            m.d.sync += most.eq(self.timer)


class Monitor(wiring.Component):
    """Counts and measures what `register_map.COUNTERS` and `register_map.MEASUREMENTS` list.

    An event in the cycle in which `clear` is set counts as the first one after it, so that a
    snapshot and a clear in the same cycle lose no event. Latency is measured for one frame at a
    time, the first one that begins after the previous measurement is over. So no queue of starting
    times is needed, however many frames are in the pipeline.

    Parameters
    ----------
    frame_beats : int
        Beats of a frame on `s_axis`.
    measure_bits : int
        Width of a measurement in bits; it stops at all ones.

    Members
    -------
    s_valid, s_ready, s_last, m_valid, m_ready, m_last : In(1)
        The handshakes of the two streams.
    m_real : In(1)
        Whether the beat on `m_axis` is a score, not one that fills up a result.
    filling : In(1)
        Whether a result is being filled up; for the status.
    restart : In(1)
        Whether the accelerator drops its frames; it accepts no beat in this cycle.
    clear, snapshot : In(1)
        As the fields of `register_map.CONTROL`.
    status : Out(32)
        Value of `register_map.STATUS`.
    taken_<NAME> : Out
        Every counter and measurement at the time of the last snapshot.

    Raises
    ------
    ValueError
        If `frame_beats` is below 1.
    """

    def __init__(self, *, frame_beats: int, measure_bits: int = 32) -> None:
        if frame_beats < 1:
            raise ValueError(f"frame_beats is {frame_beats}; it has to be 1 or more")
        self.frame_beats, self.measure_bits = frame_beats, measure_bits
        names = (
            "s_valid",
            "s_ready",
            "s_last",
            "m_valid",
            "m_ready",
            "m_last",
            "m_real",
            "filling",
            "restart",
            "clear",
            "snapshot",
        )
        super().__init__(
            {name: In(1) for name in names}
            | {"status": Out(32)}
            | {f"taken_{r.name}": Out(COUNTER_BITS) for r in COUNTERS}
            | {f"taken_{r.name}": Out(measure_bits) for r in MEASUREMENTS}
        )

    def taken(self, register: Register) -> Signal:
        """Return the port of a counter or measurement."""
        signal: Signal = getattr(self, f"taken_{register.name}")
        return signal

    def elaborate(self, platform: Any) -> Module:
        """Build the events, their counters and the measurements between them."""
        m = Module()
        beat = Loop(self.frame_beats, "beat")
        fresh = Signal(init=1)  # The next beat is a frame's first.
        accept, begin, done, held = Signal(), Signal(), Signal(), Signal()
        last_out = self.m_valid & self.m_last & self.m_real
        m.d.comb += [
            accept.eq(self.s_valid & self.s_ready),
            begin.eq(accept & fresh),
            done.eq(last_out & self.m_ready),
            held.eq(last_out & ~self.m_ready),
        ]
        with m.If(accept):
            beat.advance(m)
            m.d.sync += fresh.eq(beat.last)
        with m.If(self.restart):
            beat.restart(m)
            m.d.sync += fresh.eq(1)

        events = {
            "CYCLES": 1,
            "FRAMES_IN": accept & beat.last,
            "FRAMES_OUT": done,
            "IN_STALLED": self.s_valid & ~self.s_ready,
            "IN_STARVED": self.s_ready & ~self.s_valid,
            "OUT_STALLED": self.m_valid & ~self.m_ready,
            "TLAST_EARLY": accept & self.s_last & ~beat.last,
            "TLAST_MISSING": accept & ~self.s_last & beat.last,
        }
        live: dict[str, Value] = {}
        for register in COUNTERS:
            live[register.name] = count = Signal(COUNTER_BITS, name=register.name.lower())
            m.d.sync += count.eq(Mux(self.clear, 0, count) + events[register.name])

        in_flight = Signal(STATUS["IN_FLIGHT"].width)
        m.d.sync += in_flight.eq(in_flight + begin - done)
        with m.If(self.restart):
            # The only frame that is left is one whose last beat is already on offer.
            m.d.sync += in_flight.eq(held)

        latency, interval = (
            _Measure(m, name, self.measure_bits, self.clear) for name in ("latency", "interval")
        )
        timing, ended_one = Signal(), Signal()
        ahead = Signal.like(in_flight)  # Frames that end before the one that is timed.
        finish = timing & done & (ahead == 0) & ~self.clear
        with m.If(done):
            m.d.sync += ahead.eq(ahead - 1)
        with m.If(finish):
            latency.take(m)
        with m.If(finish | self.clear):
            m.d.sync += timing.eq(0)
        with m.If(begin & (~timing | finish | self.clear)):
            latency.start(m)
            m.d.sync += [timing.eq(1), ahead.eq(in_flight - done)]
        with m.If(self.restart):
            m.d.sync += timing.eq(0)
        with m.If(self.clear):
            m.d.sync += ended_one.eq(0)
        with m.If(done):
            with m.If(ended_one & ~self.clear):
                interval.take(m)
            interval.start(m)
            m.d.sync += ended_one.eq(1)

        live |= zip((r.name for r in MEASUREMENTS), latency.values + interval.values, strict=True)
        with m.If(self.snapshot):
            m.d.sync += [self.taken(r).eq(live[r.name]) for r in (*COUNTERS, *MEASUREMENTS)]
        flags = {
            "BUSY": (in_flight != 0) | self.m_valid | self.filling,
            "IN_STALLED": self.s_valid & ~self.s_ready,
            "IN_STARVED": self.s_ready & ~self.s_valid,
            "OUT_STALLED": self.m_valid & ~self.m_ready,
            "FILLING": self.filling,
            "IN_FLIGHT": in_flight,
        }
        for field in STATUS.fields:
            m.d.comb += self.status[field.low : field.low + field.width].eq(flags[field.name])
        return m
