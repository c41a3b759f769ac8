"""A model of the AXI wrapper's registers, computed cycle by cycle from the signals at its ports."""

from __future__ import annotations

from xnorflow_hw.axi.register_map import COUNTERS, MEASUREMENTS, STATUS, registers

NAMES = [register.name for register in (*COUNTERS, *MEASUREMENTS)]
"""Names of the registers that a snapshot takes."""


class MonitorModel:
    """A model of `xnorflow_hw.axi.monitor.Monitor`: counters, measurements, snapshot and status.

    It keeps a list of the frames on their way, where the hardware only counts them.

    Parameters
    ----------
    frame_beats : int
        Number of beats of a frame on ``s_axis``.
    measure_bits : int
        Bits of a measurement, which stays at its largest value when it overflows.

    Attributes
    ----------
    taken : dict of str to int
        Counters and measurements of the last snapshot.
    values : dict of str to int
        Counters and measurements now.
    begun : list of (int or None)
        Cycle of the first beat of each frame on its way; None for a frame that is not timed.
    """

    def __init__(self, frame_beats: int, measure_bits: int = 32) -> None:
        self.frame_beats, self.none = frame_beats, (1 << measure_bits) - 1
        self.beat = self.cycle = 0
        self.begun: list[int | None] = []
        self.taken = dict.fromkeys(NAMES, 0)
        self.clear()

    def clear(self) -> None:
        """Set counters and measurements back to their initial values."""
        self.values = dict.fromkeys(NAMES, 0)
        self.values |= {"LATENCY_MIN": self.none, "INTERVAL_MIN": self.none}
        self.begun = [None] * len(self.begun)
        self.previous: int | None = None

    def status(
        self, *, s_valid: int, s_ready: int, m_valid: int, m_ready: int, filling: int
    ) -> int:
        """Return the status register in a cycle, before `step` computes that cycle."""
        flags = {
            "BUSY": bool(self.begun or m_valid or filling),
            "IN_STALLED": s_valid and not s_ready,
            "IN_STARVED": s_ready and not s_valid,
            "OUT_STALLED": m_valid and not m_ready,
            "FILLING": filling,
            "IN_FLIGHT": len(self.begun),
        }
        return sum(int(flags[field.name]) << field.low for field in STATUS.fields)

    def step(
        self,
        *,
        s_valid: int,
        s_ready: int,
        s_last: int,
        m_valid: int,
        m_ready: int,
        m_last: int,
        m_real: int,
        restart: int,
        clear: int,
        snapshot: int,
    ) -> None:
        """Compute one cycle; the arguments have the names of the hardware's ports."""
        if snapshot:
            self.taken = dict(self.values)
        if clear:
            self.clear()
        v = self.values
        v["CYCLES"] += 1
        v["IN_STALLED"] += s_valid and not s_ready
        v["IN_STARVED"] += s_ready and not s_valid
        v["OUT_STALLED"] += m_valid and not m_ready
        if m_valid and m_ready and m_last and m_real:
            v["FRAMES_OUT"] += 1
            first = self.begun.pop(0)
            if first is not None:
                self._measure("LATENCY", self.cycle - first)
            if self.previous is not None:
                self._measure("INTERVAL", self.cycle - self.previous)
            self.previous = self.cycle
        if s_valid and s_ready:
            if self.beat == 0:
                timed = any(first is not None for first in self.begun)
                self.begun.append(None if timed else self.cycle)
            self.beat = (self.beat + 1) % self.frame_beats
            ends = self.beat == 0
            v["FRAMES_IN"] += ends
            v["TLAST_EARLY"] += s_last and not ends
            v["TLAST_MISSING"] += ends and not s_last
        if restart:
            held = m_valid and m_last and m_real and not m_ready
            self.beat, self.begun = 0, [None] * int(held)
        self.cycle += 1

    def _measure(self, name: str, cycles: int) -> None:
        cycles, v = min(cycles, self.none), self.values
        v[name] = cycles
        v[f"{name}_MIN"] = min(v[f"{name}_MIN"], cycles)
        v[f"{name}_MAX"] = max(v[f"{name}_MAX"], cycles)


def words(values: dict[str, int]) -> dict[int, int]:
    """Return the 32-bit words of registers by their word addresses."""
    return {
        r.offset // 4 + k: values[r.name] >> 32 * k & 0xFFFFFFFF
        for r in registers(values.get("MOST_EDGES", 1))
        for k in range(r.words)
    }
