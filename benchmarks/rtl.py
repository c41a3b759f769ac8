"""Simulate generated Verilog against the golden model: exactness, timing, speed and memory.

Each network has a process of its own, which compiles it from ONNX, writes it, builds the Verilator
model, and simulates at full speed and with both sides stalled.

Run: python benchmarks/rtl.py [--jobs 2] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from networks import trained

import xnorflow as xf
from xnorflow.schedule.timing import latency_bound

CNV = {
    f"MatrixVectorActivation_{i}": {"PE": pe, "SIMD": simd}
    for i, (pe, simd) in enumerate(
        zip((16, 32, 16, 16, 4, 1, 1, 1, 4), (3, 32, 32, 32, 32, 32, 4, 8, 1), strict=True)
    )
}
"""BNN-PYNQ's folding of CNV, as a FINN folding file."""
TARGETS: dict[str, tuple[dict[str, Any], int]] = {
    "TFC_1W1A": ({"cycles": 64}, 1000),
    "TFC_1W2A": ({"cycles": 64}, 1000),
    "LFC_1W1A_finn": ({"cycles": 512}, 1000),
    "mnist_lfcW1A1": ({"cycles": 512}, 1000),
    "mnist_lfcW1A2": ({"cycles": 512}, 1000),
    "cifar10_cnvW1A1": ({"folding": CNV}, 20),
    "cifar10_cnvW1A2": ({"folding": CNV}, 20),
    "digits": ({"cycles": 1152}, 454),
}
"""Target and number of frames for each network."""


def measure(name: str, jobs: int) -> dict[str, Any]:
    """Run one network in this process."""
    target, frames = TARGETS[name]
    source = trained(name)
    x = source.images()[0][:frames]
    with tempfile.TemporaryDirectory() as folder:
        if "folding" in target:
            file = Path(folder) / "folding.json"
            file.write_text(json.dumps(target["folding"]))
            target = {"folding": file}
        started = time.perf_counter()
        net = xf.load(source.path, input_scale=source.scale)
        design = xf.compile(net, **target)
        design.write(Path(folder) / "design")
        compiled = time.perf_counter() - started
        compile_memory = sum(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        os.environ["XNORFLOW_CACHE"] = str(Path(folder) / "cache")
        started = time.perf_counter()
        design.simulator(frames=len(x))
        built = time.perf_counter() - started
        scores = net(x)
        started = time.perf_counter()
        run = design.simulate(x, jobs=jobs, expected=scores)
        simulated = time.perf_counter() - started
        design.simulate(x, jobs=jobs, stalls=(0.3, 0.3), seed=7, expected=scores)
    return {
        "name": name,
        "frames": len(x),
        "lanes": sum(
            f.pe * f.simd
            for f, p in zip(design.folds, design.parts, strict=True)
            if p.layer.kind == "conv"
        ),
        "bound": design.timing.bound,
        "predicted_ii": design.ii,
        "ii": run.ii,
        "predicted_latency": design.latency,
        "latency": run.latency,
        "latency_bound": sum(latency_bound(design.spec)),
        "compile_s": compiled,
        "compile_mib": compile_memory / 1024,
        "build_s": built,
        "cycles_per_s": run.cycles / simulated,
        "frames_per_s": len(x) / simulated,
        "memory_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def main() -> None:
    """Print a line per network; exit with 1 if a time is not as predicted. A wrong score raises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        json.dump(measure(options.names[0], options.jobs), sys.stdout)
        return
    print(
        "| network | frames | lanes | II simulated / predicted / bound | latency simulated /"
        " predicted / bound | compile | memory | Verilator build | cycles/s | frames/s | memory |\n"
        + "|---" * 11
        + "|"
    )
    failed = False
    for name in options.names or TARGETS:
        done = subprocess.run(
            [sys.executable, __file__, name, "--one", "--jobs", str(options.jobs)],
            stdout=subprocess.PIPE,
            check=True,
        )
        r = json.loads(done.stdout)
        failed |= not r["ii"] == r["predicted_ii"] == r["bound"]
        failed |= r["latency"] != r["predicted_latency"]
        print(
            f"| {r['name']} | {r['frames']} | {r['lanes']} | {r['ii']} / {r['predicted_ii']} /"
            f" {r['bound']} | {r['latency']} / {r['predicted_latency']} / {r['latency_bound']} |"
            f" {r['compile_s']:.1f} s |"
            f" {r['compile_mib']:.0f} MiB | {r['build_s']:.0f} s | {r['cycles_per_s']:,.0f} |"
            f" {r['frames_per_s']:,.1f} | {r['memory_mib']:.0f} MiB |",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
