"""Build bitstreams with open tools: resources, clock, and time of synthesis, place and route.

The accelerator has the UART and the host link around it, as `xnorflow build` makes it.

Run: python benchmarks/bitstreams.py [--only TEXT]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from density import sfc
from networks import trained

import xnorflow as xf
from xnorflow import ir
from xnorflow_boards.build.bitstream import build

TARGETS = (
    ("digits", "icebreaker", 9216, 30.0),
    ("digits", "ulx3s-25f", 1152, 100.0),
    ("digits", "ulx3s-85f", 1152, 100.0),
    ("digits", "orangecrab-85f", 1152, 100.0),
    ("digits", "colorlight-i5", 1152, 100.0),
    ("digits", "tangnano9k", 2304, 40.0),
    ("digits", "tangnano20k", 1152, 80.0),
    ("TFC_1W1A", "icebreaker", 3136, 24.0),
    ("TFC_1W1A", "ulx3s-25f", 784, 95.0),
    ("TFC_1W1A", "tangnano9k", 784, 54.0),
    ("TFC_1W1A", "tangnano20k", 784, 80.0),
    ("mnist_lfcW1A1", "ulx3s-85f", 2048, 80.0),
    ("cifar10_cnvW1A1", "ulx3s-85f", 7200, 80.0),
    ("SFC, random weights", "icebreaker", 4192, 30.0),
    ("digits", "ulx3s-12f.toml", 1152, 100.0),
    ("digits", "hx8k-evn.toml", 9216, 48.0),
    ("digits", "tangprimer20k.toml", 1152, 81.0),
)
"""Network, board, target in cycles per frame, wished clock in MHz; board files are examples."""
BOARD_FILES = Path(__file__).parents[1] / "examples/boards"
RIP_UP = {"mnist_lfcW1A1", "cifar10_cnvW1A1"}
"""Networks that are built with --rip-up."""


def network(name: str) -> ir.IntegerNetwork:
    """Return the network of a name in `TARGETS`."""
    if name.startswith("SFC"):
        return sfc()
    source = trained(name)
    return xf.load(source.path, input_scale=source.scale)


def main() -> None:
    """Print a line per bitstream; exit with 1 if one cannot be made or misses its clock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of 'network board'")
    only = parser.parse_args().only
    print(
        "| network | board | II | clock / Fmax, MHz | LUT | FF | block RAM | SPRAM |"
        " FPS = Fmax / II | latency, cycles | Yosys / nextpnr / packing, s | peak memory |\n"
        + "|---" * 12
        + "|"
    )
    failed = False
    for name, board, cycles, clock in TARGETS:
        if only not in f"{name} {board}":
            continue
        try:
            net = network(name)
            with tempfile.TemporaryDirectory() as folder:
                named = str(BOARD_FILES / board) if board.endswith(".toml") else board
                design = xf.compile(net, named, cycles=cycles, clock=clock)
                made = build(design.write(Path(folder) / net.name), rip_up=name in RIP_UP)
        except xf.XnorflowError as e:
            failed = True
            print(f"| {name} | {board} | {e} |", flush=True)
            continue
        used = {n: r["used"] for n, r in made["resources"].items()}
        steps, fmax = made["steps"], made["fmax_mhz"]
        seconds = " / ".join(f"{s['seconds']:.0f}" for s in steps)
        memory = max(s["peak_mib"] for s in steps)
        print(
            f"| {name} | {board} | {made['ii']:,} | {made['clock_mhz']:g} / {fmax:.1f} |"
            f" {used['lut']:,} | {used['ff']:,} | {used['bram']} |"
            f" {used.get('spram', '')} |"
            f" {fmax * 1e6 / made['ii']:,.0f} | {made['latency']:,} | {seconds} |"
            f" {memory:.0f} MiB |",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
