"""A plain simulation of an accelerator's transfers, cycle by cycle, as docs/hardware.md has them.

Data do not matter: a beat is a number.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from xnorflow.schedule import bounds, buffer_order, regrouping
from xnorflow_hw.spec import (
    AcceleratorSpec,
    BufferSpec,
    GearboxSpec,
    JoinSpec,
    StageSpec,
    StreamSpec,
    StretchSpec,
)
from xnorflow_hw.spec.stage_latency import stage_latency
from xnorflow_hw.stage.stage import feature_buffer


class Deadlock(Exception):
    """Nothing moves any more."""


class Box:
    """A gearbox, or wires."""

    def __init__(self, box: GearboxSpec, elements: int) -> None:
        self.wires = not box.needed
        self.possible, _ = regrouping.gearbox_counts(box, elements)
        self.taken = self.given = 0

    def complete(self) -> int:
        """Return the output beats that are complete."""
        return int(self.possible[self.taken - 1]) if self.taken else 0

    def valid(self) -> bool:
        return self.given < self.complete()

    def ready(self, emits: bool) -> bool:
        return self.given + emits >= self.complete()


@dataclass
class Stream:
    """A stream with its gearbox and its queue."""

    spec: StreamSpec
    box: Box
    done: bool = False
    level: int = 0
    passed: int = 0
    """Beats that have left for the sink."""


class Window:
    """The buffer of a stage of windows."""

    def __init__(self, b: BufferSpec) -> None:
        self.b = b
        words = np.arange(b.frame_words).reshape(1, b.height, b.width, b.words)
        beats = feature_buffer(replace(b, pad_word=0, pad_word_last=0)).model(words + 1)
        self.read = (beats["data"].reshape(len(beats["first"]), -1)[:, 0] - 1).tolist()
        self.last = beats["last"].tolist()
        ends, freed = buffer_order.row_ends(b)
        self.frees = dict(zip(ends.tolist(), freed.tolist(), strict=True))
        self.written = self.issued = self.gone = 0

    def accepts(self, port: int) -> bool:
        return self.written - self.gone < self.b.depth

    def ready(self, valid: list[bool]) -> bool:
        frame, at = divmod(self.issued, self.b.cycles)
        read = self.read[at]
        return read < 0 or frame * self.b.frame_words + read < self.written

    def ends(self) -> bool:
        return bool(self.last[self.issued % self.b.cycles])

    def issue(self) -> None:
        frame, at = divmod(self.issued, self.b.cycles)
        if at in self.frees:
            self.gone = frame * self.b.frame_words + self.frees[at]
        self.issued += 1

    def write(self) -> None:
        self.written += 1


class Stretched(Window):
    """The buffer of a stage that stretches a map."""

    def __init__(self, b: StretchSpec, frames: int) -> None:
        self.b = b  # type: ignore[assignment]
        kept, count = b.kept(), int(b.kept().sum())
        self.keeps = np.tile(kept, frames).tolist()
        reads = [np.where(b.reads() < 0, -1, b.reads() + f * count) for f in range(frames)]
        self.read = np.concatenate(reads).tolist()
        self.written = self.issued = self.kept = 0

    def accepts(self, port: int) -> bool:
        if self.written == len(self.keeps) or not self.keeps[self.written]:
            return True
        later = [r for r in self.read[self.issued :] if r >= 0]
        return not later or self.kept - self.b.depth < min(later)

    def ready(self, valid: list[bool]) -> bool:
        return self.read[self.issued] < self.kept

    def ends(self) -> bool:
        return True

    def issue(self) -> None:
        self.issued += 1

    def write(self) -> None:
        self.kept += self.keeps[self.written]
        self.written += 1


class Joined:
    """The front of a stage that joins streams."""

    def __init__(self, b: JoinSpec) -> None:
        self.b = b
        self.takes = [set(b.takes(port).tolist()) for port in range(len(b.ports))]
        self.issued = 0

    def needs(self, port: int) -> bool:
        return self.issued % self.b.cycles in self.takes[port]

    def ready(self, valid: list[bool]) -> bool:
        return all(v or not self.needs(port) for port, v in enumerate(valid))

    def ends(self) -> bool:
        return True

    def issue(self) -> None:
        self.issued += 1


@dataclass
class Stage:
    """A stage: what issues its beats, what is in its pipeline, and its queue."""

    spec: StageSpec
    front: Window | Joined
    total: int
    pending: deque[int] = field(default_factory=deque)
    """Cycles from which the results on their way are offered."""
    credit: int = 0


def simulate(spec: AcceleratorSpec, frames: int) -> tuple[list[int], list[int]]:
    """Return the cycles of all transfers on s_axis and on m_axis.

    Raises
    ------
    Deadlock
        If nothing moves for a long time.
    """
    elements = bounds.elements_per_frame(spec)
    streams = [
        Stream(s, Box(s.box, n * frames)) for s, n in zip(spec.streams, elements, strict=True)
    ]
    stages = []
    for s in spec.stages:
        match s.buffer:
            case BufferSpec() as b:
                front: Window | Joined = Window(b)
            case StretchSpec() as b:
                front = Stretched(b, frames)
            case JoinSpec() as b:
                front = Joined(b)
        stages.append(Stage(s, front, frames * s.buffer.cycles))
    accepts: list[int] = []
    sent: list[int] = []
    register, to_accept = False, frames * spec.input.beats
    cycle = quiet = 0
    while len(sent) < frames * spec.output_beats:
        moved = False
        offers = [register, *(bool(s.pending) and s.pending[0] <= cycle for s in stages)]
        # What each stream offers its gearbox, its queue and its sink: all of it is in registers.
        to_box = [offers[s.spec.source] and not s.done for s in streams]
        from_box = [
            v if s.box.wires else s.box.valid() for v, s in zip(to_box, streams, strict=True)
        ]
        to_sink = [
            s.level > 0 if s.spec.queue else v for v, s in zip(from_box, streams, strict=True)
        ]
        taken_by_sink = [False] * len(streams)
        issue = [False] * len(stages)
        for k, stage in enumerate(stages):
            mine = [n for n, s in enumerate(streams) if s.spec.sink == k]
            more = stage.front.issued < stage.total
            going = more and stage.front.ready([to_sink[n] for n in mine])
            permit = stage.credit < stage.spec.queue_depth
            issue[k] = going and (permit or not stage.front.ends())
            for n in mine:
                if isinstance(stage.front, Joined):
                    wants = issue[k] and stage.front.needs(streams[n].spec.port)
                else:
                    wants = stage.front.accepts(0)
                taken_by_sink[n] = to_sink[n] and wants
        taken_by_sink[-1] = to_sink[-1]
        # From the sinks to the sources: who takes what in this cycle.
        leaves_source = [True] * len(offers)
        entered = []
        for n, s in enumerate(streams):
            emits = from_box[n] and s.level < s.spec.queue if s.spec.queue else taken_by_sink[n]
            enters = to_box[n] and (emits if s.box.wires else s.box.ready(emits))
            entered.append(enters)
            leaves_source[s.spec.source] &= enters or s.done
            if s.spec.queue:
                s.level += emits - taken_by_sink[n]
            if not s.box.wires:
                s.box.given += emits
                s.box.taken += enters
            moved |= enters or emits or taken_by_sink[n]
        for n, s in enumerate(streams):
            if offers[s.spec.source]:
                s.done = not leaves_source[s.spec.source] and (s.done or entered[n])
        for k, stage in enumerate(stages):
            if not isinstance(stage.front, Joined):
                mine = [n for n, s in enumerate(streams) if s.spec.sink == k]
                write = taken_by_sink[mine[0]]
            else:
                write = False
            pops = offers[k + 1] and leaves_source[k + 1]
            if issue[k]:
                if stage.front.ends():
                    latency = stage_latency(stage.spec.array, stage.spec.tails)
                    stage.pending.append(cycle + latency + 1)
                    stage.credit += 1
                stage.front.issue()
                moved = True
            if write:
                assert isinstance(stage.front, Window)
                stage.front.write()
            if pops:
                stage.pending.popleft()
                stage.credit -= 1
        if taken_by_sink[-1]:
            sent.append(cycle)
        gone = register and leaves_source[0]
        if len(accepts) < to_accept and (not register or gone):
            accepts.append(cycle)
            register = moved = True
        elif gone:
            register = False
        quiet = 0 if moved else quiet + 1
        if quiet > 200:
            raise Deadlock
        cycle += 1
    return accepts, sent
