"""Run whole accelerators in Amaranth's simulator, and check every beat."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.sim import Simulator
from numpy.typing import NDArray

from xnorflow.compiler import DEFAULT_CLOCK
from xnorflow.design.design import Design
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.schedule.flow import Flow
from xnorflow.schedule.timing import predict
from xnorflow_hw.spec import AcceleratorSpec
from xnorflow_hw.spec.kinds import Multiplier
from xnorflow_hw.top.accelerator import Accelerator
from xnorflow_sim import golden
from xnorflow_sim.interface import Interface
from xnorflow_sim.verilator import runner

from .strategies import Case

IDLE = 3000
"""Cycles without a transfer after which a design counts as stuck."""


@dataclass
class Transfers:
    """Cycles of the transfers on both streams since reset, and the payloads that came out."""

    accepted: list[int]
    sent: list[int]
    beats: list[int]


def interface(spec: AcceleratorSpec) -> Interface:
    return Interface(
        top=spec.name,
        in_lanes=spec.input.lanes,
        in_group=spec.input.group,
        frame=spec.input.frame,
        out_lanes=spec.out_lanes,
        out_bits=spec.score_bits,
        classes=spec.classes,
    )


class Bench:
    """Simulation of an accelerator that can be reset and fed with frames several times.

    Parameters
    ----------
    spec : AcceleratorSpec
        Accelerator to simulate.
    script : callable
        Receives the bench, and calls `reset` and `send`.
    """

    def __init__(self, spec: AcceleratorSpec, script: Callable[[Bench], None]) -> None:
        self.spec, self.io = spec, interface(spec)
        self.dut = Accelerator(spec)

        async def bench(ctx: Any) -> None:
            self.ctx = ctx
            script(self)

        simulator = Simulator(self.dut)
        simulator.add_testbench(bench)
        simulator.run()

    def _cycle(self) -> None:
        # The clock is an ordinary port here, so after every `set` all signals settle.
        self.ctx.set(self.dut.clk, 1)
        self.ctx.set(self.dut.clk, 0)

    def reset(self) -> None:
        """Reset the accelerator while valid and ready are high, which must not matter."""
        for port in (self.dut.rst, self.dut.s_axis_tvalid, self.dut.m_axis_tready):
            self.ctx.set(port, 1)
        self._cycle()
        for port in (self.dut.rst, self.dut.s_axis_tvalid, self.dut.m_axis_tready):
            self.ctx.set(port, 0)

    def send(
        self,
        x: NDArray[np.uint8],
        *,
        stalls: tuple[float, float] = (0, 0),
        seed: int = 0,
        cycles: int | None = None,
        edges: Sequence[int] = (),
    ) -> Transfers:
        """Send frames until all their scores have come, or for a number of cycles.

        `edges` are the numbers of enabled edges of the frames; they are on the port with a frame's
        first beat alone, and any number is there at other times.

        Raises
        ------
        AssertionError
            If the design is stuck, breaks a rule of its output stream or sends too much.
        """
        dut, ctx, rng = self.dut, self.ctx, random.Random(seed)
        words = [
            int.from_bytes(beat.tobytes(), "little")
            for beat in self.io.pack(x).reshape(-1, self.io.in_lanes)
        ]
        due = len(x) * self.io.out_beats
        seen = Transfers([], [], [])
        offered, held, idle, extra = False, None, 0, 8
        cycle = 0
        while cycles is None or cycle < cycles:
            left = len(seen.accepted) < len(words)
            offered = left and (offered or rng.random() >= stalls[0])
            ctx.set(dut.s_axis_tvalid, offered)
            # Data without valid must not matter, so they are random.
            ctx.set(
                dut.s_axis_tdata,
                words[len(seen.accepted)] if offered else rng.getrandbits(8 * self.io.in_lanes),
            )
            if self.spec.edges > 1:
                frame, beat_of_frame = divmod(len(seen.accepted), self.io.in_beats)
                counts = offered and not beat_of_frame and len(edges)
                ctx.set(dut.edges, edges[frame] if counts else rng.randint(0, self.spec.edges))
            ready = rng.random() >= stalls[1]
            ctx.set(dut.m_axis_tready, ready)
            valid = ctx.get(dut.m_axis_tvalid)
            beat = ctx.get(dut.m_axis_tdata), ctx.get(dut.m_axis_tlast)
            if held is not None:
                assert valid and beat == held, f"cycle {cycle}: a beat changed before its transfer"
            held = beat if valid and not ready else None
            idle += 1
            if offered and ctx.get(dut.s_axis_tready):
                seen.accepted.append(cycle)
                offered, idle = False, 0
            if valid and ready:
                last = len(seen.sent) % self.io.out_beats == self.io.out_beats - 1
                assert beat[1] == last, f"cycle {cycle}: tlast is {beat[1]}"
                seen.sent.append(cycle)
                seen.beats.append(beat[0])
                idle = 0
            assert len(seen.sent) <= due, f"cycle {cycle}: a beat that no frame asked for"
            assert idle < IDLE, (
                f"stuck: {len(seen.accepted)} of {len(words)} beats in, {len(seen.sent)} of {due}"
                " out"
            )
            self._cycle()
            cycle += 1
            if cycles is None and len(seen.sent) == due:
                extra -= 1
                if not extra:
                    break
        return seen

    def scores(self, seen: Transfers) -> NDArray[np.int64]:
        raw = b"".join(beat.to_bytes(self.io.out_bytes, "little") for beat in seen.beats)
        beats = np.frombuffer(raw, np.uint8).reshape(-1, self.io.out_beats, self.io.out_bytes)
        return self.io.unpack(beats)


def design(case: Case) -> Design:
    return Design.assemble(
        case.net,
        case.folds,
        in_lanes=case.in_lanes,
        out_lanes=case.out_lanes,
        board=None,
        clock=DEFAULT_CLOCK,
    )


def check_schedule(case: Case) -> tuple[int, str]:
    """Check that the predicted interval is its bound; return it and the part that sets it."""
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    timing = predict(spec)
    assert timing.ii == timing.bound, f"II {timing.ii}, bound {timing.bound} ({timing.busiest})"
    return timing.ii, timing.busiest


def check_verilog(case: Case) -> None:
    """Check scores and timing of the generated Verilog in Verilator, and scores under stalls."""
    made, expected = design(case), golden.run(case.net, case.x)
    emitted = made.emitted
    simulator = runner.Simulator(emitted.verilog, made.interface, images=emitted.images, quick=True)
    x = golden.frames(case.net, case.x)
    run = simulator.run(x)
    np.testing.assert_array_equal(run.scores, expected)
    assert run.latency == made.latency
    assert run.last_out.tolist() == list(made.timing.last_out[: len(case.x)])
    for stall_in, stall_out in ((0.5, 0.5), (0.0, 0.8), (0.8, 0.0)):
        run = simulator.run(x, stall_in=stall_in, stall_out=stall_out)
        np.testing.assert_array_equal(run.scores, expected)


def check(
    case: Case,
    *,
    thorough: bool = False,
    products: Sequence[Multiplier | None] | None = None,
    edges: Sequence[int] = (),
) -> None:
    """Check an accelerator against its golden model and its schedule.

    At full speed, every beat of both streams has to come in the predicted cycle, and the interval
    has to be its bound. Under stalls, and after a reset in the middle of a frame, the scores have
    to be the same. `thorough` adds other stalls and resets. `products` are those of `accelerator`,
    `edges` the numbers of enabled edges of the frames.
    """
    net, x = case.net, case.x
    spec = accelerator(
        net,
        case.folds,
        in_lanes=case.in_lanes,
        out_lanes=case.out_lanes,
        products=products,
    )
    expected = golden.run(net, x, edges=np.array(edges) if len(edges) else None)
    flow = Flow(spec, len(x))
    flow.solve()
    timing = predict(spec)

    def script(bench: Bench) -> None:
        seen = bench.send(x, edges=edges)
        np.testing.assert_array_equal(bench.scores(seen), expected)
        np.testing.assert_array_equal(seen.sent, flow.sent)
        np.testing.assert_array_equal(seen.accepted, flow.accepts)
        bench.reset()
        alone = bench.send(x[:1])
        assert alone.sent[-1] - alone.accepted[0] == timing.latency
        both, source, sink = (0.5, 0.5), (0.8, 0.0), (0.0, 0.8)
        for seed, stalls in enumerate((both, source, sink) if thorough else (both,)):
            for part in (0.3, 1.0, 1.7) if thorough else (0.7,):
                bench.reset()
                bench.send(x, stalls=(0.3, 0.3), cycles=int(timing.latency * part) + 1)
            bench.reset()
            seen = bench.send(x, stalls=stalls, seed=seed, edges=edges)
            np.testing.assert_array_equal(bench.scores(seen), expected)

    Bench(spec, script)
    assert timing.ii == timing.bound, f"II {timing.ii}, bound {timing.bound} ({timing.busiest})"
