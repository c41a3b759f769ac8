"""Simulate synthesised netlists against the golden model: exactness, timing, time and memory.

Each netlist is the result of the synthesis that a board's build runs. It is simulated at full
speed, then with source and sink each stalled in 30 % of the cycles.

Run: python benchmarks/gates.py [--only TEXT]
"""

from __future__ import annotations

import argparse
import sys
import time

from networks import trained

import xnorflow as xf
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.simulated import gates

TARGETS = (
    ("digits", "icebreaker", 9216, 454),
    ("digits", "ulx3s-25f", 1152, 454),
    ("digits", "tangnano9k", 2304, 454),
    ("digits", "pynq-z1", 1152, 454),
    ("TFC_1W1A", "icebreaker", 3136, 200),
    ("TFC_1W1A", "ulx3s-25f", 784, 200),
    ("TFC_1W1A", "tangnano9k", 784, 200),
    ("TFC_1W1A", "pynq-z1", 784, 200),
)
"""Network, board, target in cycles per frame, number of frames."""


def main() -> None:
    """Print a line per netlist; exit with 1 if a score or a time differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of 'network board'")
    only = parser.parse_args().only
    print(
        "| network | board | cells, block RAMs | frames | mismatches | II simulated / predicted |"
        " latency simulated / predicted | Yosys | Verilator and simulation |\n" + "|---" * 9 + "|"
    )
    failed = False
    for name, board, cycles, frames in TARGETS:
        if only not in f"{name} {board}":
            continue
        source = trained(name)
        x = source.images()[0][:frames]
        try:
            net = xf.load(source.path, input_scale=source.scale)
            design = xf.compile(net, board, cycles=cycles)
            started = time.perf_counter()
            made = gates.netlist(design, find_board(board))
            synthesised = time.perf_counter()
            scores = net(x)
            run = gates.simulate(design, made, x, expected=scores)
            gates.simulate(design, made, x, expected=scores, stalls=(0.3, 0.3), seed=7)
            simulated = time.perf_counter()
        except xf.XnorflowError as e:
            failed = True
            print(f"| {name} | {board} | {e} |", flush=True)
            continue
        failed |= (run.ii, run.latency) != (design.ii, design.latency)
        rams = made.cells.get("SB_RAM40_4K", 0)
        print(
            f"| {name} | {board} | {sum(made.cells.values()):,}, {rams} | {len(x)} | 0 |"
            f" {run.ii:,} / {design.ii:,} | {run.latency:,} / {design.latency:,} |"
            f" {synthesised - started:.0f} s | {simulated - synthesised:.0f} s |",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
