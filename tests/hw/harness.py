"""Drives one component in Amaranth's simulator, cycle by cycle, with stalls and a time limit.

A bench is a list of agents on one component. In every cycle each agent first drives its inputs,
then, with everything settled, each looks at the wires. Cycle 0 is the first one, so an event's
cycle is the one of `docs/hardware.md`: seen on the wires before the clock edge that ends it.

Most tests need only `run_pulses` or `run_stream`; a mixed component combines agents with `run`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from amaranth.hdl import ClockDomain, Const, Module, Value
from amaranth.sim import Simulator

Stall = Callable[[int], bool]
"""Whether the agent holds back in a cycle."""

Beat = Mapping[str, int]
Event = tuple[int, dict[str, int]]


def never(cycle: int) -> bool:
    """Return False: never hold back."""
    return False


def stalls(seed: int, probability: float) -> Stall:
    """Return a stall that holds back in a random but repeatable share of the cycles."""
    rng = random.Random(seed)
    pattern = [rng.random() < probability for _ in range(997)]
    return lambda cycle: pattern[cycle % len(pattern)]


def with_bubbles(
    beats: Iterable[Beat], seed: int, probability: float, *, longest: int = 7
) -> list[Beat | None]:
    """Return the beats with bubbles (None: no beat this cycle) before a random share of them."""
    rng = random.Random(seed)
    out: list[Beat | None] = []
    for beat in beats:
        if rng.random() < probability:
            out += [None] * rng.randint(1, longest)
        out.append(beat)
    return out


class Agent:
    """A participant of a bench; `done` tells whether it has everything that it waits for."""

    def drive(self, ctx: Any, cycle: int) -> None:
        """Set the inputs for this cycle."""

    def sample(self, ctx: Any, cycle: int) -> None:
        """Look at the settled wires in this cycle."""

    @property
    def done(self) -> bool:
        return True

    def progress(self) -> str:
        return ""


class Source(Agent):
    """Offers payloads on a stream; `cycles` are those of the transfers."""

    def __init__(self, stream: Any, payloads: Iterable[int], stall: Stall = never) -> None:
        self.stream, self.stall = stream, stall
        self.payloads = [int(payload) for payload in payloads]
        self.cycles: list[int] = []
        self.offered = False

    def drive(self, ctx: Any, cycle: int) -> None:
        left = len(self.cycles) < len(self.payloads)
        # Once offered, a payload stays until it is taken.
        self.offered = left and (self.offered or not self.stall(cycle))
        _set(ctx, self.stream.valid, self.offered)
        if self.offered:
            _set(ctx, self.stream.payload, self.payloads[len(self.cycles)])
        elif len(Value.cast(self.stream.payload)):
            # A payload that is not valid must not matter, so the wires carry random values.
            width = len(Value.cast(self.stream.payload))
            _set(ctx, self.stream.payload, random.Random(cycle).getrandbits(width))

    def sample(self, ctx: Any, cycle: int) -> None:
        if self.offered and ctx.get(self.stream.ready):
            self.cycles.append(cycle)
            self.offered = False

    @property
    def done(self) -> bool:
        return len(self.cycles) == len(self.payloads)

    def progress(self) -> str:
        return f"{len(self.cycles)} of {len(self.payloads)} beats accepted"


class Sink(Agent):
    """Takes `count` transfers and allows no more; `transfers` are pairs of (cycle, payload).

    It checks the rules of streams: once valid is 1, valid and payload stay until the transfer.
    """

    def __init__(self, stream: Any, count: int, stall: Stall = never) -> None:
        self.stream, self.count, self.stall = stream, count, stall
        self.transfers: list[tuple[int, int]] = []
        self.held: int | None = None

    def drive(self, ctx: Any, cycle: int) -> None:
        _set(ctx, self.stream.ready, not self.stall(cycle))

    def sample(self, ctx: Any, cycle: int) -> None:
        valid, ready = ctx.get(self.stream.valid), ctx.get(self.stream.ready)
        payload = ctx.get(Value.cast(self.stream.payload))
        if self.held is not None:
            assert valid, f"cycle {cycle}: valid dropped before the transfer of {self.held:#x}"
            assert payload == self.held, (
                f"cycle {cycle}: payload {self.held:#x} became {payload:#x}"
            )
        self.held = payload if valid and not ready else None
        if valid and ready:
            assert len(self.transfers) < self.count, f"cycle {cycle}: one transfer too many"
            self.transfers.append((cycle, payload))

    @property
    def done(self) -> bool:
        return len(self.transfers) == self.count

    def progress(self) -> str:
        return f"{len(self.transfers)} of {self.count} transfers taken"


class Feed(Agent):
    """Drives pulses, one entry per cycle: port values, or None for a bubble with random values."""

    def __init__(self, dut: Any, beats: Sequence[Beat | None], valid: str = "i_valid") -> None:
        self.dut, self.beats, self.valid = dut, beats, valid
        self.names = sorted({name for beat in beats if beat is not None for name in beat})
        self.cycle = 0

    def drive(self, ctx: Any, cycle: int) -> None:
        self.cycle = cycle
        beat = self.beats[cycle] if cycle < len(self.beats) else None
        _set(ctx, getattr(self.dut, self.valid), beat is not None)
        rng = random.Random(cycle)
        for name in self.names:
            port = getattr(self.dut, name)
            _set(ctx, port, rng.getrandbits(64 + len(port)) >> 64 if beat is None else beat[name])

    @property
    def done(self) -> bool:
        return self.cycle >= len(self.beats)


class Watch(Agent):
    """Records pulses as (cycle, values); with `count`, it waits for that many and allows no more.

    With ``valid=None`` it records every cycle.
    """

    def __init__(
        self,
        dut: Any,
        names: Sequence[str],
        valid: str | None = "o_valid",
        count: int | None = None,
    ) -> None:
        self.dut, self.names, self.valid, self.count = dut, names, valid, count
        self.events: list[Event] = []

    def sample(self, ctx: Any, cycle: int) -> None:
        if self.valid is None or ctx.get(getattr(self.dut, self.valid)):
            values = {name: ctx.get(Value.cast(getattr(self.dut, name))) for name in self.names}
            self.events.append((cycle, values))
            assert self.count is None or len(self.events) <= self.count, (
                f"cycle {cycle}: one pulse too many: {values}"
            )

    @property
    def done(self) -> bool:
        return self.count is None or len(self.events) == self.count

    def progress(self) -> str:
        return f"{len(self.events)} of {self.count} pulses seen"


class Drive(Agent):
    """Sets one port to `value(cycle)` in every cycle."""

    def __init__(self, port: Any, value: Callable[[int], int]) -> None:
        self.port, self.value = port, value

    def drive(self, ctx: Any, cycle: int) -> None:
        _set(ctx, self.port, self.value(cycle))


def run(dut: Any, *agents: Agent, timeout: int = 10_000, drain: int = 16) -> None:
    """Simulate until every agent is done, and then `drain` cycles more.

    Parameters
    ----------
    dut : Component
        The component under test.
    *agents : Agent
        What drives and watches it.
    timeout : int
        Largest number of cycles.
    drain : int
        Cycles after the last agent is done, in which nothing unexpected may happen.

    Raises
    ------
    AssertionError
        If an agent finds a broken rule, or is not done after `timeout` cycles.
    """

    async def bench(ctx: Any) -> None:
        left = drain
        for cycle in range(timeout):
            for agent in agents:
                agent.drive(ctx, cycle)
            for agent in agents:
                agent.sample(ctx, cycle)
            if all(agent.done for agent in agents):
                left -= 1
                if left < 0:
                    return
            await ctx.tick()
        stuck = [f"{type(a).__name__}: {a.progress()}" for a in agents if not a.done]
        raise AssertionError(f"not done after {timeout} cycles: " + "; ".join(stuck))

    # A combinational component has no clock domain of its own, so the top declares one.
    top = Module()
    top.domains.sync = ClockDomain()
    top.submodules.dut = dut
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def run_pulses(
    dut: Any,
    beats: Sequence[Beat | None],
    outputs: Sequence[str],
    *,
    count: int | None = None,
    timeout: int = 10_000,
    drain: int = 16,
) -> list[Event]:
    """Feed `i_valid` pulses, one entry of `beats` per cycle, and return the `o_valid` pulses."""
    watch = Watch(dut, outputs, count=count)
    run(dut, Feed(dut, beats), watch, timeout=timeout, drain=drain)
    return watch.events


def run_stream(
    dut: Any,
    payloads: Iterable[int],
    count: int,
    *,
    i_stall: Stall = never,
    o_stall: Stall = never,
    timeout: int = 10_000,
    drain: int = 16,
) -> tuple[list[int], list[tuple[int, int]]]:
    """Send payloads into the stream `i` and take `count` transfers from the stream `o`.

    Returns
    -------
    accepted : list of int
        Cycle of each input transfer.
    transfers : list of (int, int)
        Cycle and payload of each output transfer.
    """
    source, sink = Source(dut.i, payloads, i_stall), Sink(dut.o, count, o_stall)
    run(dut, source, sink, timeout=timeout, drain=drain)
    return source.cycles, sink.transfers


def pack(values: Iterable[int], width: int) -> int:
    """Return lanes joined into one word, lane 0 lowest; negative values become two's complement."""
    word = 0
    for lane, value in enumerate(values):
        value = int(value)
        assert -(1 << width >> 1) <= value < 1 << width, f"{value} does not fit {width} bits"
        word |= (value & ((1 << width) - 1)) << (lane * width)
    return word


def unpack(word: int, width: int, lanes: int, *, signed: bool = False) -> list[int]:
    """Return the lanes of a word, lane 0 lowest."""
    values = [(word >> (lane * width)) & ((1 << width) - 1) for lane in range(lanes)]
    return [v - (1 << width) if signed and v >> (width - 1) else v for v in values]


def _set(ctx: Any, port: Any, value: int) -> None:
    """Set a port; refuse values that the simulator would truncate without a warning."""
    value, width = int(value), len(Value.cast(port))
    assert 0 <= value < 1 << width, f"{value} does not fit the {width} bits of {port!r}"
    if width and not isinstance(port, Const):
        ctx.set(Value.cast(port), value)
