"""Compare the golden model's speed with ONNX Runtime's: same network, images and threads.

Runs the two in turn and prints the ratio of their processor times pair by pair. ONNX Runtime
executes float32, and the better of batches of 10 and 100 counts. With ``--target``, the golden
model's compiled layers are built for that processor; ``--numpy`` leaves them out.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/golden_speed.py [--threads 1] [--frames 500]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
from networks import TRAINED
from standard_onnx import Executor

import xnorflow as xf
from xnorflow_sim import golden as model
from xnorflow_sim.compiled import kernel_library


def seconds(run: Callable[[], object]) -> float:
    """Return the processor time of one call in seconds, summed over all threads."""
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> None:
    """Print a line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--only", default="", metavar="TEXT", help="networks with TEXT in the name")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--numpy", action="store_true", help="the golden model in NumPy alone")
    parser.add_argument("--target", help="option of the C++ compiler, such as -march=x86-64-v3")
    options = parser.parse_args()
    os.environ[model.ENGINE] = "numpy" if options.numpy else "compiled"
    if options.target:
        library = kernel_library.load((options.target,))
        kernel_library.kernels = lambda: library  # type: ignore[assignment]
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(options.threads):
        raise SystemExit(
            f"set the variable OPENBLAS_NUM_THREADS={options.threads} before the start"
        )
    print(
        "| network | frames | golden, frames per CPU second | ONNX Runtime | golden /"
        " ONNX Runtime: min, median, max |"
    )
    print("|---|---|---|---|---|")
    for trained in (t for t in TRAINED if options.only in t.name):
        x = trained.images()[0][: options.frames]
        net = xf.load(trained.path, input_scale=trained.scale)
        executor = Executor(trained.path, options.threads)
        times = []
        for pair in range(options.pairs + 1):
            golden = seconds(lambda net=net, x=x: net(x))
            onnx = min(
                seconds(lambda e=executor, x=x, t=trained, b=b: e(x, t.scale, b)) for b in (10, 100)
            )
            if pair:
                times.append((golden, onnx))
        golden, onnx = np.array(times).T
        ratio = golden / onnx
        print(
            f"| {trained.name} | {len(x)} | {len(x) / np.median(golden):,.0f} |"
            f" {len(x) / np.median(onnx):,.0f} | {ratio.min():.2f}, {np.median(ratio):.2f},"
            f" {ratio.max():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
