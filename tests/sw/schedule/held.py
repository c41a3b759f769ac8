"""Hold the cycle model, and the depths that are chosen with it, to the simulation by cycles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xnorflow.plan.depths import buffer_depths, queue_depths
from xnorflow.schedule import bounds, timing
from xnorflow_hw.spec import AcceleratorSpec, JoinSpec

from .clocked import simulate_all


def check_times(specs: Sequence[AcceleratorSpec], frames: int, *, steady: bool = True) -> None:
    """Check that every transfer of accelerators happens when the cycle model says.

    All frames come without a pause; then the first comes alone.

    Parameters
    ----------
    specs : sequence of AcceleratorSpec
        Accelerators that do not lock up.
    frames : int
        Number of frames, at least 2.
    steady : bool
        Whether the interval has to be its bound.
    """
    runs = simulate_all([*specs, *specs], [frames] * len(specs) + [1] * len(specs))
    for spec, run, alone in zip(specs, runs, runs[len(specs) :], strict=False):
        assert not (run.stuck or alone.stuck), f"{spec.name} locks up"
        after = 0 if spec.scores is None else spec.scores.latency
        flow = timing.steady(spec, frames)
        np.testing.assert_array_equal(flow.accepts[: len(run.accepts)], run.accepts)
        np.testing.assert_array_equal(flow.sent[: len(run.sent)], run.sent + after)
        assert timing.latency(spec) == alone.sent[-1] + after - alone.accepts[0]
        if steady:
            filled = timing.steady(spec, timing.filling_frames(spec, timing.latency(spec)))
            ends = filled.sent[spec.output_beats - 1 :: spec.output_beats]
            assert set(np.diff(ends[-5:])) == {bounds.bound(spec)[0]}, f"intervals {np.diff(ends)}"


def check_stalls(
    specs: Sequence[AcceleratorSpec], frames: int, stalls: tuple[float, float], seed: int
) -> None:
    """Check that no accelerator locks up however its source and its sink hold back."""
    for spec, run in zip(
        specs, simulate_all(specs, [frames] * len(specs), stalls=stalls, seed=seed), strict=True
    ):
        assert not run.stuck, f"{spec.name} locks up under stalls {stalls}"


def check_least(spec: AcceleratorSpec) -> dict[str, int]:
    """Check that with a place less anywhere some frame comes later, or nothing moves.

    That is seen within the number of frames that fill the accelerator, and four more; some are
    only seen within twice or four times as many.

    Returns
    -------
    dict of str to int
        Number of buffers, of queues of stages and of queues of streams that were tried, and of
        those with which nothing moved.
    """
    found = {"buffers": 0, "queues of results": 0, "queues of streams": 0, "locked up": 0}
    tried = list(lessened(spec))
    frames = timing.filling_frames(spec, timing.latency(spec))
    for more in (frames, 2 * frames, 4 * frames):
        (chosen,) = simulate_all([spec], [more])
        assert not chosen.stuck
        specs = [fewer for _, fewer in tried]
        runs = simulate_all(specs, [more] * len(specs), latest=[chosen.sent] * len(specs))
        left = []
        for (name, fewer), run in zip(tried, runs, strict=True):
            if run.late or run.stuck:
                found[name[0]] += 1
                found["locked up"] += run.stuck
            else:
                left.append((name, fewer))
        tried = left
        if not tried:
            return found
    raise AssertionError(f"{', '.join(where for (_, where), _ in tried)} can lose a place")


def lessened(spec: AcceleratorSpec) -> Iterator[tuple[tuple[str, str], AcceleratorSpec]]:
    """Yield, for each buffer and queue, its kind, its name and the accelerator with a place less.

    Banks, whose depths are powers of two, have half of theirs. The queue of a stage has to have a
    place at least.
    """
    for k, stage in enumerate(spec.stages):
        b = stage.buffer
        if not isinstance(b, JoinSpec):
            allowed = buffer_depths(b)
            depth = allowed[-2] if len(allowed) > 1 else b.depth - b.place_words
            shallow = replace(b, depth=depth)
            yield ("buffers", f"the buffer of {stage.name}"), _with(spec, k, buffer=shallow)
        if len(queue_depths(stage)) > 1:
            fewer = _with(spec, k, queue_depth=stage.queue_depth - 1)
            yield ("queues of results", f"the queue of {stage.name}"), fewer
    for s, stream in enumerate(spec.streams):
        if stream.queue:
            fewer_beats = replace(stream, queue=stream.queue - 1)
            streams = (*spec.streams[:s], fewer_beats, *spec.streams[s + 1 :])
            name = f"the queue of {bounds.stream_name(spec, stream)}"
            yield ("queues of streams", name), replace(spec, streams=streams)


def _with(spec: AcceleratorSpec, k: int, **changed: Any) -> AcceleratorSpec:
    stage = replace(spec.stages[k], **changed)
    return replace(spec, stages=(*spec.stages[:k], stage, *spec.stages[k + 1 :]))
