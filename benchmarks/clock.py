"""Measure clocks on ECP5 after place and route, of the accelerators that `density.py` compares.

Each accelerator is alone between registers, without link and UART (`xnorflow build --core`).

Run: python benchmarks/clock.py [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from networks import trained
from rtl import CNV

import xnorflow as xf
from xnorflow_boards.build.bitstream import build

LFC = {
    f"MatrixVectorActivation_{i}": {"PE": pe, "SIMD": simd}
    for i, (pe, simd) in enumerate(((16, 98), (16, 128), (16, 128), (1, 24)))
}
TARGETS = {
    "LFC at II 512": ("mnist_lfcW1A1", LFC, 120.0),
    "CNV, BNN-PYNQ's folding": ("cifar10_cnvW1A1", CNV, 150.0),
}
"""Network, content of the folding file, wished clock in MHz."""
BOARD = "ulx3s-85f"


def main() -> None:
    """Print a line per accelerator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    names = parser.parse_args().names or list(TARGETS)
    print(
        "| accelerator | II | LUT | FF | block RAM | wished / Fmax, MHz | slowest path: logic +"
        " wires, ns | from | to | CPU s |\n" + "|---" * 10 + "|"
    )
    for name in names:
        network, content, clock = TARGETS[name]
        source = trained(network)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "folding.json"
            file.write_text(json.dumps(content))
            net = xf.load(source.path, input_scale=source.scale)
            design = xf.compile(net, BOARD, folding=file, clock=clock)
            made = build(design.write(Path(folder) / "design"), core_only=True, check_clock=False)
        used, slow = made["resources"], made["slowest_path"]
        print(
            f"| {name} | {made['ii']:,} | {used['lut']['used']:,} | {used['ff']['used']:,} |"
            f" {used['bram']['used']} | {made['clock_mhz']:g} / {made['fmax_mhz']:.1f} |"
            f" {slow['logic_ns']:.1f} + {slow['routing_ns']:.1f} | {slow['from']} | {slow['to']} |"
            f" {sum(s['cpu_seconds'] for s in made['steps']):,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
