"""A plain simulation of accelerators' transfers, cycle by cycle, as docs/hardware.md has them.

Data do not matter: a beat is a number. Many accelerators run side by side: a row of every array
belongs to one part, or to one stream, of one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow_hw.spec import AcceleratorSpec, JoinSpec
from xnorflow_hw.spec.stage_latency import stage_latency

from .orders import NEVER, Ints, Order, beat_ends, beats_of, order_of, wanted

LOOK = 32
"""Cycles between two looks at what has ended."""


class Deadlock(Exception):
    """Nothing moves any more."""


@dataclass(frozen=True, eq=False)
class Run:
    """What became of an accelerator.

    Parameters
    ----------
    accepts, sent : int64 array [beats]
        Cycles of the transfers on s_axis and on m_axis; NEVER for those that did not come.
    late : bool
        Whether it was given up because a beat came later than it should.
    stuck : bool
        Whether nothing moved any more although not all was sent.
    """

    accepts: Ints
    sent: Ints
    late: bool
    stuck: bool


def simulate(spec: AcceleratorSpec, frames: int) -> tuple[list[int], list[int]]:
    """Return the cycles of all transfers on s_axis and on m_axis.

    Raises
    ------
    Deadlock
        If nothing moves any more.
    """
    (run,) = simulate_all([spec], [frames])
    if run.stuck:
        raise Deadlock
    return run.accepts.tolist(), run.sent.tolist()


def simulate_all(
    specs: Sequence[AcceleratorSpec],
    frames: Sequence[int],
    *,
    latest: Sequence[Ints] | None = None,
    stalls: tuple[float, float] = (0, 0),
    seed: int = 0,
) -> list[Run]:
    """Run accelerators side by side until each has sent all its frames or never will.

    Parameters
    ----------
    specs : sequence of AcceleratorSpec
        Accelerators, each with its own depths.
    frames : sequence of int
        Number of frames of each.
    latest : sequence of int64 array [beats], optional
        Cycles after which the beats on m_axis are late. Late accelerators may be given up.
    stalls : tuple of float
        Probability in each cycle that the source offers nothing new, and that the sink takes
        nothing.
    seed : int
        Seed of the stalls.
    """
    machine = _Machine(specs, frames)
    return machine.run(latest, stalls, np.random.default_rng(seed))


class _Pool:
    """Arrays one behind the other; equal ones are stored once."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = []
        self.size = 0
        self.known: dict[Hashable, int] = {}

    def add(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> int:
        """Return where the array named `key` begins."""
        if key not in self.known:
            self.known[key] = self.size
            made = make()
            self.parts.append(made)
            self.size += len(made)
        return self.known[key]

    def all(self) -> NDArray[Any]:
        return np.concatenate(self.parts)


class _Machine:
    """The parts of all accelerators.

    An accelerator with n stages has n + 1 rows. As sinks they are its stages and then its output;
    as sources they are its input and then its stages. So what row r issues is sent by row r + 1.
    """

    def __init__(self, specs: Sequence[AcceleratorSpec], frames: Sequence[int]) -> None:
        pools = {name: _Pool() for name in ("waits", "ends", "gone", "place", "red", "frees")}
        ends, takes = _Pool(), _Pool()
        orders: dict[Hashable, Order] = {}
        rows: list[dict[str, int]] = []
        streams: list[dict[str, int]] = []
        self.first_row = []
        done = 0
        for spec, count in zip(specs, frames, strict=True):
            base, stages = len(rows), spec.stages
            self.first_row.append(base)
            rows += [{} for _ in range(len(stages) + 1)]
            out_beats = count * -(-spec.classes // spec.out_lanes)
            for k, stage in enumerate(stages):
                front = stage.buffer
                joins = isinstance(front, JoinSpec)
                key = (front if isinstance(front, JoinSpec) else replace(front, depth=0), count)
                if key not in orders:
                    orders[key] = order_of(front, count)
                order = orders[key]
                latency = stage_latency(stage.array, stage.tails)
                rows[base + k] |= {
                    "waits": pools["waits"].add(key, lambda o=order: o.waits),
                    "ends": pools["ends"].add(key, lambda o=order: o.ends),
                    "gone": pools["gone"].add(key, lambda o=order: o.gone),
                    "place": pools["place"].add(key, lambda o=order: o.place),
                    "capacity": 0 if joins else _places(front),
                    "memory": not joins,
                    "latency": latency,
                    "depth": stage.queue_depth,
                    "output": False,
                    "due": 0,
                }
                rows[base + k + 1] |= {
                    "red": pools["red"].add(key, lambda o=order: o.reduction),
                    "frees": pools["frees"].add(key, lambda o=order: o.frees),
                    "done": done,
                    "beats": count * beats_of(stage),
                    "input": False,
                }
                done += int(order.reduction[-1]) + 1
            accepted = count * beats_of(spec.input)
            plain = ("input", accepted)
            rows[base] |= {
                "red": pools["red"].add(plain, lambda n=accepted: np.arange(n + 1)),
                "frees": pools["frees"].add(plain, lambda n=accepted: np.zeros(n + 1, bool)),
                "done": done,
                "beats": accepted,
                "input": True,
            }
            done += accepted + 1
            output = ("output", out_beats)
            rows[base + len(stages)] |= {
                "waits": pools["waits"].add("output", lambda: np.full(1, NEVER)),
                "ends": pools["ends"].add("output", lambda: np.zeros(1, bool)),
                "gone": pools["gone"].add("output", lambda: np.zeros(1, np.int64)),
                "place": pools["place"].add(
                    output, lambda n=out_beats: np.append(np.full(n, -1), NEVER)
                ),
                "capacity": 0,
                "memory": True,
                "latency": 0,
                "depth": 0,
                "output": True,
                "due": out_beats,
            }
            for s in spec.streams:
                source = stages[s.source - 1] if s.source else spec.input
                box, sent = s.box, count * beats_of(source)
                groups = sent // -(-box.group_in // box.lanes_in)
                elements = groups * box.group_in
                assert elements % box.group_out == 0
                into, out = (groups, box.group_in, box.lanes_in), (
                    elements // box.group_out, box.group_out, box.lanes_out
                )  # fmt: skip
                front = stages[s.sink].buffer if s.sink < len(stages) else None
                want = (front, s.port, count) if isinstance(front, JoinSpec) else None
                streams.append(
                    {
                        "source": base + s.source,
                        "sink": base + s.sink,
                        "wires": not box.needed,
                        "queue": s.queue,
                        "into": ends.add(("in", into), lambda a=into: _padded(beat_ends(*a))),
                        # From the first beat's end on.
                        "out": ends.add(("out", out), lambda a=out: _padded(beat_ends(*a)[1:])),
                        "takes": takes.add(want, _wanted(front, s.port, count)),
                    }
                )
        self.pools = {name: pool.all() for name, pool in pools.items()}
        self.box_ends, self.takes = ends.all(), takes.all()
        self.row = {name: np.array([r[name] for r in rows]) for name in rows[0]}
        self.stream = {name: np.array([s[name] for s in streams]) for name in streams[0]}
        self.done_at = np.full(done, NEVER)

    def run(
        self,
        latest: Sequence[Ints] | None,
        stalls: tuple[float, float],
        rng: np.random.Generator,
    ) -> list[Run]:
        """Run all cycles; see `simulate_all`."""
        row, stream, pools = self.row, self.stream, self.pools
        rows, streams = len(row["red"]), len(stream["sink"])
        source, sink, queue = stream["source"], stream["sink"], stream["queue"]
        wires, boxed, queued = stream["wires"], ~stream["wires"], queue > 0
        joined = ~row["memory"][sink]
        waits, ends, gone, place = (pools[n] for n in ("waits", "ends", "gone", "place"))
        # Streams are in the order of their sinks; these are the first of each sink and source.
        of_sink = np.searchsorted(sink, np.arange(rows))
        by_source = np.argsort(source, kind="stable")
        of_source = np.searchsorted(source[by_source], np.arange(rows))
        before = np.arange(rows) - 1

        zeros = np.zeros(rows, np.int64)
        issued, reduced, written, credit, sent, accepted = (zeros.copy() for _ in range(6))
        level, taken_in, given = (np.zeros(streams, np.int64) for _ in range(3))
        passed = np.zeros(streams, bool)
        outputs = np.flatnonzero(row["output"])
        due = row["due"][outputs]
        at_output = np.zeros(rows, np.int64)
        at_output[outputs] = np.cumsum(due + 1) - due - 1
        times = np.full(int((due + 1).sum()), NEVER)
        limits = None
        if latest is not None:
            limits = np.concatenate([np.append(times_of, NEVER) for times_of in latest])
        late = np.zeros(len(outputs), bool)
        stuck = late.copy()
        patience = int(row["latency"].max()) + 3
        # With stalls, nothing may move for long by chance.
        if any(stalls):
            patience += 400
        snapshot, looked = self._progress(issued, written, accepted, sent, given, level), 0
        cycle = 0
        done_at, done_of, red_of = self.done_at, row["done"], row["red"]
        source_free = sink_free = np.ones(rows, bool)
        offering = np.zeros(rows, bool)
        while True:
            if any(stalls):
                # An offer stays until it is taken.
                offering |= rng.random(rows) >= stalls[0]
                source_free = offering
                sink_free = ~row["output"] | (rng.random(rows) >= stalls[1])
            # What is offered to each stream, its queue and its sink: all of it is in registers.
            offers = done_at[done_of + pools["red"][red_of + sent]] <= cycle
            to_box = offers[source] & ~passed
            have, at = self.box_ends[stream["into"] + taken_in], stream["out"] + given
            held = have >= self.box_ends[at]
            from_box = np.where(wires, to_box, held)
            to_sink = np.where(queued, level > 0, from_box)
            # Who issues, and who takes what.
            wants = self.takes[stream["takes"] + np.where(joined, issued[sink], 0)]
            misses = np.logical_or.reduceat(wants & ~to_sink, of_sink)
            last = ends[row["ends"] + issued]
            issue = (written >= waits[row["waits"] + issued]) & ~misses
            issue &= (credit < row["depth"]) | ~last
            space = place[row["place"] + written * row["memory"]]
            accepts = (space < gone[row["gone"] + issued] + row["capacity"]) & sink_free
            takes = to_sink & np.where(joined, wants & issue[sink], accepts[sink])
            emits = np.where(queued, from_box & (level < queue), takes)
            more = have >= self.box_ends[at + 1]
            enters = to_box & np.where(wires, emits, ~held | (emits & ~more))
            has = enters | passed
            leaves = offers & np.logical_and.reduceat(has[by_source], of_source)
            # The clock.
            passed = offers[source] & ~leaves[source] & has
            level += (emits & queued).astype(np.int64) - (takes & queued)
            given += emits & boxed
            taken_in += enters & boxed
            arrived = takes[of_sink] & row["memory"]
            ended = np.flatnonzero(issue & last)
            done_at[done_of[ended + 1] + reduced[ended]] = cycle + row["latency"][ended] + 1
            reduced[ended] += 1
            credit[ended] += 1
            freed = leaves & pools["frees"][row["frees"] + sent] & ~row["input"]
            credit[before[freed]] -= 1
            new = row["input"] & (accepted < row["beats"]) & ((accepted == sent) | leaves)
            new = np.flatnonzero(new & source_free)
            done_at[done_of[new] + accepted[new]] = cycle + 1
            accepted[new] += 1
            offering[new] = False
            out = outputs[arrived[outputs]]
            times[at_output[out] + written[out]] = cycle
            written += arrived
            issued += issue
            sent += leaves
            cycle += 1
            if cycle % LOOK:
                continue
            finished = written[outputs] == due
            if limits is not None:
                late |= limits[at_output[outputs] + written[outputs]] < cycle
            if cycle - looked > patience:
                now = self._progress(issued, written, accepted, sent, given, level)
                stuck |= (now == snapshot) & ~finished
                snapshot, looked = now, cycle
            if (finished | late | stuck).all():
                break
        if limits is not None:
            late |= np.logical_or.reduceat((times > limits), at_output[outputs]) & ~stuck
        return [
            Run(
                done_at[done_of[first] :][: row["beats"][first]] - 1,
                times[at_output[r] :][: due[n]],
                bool(late[n]),
                bool(stuck[n]),
            )
            for n, (first, r) in enumerate(zip(self.first_row, outputs, strict=True))
        ]

    def _progress(self, *counters: Ints) -> Ints:
        """Return a number for each accelerator that changes whenever anything moves."""
        issued, written, accepted, sent, given, level = counters
        moved = np.add.reduceat(issued + written + accepted + sent, self.first_row)
        streams = np.searchsorted(self.stream["sink"], self.first_row)
        # What enters a queue goes out of its source; what leaves it is taken by a part.
        return moved + np.add.reduceat(given + (level << 32), streams)


def _places(front: Any) -> int:
    """Return the places of a memory: words, or pixels in each of several banks."""
    return front.depth // front.words if front.pixels > 1 else front.depth


def _padded(ends: Ints) -> Ints:
    """Return the ends of beats with two that never come behind them."""
    return np.append(ends, [NEVER, NEVER])


def _wanted(front: Any, port: int, frames: int) -> Callable[[], NDArray[Any]]:
    if not isinstance(front, JoinSpec):
        return lambda: np.zeros(1, bool)
    return lambda: wanted(front, port, frames)
