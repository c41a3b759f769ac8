"""Run the demo network on a simulated board, over a line with damage, pulled cables and resets.

The board is the Verilog of link and accelerator in Verilator, behind a pseudo-terminal; the host is
the driver of ``xnorflow run``. Every frame has to be answered once with the golden model's scores,
or be reported as unanswered; otherwise it exits with 1.

Run: python benchmarks/link.py [--frames 100000] [--uart-frames 300]
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import numpy as np

import xnorflow as xf
from xnorflow import demo
from xnorflow.design.design import Design
from xnorflow_boards.host.driver import Driver
from xnorflow_boards.host.transport import SerialTransport
from xnorflow_boards.simulated.design_board import simulated
from xnorflow_sim import golden
from xnorflow_sim.board.faults import FaultRates
from xnorflow_sim.board.simulated_board import Trouble

DISTINCT = 2000
COLUMNS = (
    "line",
    "frames",
    "dropped",
    "flipped",
    "repeated",
    "inserted",
    "pulls",
    "resets",
    "sent",
    "sessions",
    "right",
    "wrong",
    "reported",
    "seconds",
    "cycles",
)


def frames(design: Design, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return frames, half of them test images and half random, with their scores."""
    rng = np.random.default_rng(seed)
    real = demo.data()["x_test"]
    drawn = rng.integers(0, 17, (DISTINCT - len(real), *real.shape[1:])).astype(np.uint8)
    x = np.concatenate([real, drawn])
    scores = design.net(x)
    order = rng.integers(0, len(x), count)
    return x[order], scores[order]


def run(
    design: Design,
    count: int,
    *,
    divisor: int,
    rate: float,
    events: int,
    timeout: float,
    seed: int,
) -> bool:
    """Send frames and print a row; return whether none was wrong or lost without a report."""
    x, expected = frames(design, count, seed)
    face = design.interface
    length = 1.05 * 77 * count
    rng = random.Random(seed)
    moments = [tuple(int(rng.uniform(0, length)) for _ in range(events)) for _ in range(2)]
    trouble = Trouble(
        FaultRates(rate, rate, rate, rate),
        resets=moments[0],
        pulls=moments[1],
        pull_seconds=1.2 * timeout,
    )
    with simulated(design, divisor=divisor, trouble=trouble, seed=seed) as board:
        transport = SerialTransport(board.port, 1_000_000)
        driver = Driver(transport, timeout=timeout)
        known = driver.expect(design.digest, face.frame, face.out_beats * face.out_bytes)
        shown = time.monotonic()

        def tick(done: int, total: int) -> None:
            nonlocal shown
            if time.monotonic() > shown + 10:
                shown = time.monotonic()
                print(f"  {done} of {total}", file=sys.stderr, flush=True)

        answers = driver.run(
            face.pack(golden.frames(design.net, x)).reshape(count, -1), known, tick
        )
        transport.close()
    scores = face.unpack(answers.results.reshape(count, face.out_beats, face.out_bytes))
    right = (scores == expected).all(axis=1) & answers.answered
    wrong = answers.answered & ~right
    reported = ~answers.answered
    report, s = board.report, driver.statistics
    row = (
        f"UART, {divisor} cycles a bit" if divisor else "bytes",
        count,
        report["drop"],
        report["flip"],
        report["repeat"],
        report["insert"],
        report["pulls"],
        report["resets"],
        s.sent,
        s.sessions,
        int(right.sum()),
        int(wrong.sum()),
        int(reported.sum()),
        f"{answers.seconds:.0f}",
        report["cycles"],
    )
    print("| " + " | ".join(map(str, row)) + " |", flush=True)
    return not wrong.any() and right.sum() + reported.sum() == count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--uart-frames", type=int, default=300)
    parser.add_argument(
        "--rate", type=float, default=1e-4, help="probability of each kind of fault at a byte"
    )
    parser.add_argument(
        "--events", type=int, default=20, help="number of pulled cables, and of resets"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    design = xf.compile(xf.load(demo.model_path()))
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    good = run(
        design,
        options.frames,
        divisor=0,
        rate=options.rate,
        events=options.events,
        timeout=0.5,
        seed=options.seed,
    )
    good &= run(
        design,
        options.uart_frames,
        divisor=8,
        rate=options.rate,
        events=2,
        timeout=5,
        seed=options.seed + 1,
    )
    sys.exit(not good)


if __name__ == "__main__":
    main()
