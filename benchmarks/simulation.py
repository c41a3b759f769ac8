"""Measure the speed of simulation: a test set through BNN-PYNQ's CNV, with all scores checked.

Run: python benchmarks/simulation.py [--frames 10000] [--jobs 2] [--network cifar10_cnvW1A1]
     [--folding few|bnn-pynq] [--profile]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import hot_spots
from networks import TRAINED, trained
from rtl import CNV, TARGETS

import xnorflow as xf
from xnorflow.design.design import Design
from xnorflow_sim import golden
from xnorflow_sim.verilator.runner import Simulator

FEW = {
    f"MatrixVectorActivation_{i}": {"PE": pe, "SIMD": simd}
    for i, (pe, simd) in enumerate(
        zip((16, 16, 6, 4, 1, 1, 1, 1, 1), (3, 64, 64, 128, 128, 32, 4, 8, 1), strict=True)
    )
}
"""CNV in as few PEs as its 32,768 cycles allow: a PE costs a simulator more than a lane."""


def compiled(name: str, folding: str) -> Design:
    """Compile a network: CNV with a folding, the others for the target in `rtl.TARGETS`."""
    source = trained(name)
    net = xf.load(source.path, input_scale=source.scale)
    target: dict[str, Any] = TARGETS[name][0]
    if "folding" not in target:
        return xf.compile(net, **target)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "folding.json"
        file.write_text(json.dumps(FEW if folding == "few" else CNV))
        return xf.compile(net, folding=file)


def children() -> float:
    """Return the processor time of all child processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def profile(options: argparse.Namespace) -> None:
    """Run a few frames in one process under `perf`, and print where the time goes."""
    if absent := hot_spots.missing():
        print(f"no profile: {', '.join(absent)} missing; apt-get install linux-perf binutils")
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XNORFLOW_CACHE"] = folder
        design = compiled(options.network, options.folding)
        emitted = design.emitted
        model = Simulator(
            emitted.verilog, design.interface, images=emitted.images, lines=True
        ).model
        samples = Path(folder) / "perf.data"
        frames = min(options.frames, 100)
        again = [
            sys.executable,
            __file__,
            "--network",
            options.network,
            "--sampled",
            "--folding",
            options.folding,
            "--frames",
            str(frames),
        ]
        hot_spots.record(again, samples)
        print(f"shares of the samples within the model, {frames} frames in one process:")
        hot_spots.show(hot_spots.by_part(samples, model.library))


def main() -> None:
    """Simulate and compare; exit with 1 if a score or the interval differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--network", default="cifar10_cnvW1A1", choices=[t.name for t in TRAINED])
    parser.add_argument("--folding", default="few", choices=["few", "bnn-pynq"])
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sampled", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.profile:
        profile(options)
        return
    design = compiled(options.network, options.folding)
    x = golden.frames(design.net, trained(options.network).images()[0][: options.frames])
    emitted = design.emitted
    started = time.perf_counter()
    simulator = Simulator(
        emitted.verilog, design.interface, images=emitted.images, lines=options.sampled
    )
    built = time.perf_counter() - started
    if options.sampled:
        simulator.run(x)
        return
    began = time.perf_counter()

    def progress(done: int, frames: int) -> None:
        seconds = time.perf_counter() - began
        print(f"\r{done} of {frames} frames, {seconds:.0f} s", end="", file=sys.stderr, flush=True)

    before = children()
    run = simulator.run(x, jobs=options.jobs, progress=progress)
    wall, cpu = time.perf_counter() - began, children() - before
    print(file=sys.stderr)
    expected = golden.run_frames(design.net, x)
    wrong = int((run.scores != expected).sum())
    print(
        f"{options.network}, II simulated {run.ii}, predicted {design.ii}; Verilator model in"
        f" {built:.1f} s\n"
        f"{len(x):,} frames, {run.cycles:,} cycles in {options.jobs} processes: {wall:.1f} s,"
        f" {cpu:.1f} CPU seconds\n"
        f"{run.cycles / wall:,.0f} cycles/s, {run.cycles / cpu:,.0f} per CPU second,"
        f" {len(x) / wall:,.1f} frames/s\n"
        f"scores that differ from the golden model's: {wrong} of {expected.size:,}"
    )
    sys.exit(wrong > 0 or run.ii != design.ii)


if __name__ == "__main__":
    main()
