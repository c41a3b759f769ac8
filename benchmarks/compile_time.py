"""Measure the CPU time that `compile` takes to choose a folding for a board.

Every row is a process of its own, whose CPU time includes its start. The networks are trained ones
and the padded one of 14 million drawn weights that `padded_vgg.py` has.

Run: python benchmarks/compile_time.py [--only TEXT]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

from networks import trained
from padded_vgg import padded

import xnorflow as xf
from xnorflow import ir

PADDED = "padded VGG"
ROWS = (("LFC_1W1A_finn", "pynq-z1"), ("cifar10_cnvW1A1", "ulx3s-85f"), (PADDED, "u250"))


def compiled(name: str, board: str) -> None:
    """Compile one network, and print what was found and the CPU time of the process so far."""
    if name == PADDED:
        net = padded()
    else:
        found = trained(name)
        net = xf.load(found.path, input_scale=found.scale)
    design = xf.compile(net, board=board)
    weights = sum(layer.weights.size for layer in net.layers if isinstance(layer, ir.Conv))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    print(f"| {name} | {board} | {weights / 1e6:.1f} M | {design.ii:,} | {cpu:.1f} |")


def main() -> None:
    """Print a row per network and board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose text contains this")
    parser.add_argument("--row", nargs=2, metavar=("NETWORK", "BOARD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        compiled(*options.row)
        return
    print(
        "| network | board | weights | cycles per frame | CPU, s |\n" + 5 * "|---" + "|", flush=True
    )
    for row in ROWS:
        if options.only in " ".join(row):
            subprocess.run([sys.executable, __file__, "--row", *row], check=True)


if __name__ == "__main__":
    main()
