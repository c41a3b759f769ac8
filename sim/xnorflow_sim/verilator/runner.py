"""Simulation of frames in the compiled Verilog, with the frames shared between processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput, CheckFailed
from xnorflow.outputs import whole_file
from xnorflow_sim.interface import Interface
from xnorflow_sim.process_group import kill
from xnorflow_sim.simulation import Run
from xnorflow_sim.verilator import worker
from xnorflow_sim.verilator.library import Images, build

IDLE_LIMIT = 4_000_000
"""Cycles without a transfer after which a design counts as stuck, unless told otherwise."""

Progress = Callable[[int, int], object]

# `enum Status` of harness.cpp from 2 on.
_FAILURES = {
    2: "it is stuck, {limit} cycles passed without a transfer",
    3: "m_axis_tlast does not mark exactly the last beat of a frame",
    4: "m_axis_tvalid fell although the beat had not been accepted",
    5: "m_axis_tdata or m_axis_tlast changed although the beat had not been accepted",
    6: "it sent another beat after the last frame's last one",
    7: "the Verilog called $finish",
}


class SimulationFailed(CheckFailed):
    """A design that is stuck or breaks the rules of its streams."""

    def __init__(self, why: str, frame: int, cycle: int, in_beats: int, out_beats: int) -> None:
        """Keep the frame whose scores were due, the cycle, and the transfers until then."""
        self.frame, self.cycle, self.in_beats, self.out_beats = frame, cycle, in_beats, out_beats
        super().__init__(why)


@dataclass(frozen=True)
class _Shard:
    """Frames ``start`` to ``stop`` and the folder that their results are in."""

    start: int
    stop: int
    folder: Path


QUICK_CYCLES = 200_000
"""Most cycles for which a design is compiled at once rather than well.

Compiling well pays from about 500,000 cycles on (2 MB of Verilog) or 1,000,000 (160 kB).
"""


class Simulator:
    """A compiled design that frames can be sent through.

    Parameters
    ----------
    verilog : Path or str
        Self-contained design: path of its file, or its text.
    interface : Interface
        Ports of the design.
    images : Path or dict, optional
        ROM images of the design: their folder, or their texts by file name. By default the folder
        of the Verilog's file.
    trace : bool
        Whether to build the variant that can write waveforms.
    lines : bool
        Whether to keep what a profiler needs; see :func:`xnorflow_sim.verilator.library.build`.
    quick : bool
        Whether to compile at once rather than well, for up to about `QUICK_CYCLES` cycles.
    cache : Path, optional
        Folder of compiled designs; ``$XNORFLOW_CACHE`` or the user's cache folder by default.

    Raises
    ------
    BadInput, CheckFailed, ToolMissing
        As :func:`xnorflow_sim.verilator.library.build` does.
    """

    def __init__(
        self,
        verilog: Path | str,
        interface: Interface,
        *,
        images: Images = None,
        trace: bool = False,
        lines: bool = False,
        quick: bool = False,
        cache: Path | None = None,
    ) -> None:
        """Compile the design, or find it in the cache."""
        self.interface, self.trace = interface, trace
        self.model = build(
            verilog,
            interface,
            images=images,
            trace=trace,
            lines=lines,
            quick=quick,
            root=cache,
        )

    def run(
        self,
        x: NDArray[np.uint8],
        *,
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        seed: int = 0,
        jobs: int = 1,
        idle_limit: int = IDLE_LIMIT,
        taps: bool = False,
        waves: str | Path | None = None,
        edges: NDArray[np.int64] | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Send frames back to back and collect their scores.

        Every output beat is checked: ``tlast`` on each frame's last beat and on no other, and
        nothing of a beat changes until it is accepted.

        Parameters
        ----------
        x : uint8 [N, ...]
            Frames, read in C order.
        stall_in, stall_out : float
            Probability that the sender offers nothing, or the receiver is not ready, in a cycle.
            At 0 both run at full speed.
        seed : int
            Seed of the stalls and of the bits that the design does not initialise.
        jobs : int
            Number of processes; each takes an equal share of the frames.
        idle_limit : int
            Cycles without a transfer on either stream after which the design counts as stuck.
        taps : bool
            Whether to record the features that pass the interface's probes.
        waves : Path, optional
            File for the waveforms of the whole run, in VCD; needs ``trace=True`` and ``jobs=1``.
        edges : int array [N], optional
            Number of enabled edges of each frame, if the interface has several; all by default.
        progress : callable, optional
            Called with the number of frames done and N; from other threads, one at a time.

        Raises
        ------
        BadInput
            If an option or the frames do not fit.
        SimulationFailed
            If the design is stuck or breaks the rules of its streams.
        CheckFailed
            If the compiled model crashes.
        """
        try:
            beats = self.interface.pack(x)
        except ValueError as error:
            raise BadInput(str(error)) from error
        _check_options(len(beats), stall_in, stall_out, jobs, idle_limit)
        _check_edges(edges, len(beats), self.interface)
        waves = Path(waves) if waves else None
        if waves and (not self.trace or jobs != 1 or waves.suffix != ".vcd"):
            raise BadInput(f"{waves}: waveforms are VCD (.vcd), need trace=True and one job")
        bounds = np.linspace(0, len(beats), min(jobs, len(beats)) + 1).astype(int)
        job = {
            "library": str(self.model.library),
            "folder": str(self.model.folder),
            "out_shape": [self.interface.out_beats, self.interface.out_bytes],
            "taps": [[tap.beats, tap.bytes] for tap in self.interface.taps] if taps else [],
            "idle_limit": idle_limit,
            "stall_in": int(stall_in * 2**32),
            "stall_out": int(stall_out * 2**32),
            "waves": None,
            "edges": None if edges is None else [int(count) for count in edges],
        }
        if waves is None:
            return self._run(job, beats, bounds, seed, idle_limit, progress)
        # What is there of a run that failed shows where.
        with whole_file(waves, keep=(CheckFailed,)) as part:
            job["waves"] = str(part.absolute())
            return self._run(job, beats, bounds, seed, idle_limit, progress)

    def _run(
        self,
        job: dict[str, Any],
        beats: NDArray[np.uint8],
        bounds: NDArray[Any],
        seed: int,
        idle_limit: int,
        progress: Progress | None,
    ) -> Run:
        """Run a shard of the frames between each two bounds; put the results together."""
        try:
            with tempfile.TemporaryDirectory(prefix="xnorflow-") as name:
                folder = Path(name)
                np.save(folder / "in.npy", beats)
                shards = []
                for i, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
                    shards.append(_Shard(int(start), int(stop), folder / str(i)))
                _run_workers(job, folder / "in.npy", shards, seed, progress)
                return self._collect(shards, idle_limit, bool(job["taps"]))
        except OSError as e:
            raise BadInput(
                f"cannot simulate in the temporary folder: {e.strerror or e}. What would work: set"
                " TMPDIR to a folder that can be written and has room"
            ) from e

    def _collect(self, shards: list[_Shard], idle_limit: int, taps: bool) -> Run:
        """Check how each shard ended, and join the results of all."""
        cycles = 0
        for shard in shards:
            summary = json.loads((shard.folder / "summary.json").read_text())
            if summary["waves_error"]:
                raise BadInput(f"cannot write the waveforms: {os.strerror(summary['waves_error'])}")
            self._check(shard, summary, idle_limit)
            cycles += int(np.load(shard.folder / "times.npy")[-1, -1]) + 1

        def load(name: str, axis: int = 0) -> NDArray[Any]:
            return np.concatenate([np.load(shard.folder / name) for shard in shards], axis)

        tapped = {}
        for i, tap in enumerate(self.interface.taps if taps else ()):
            raw = load(f"tap_{i}.npy").reshape(-1, tap.beats, tap.bytes)
            tapped[tap.name] = tap.unpack(raw)
        first_in, last_in, first_out, last_out = load("times.npy", axis=1)
        starts = np.array([shard.start for shard in shards], np.int64)
        scores = self.interface.unpack(load("out.npy"))
        return Run(scores, first_in, last_in, first_out, last_out, cycles, starts, tapped)

    def _check(self, shard: _Shard, summary: dict[str, Any], idle_limit: int) -> None:
        """Raise SimulationFailed unless the shard ran to its end by the rules."""
        frames, io = shard.stop - shard.start, self.interface
        why = _FAILURES.get(summary["status"], "").format(limit=idle_limit)
        due = shard.start + summary["frames_out"]
        if not why:
            for tap, beats in zip(io.taps, summary["tap_beats"], strict=False):
                # Windows of padding alone, at the beginning of a frame, need no frame to come.
                if not 0 <= beats - tap.beats * frames < tap.beats:
                    why = f"{beats} beats passed the probe {tap.name}, not {tap.beats * frames}"
        if why:
            cycle, got, sent = summary["cycle"], summary["in_beats"], summary["out_beats"]
            raise SimulationFailed(
                f"{io.top}: {why}; in cycle {cycle}, when the scores of frame {due} were due,"
                f" after {got} of {frames * io.in_beats} input beats"
                f" and {sent} of {frames * io.out_beats} output beats",
                due, cycle, got, sent,
            )  # fmt: skip


def _check_options(
    frames: int, stall_in: float, stall_out: float, jobs: int, idle_limit: int
) -> None:
    """Raise BadInput for an option that makes no sense."""
    if not frames:
        raise BadInput("there are no frames to simulate")
    if jobs < 1 or idle_limit < 1:
        raise BadInput(f"jobs={jobs} and idle_limit={idle_limit} must be 1 or more")
    for name, value in (("stall_in", stall_in), ("stall_out", stall_out)):
        if not 0 <= value < 1:
            raise BadInput(f"{name}={value} is not a probability below 1")


def _check_edges(edges: NDArray[np.int64] | None, frames: int, io: Interface) -> None:
    """Raise BadInput unless there is a possible number of edges for each frame, or none at all."""
    if edges is None:
        return
    fits = len(edges) == frames and (not frames or 1 <= min(edges) <= max(edges) <= io.edges)
    if not fits:
        raise BadInput(
            f"edges are not {frames} numbers from 1 to {io.edges}, one for each frame of {io.top}"
        )


def _run_workers(
    job: dict[str, Any], beats: Path, shards: list[_Shard], seed: int, progress: Progress | None
) -> None:
    """Run one worker process a shard; stop them all if one crashes or the caller is interrupted."""
    done = [0] * len(shards)
    lock = threading.Lock()
    workers: list[subprocess.Popen[str]] = []

    def serve(index: int) -> str:
        process, shard = workers[index], shards[index]
        request = {"input": str(beats), "start": shard.start, "stop": shard.stop}
        request |= {"output": str(shard.folder), "seed": seed + index}
        assert process.stdin and process.stdout
        with process.stdin as pipe, suppress(BrokenPipeError):
            pipe.write(json.dumps(job | request))
        with process.stdout as lines:
            for line in lines:
                with lock:
                    done[index] = int(line)
                    if progress:
                        progress(sum(done), shards[-1].stop)
        if process.wait() == 0:
            return ""
        errors = (shard.folder / "stderr").read_text(errors="replace").strip()
        return f"the simulation process ended with {process.returncode}: {errors[-600:]}"

    def stop() -> None:
        for process in workers:
            kill(process)

    try:
        for shard in shards:
            shard.folder.mkdir()
            with (shard.folder / "stderr").open("w") as stderr:
                workers.append(
                    subprocess.Popen(
                        # -P: the worker's own folder must not hide modules of the library.
                        [sys.executable, "-P", worker.__file__],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
                        process_group=0,
                    )
                )  # fmt: skip
        with ThreadPoolExecutor(len(shards)) as pool:
            try:
                for crash in pool.map(serve, range(len(shards))):
                    if crash:
                        raise CheckFailed(crash)
            finally:
                stop()  # Here, because leaving the pool waits for all its threads.
    finally:
        stop()
