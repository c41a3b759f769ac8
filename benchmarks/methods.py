"""Train a network by each method of the literature, and follow it into Verilog and cells.

Every row is trained by ``xnorflow train`` from its seed, unless the folder has its file already.
Beside it a network of the same layers is trained in float: real weights, rectifiers, batch
normalisation. The file then runs in ONNX Runtime and in the golden model on all test images, its
Verilog on some of them, at full speed and with both sides stalled, and Yosys maps the accelerator
for ECP5 and for 7-series.

Run: python benchmarks/methods.py FOLDER --data mnist.npz [ROW ...] [--train]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from count_cells import _Count, synthesised
from torch import nn
from torch.nn import functional

import xnorflow as xf
from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.errors import XnorflowError
from xnorflow.evidence.executor import Executor
from xnorflow.train.data_sets import DataSet, read_data_set
from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.methods import find_method
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task
from xnorflow.train.weight_rules import RealWeights
from xnorflow_boards.catalogue import board as find_board

ECP5, AMD = "ulx3s-85f", "pynq-z1"
FRAMES = 8
"""Frames in Verilog, which run twice."""
FLOAT_EPOCHS = 5
MLP, CONV = 4096, 12_544
"""Cycles per frame that accelerators are built for."""


@dataclass(frozen=True)
class Row:
    """A network to train.

    Parameters
    ----------
    method, net : str
        As ``xnorflow train`` has them.
    epochs : int
        Passes over the training images.
    cycles : int
        Cycles per frame that the accelerator is built for.
    as_float : str, optional
        Layers of the network in float, if the same chain of layers exists.
    shift : int
        Most pixels by which training images are moved, for the network in float, too.
    digits : bool
        Whether it is trained on the shipped digits rather than on the data that is given.
    """

    method: str
    net: str
    epochs: int
    cycles: int
    as_float: str | None = None
    shift: int = 0
    digits: bool = False


LENET = "32C3-P2-64C3-P2-256"
ROWS = {
    "1": Row("binary-connect", "1024-1024", 15, MLP, "1024-1024", shift=1),
    "2": Row("bnn", "1024-1024-1024", 30, MLP, "1024-1024-1024", shift=1),
    "3": Row("xnor-net", LENET, 20, CONV, LENET, shift=1),
    "3b": Row("xnor-net-float", "16C3-P2-32C3-64", 50, 1024, digits=True),
    "3c": Row("xnor-net-k", "16C3-P2-32C3-64", 50, 1024, digits=True),
    "4": Row("twn", "32C3-P2-64C3-P2-128", 10, CONV, "32C3-P2-64C3-P2-128"),
    "5": Row("trn", "256-256", 6, MLP, "256-256"),
    "6": Row("bitwise", "1024-1024", 24, MLP, "1024-1024", shift=1),
    "7": Row("ebp", "1024", 25, MLP, "1024"),
    "8": Row("true-north-ensemble", "64-250", 20, MLP, shift=1),
    "9": Row("committee", "9", 6, MLP),
    "10": Row("dynamic-fixed-point", "256-256", 15, MLP, "256-256"),
    "11": Row("q-cnn", "32C3-P2-64C3-P2-128", 6, CONV, "32C3-P2-64C3-P2-128"),
    "12": Row("w1a2", LENET, 12, CONV, LENET, shift=1),
    "13a": Row("bi-real", "16-32", 50, 4096, digits=True),
    "13b": Row("react-net", "16-32", 60, 4096, digits=True),
    "13c": Row("quick-net", "16-32", 50, 4096, digits=True),
    "13d": Row("frac-bnn", "8-16", 50, 4096, digits=True),
}
"""A row for every method, by the number that it has in docs/methods."""

COLUMNS = (
    "row",
    "network",
    "images",
    "epochs",
    "shift",
    "training, s",
    "same layers in float",
    "in ONNX Runtime",
    "golden model",
    "labels that differ",
    "weight bits",
    "multiply-accumulates",
    "scores that differ in Verilog",
    "II",
    "ECP5: LUT / EBR",
    "7-series: LUT / RAMB18",
    "file",
)


def trained(row: Row, folder: Path, data: str) -> tuple[Path, dict[str, Any]]:
    """Return the file of a row and what ``xnorflow train --json`` said; train what is missing."""
    path = folder / f"{row.method}.onnx"
    said = path.with_suffix(".json")
    if not path.exists() or not said.exists():
        command = [sys.executable, "-m", "xnorflow", "train", row.method, "--json"]
        command += ["--data", data, "--net", row.net, "--epochs", str(row.epochs)]
        command += ["--shift", str(row.shift)]
        found = subprocess.run(
            [*command, "-o", str(path)], stdout=subprocess.PIPE, text=True, check=False
        )
        if found.returncode:
            raise SystemExit(f"{row.method}: training ended with {found.returncode}")
        said.write_text(found.stdout)
    report: dict[str, Any] = json.loads(said.read_text())
    asked = {"method": row.method, "net": row.net, "epochs": row.epochs, "shift": row.shift}
    if any(report[name] != value for name, value in asked.items()):
        raise SystemExit(f"{said} is of another training than {asked}; use another folder")
    return path, report


def in_float(net: str, folder: Path, data: DataSet, shift: int) -> float:
    """Return the accuracy of a network of the same layers in float; train it if it is missing."""
    kept = folder / f"float-{net}-{shift}.json"
    if not kept.exists():
        task = Task(data, net, FLOAT_EPOCHS, shift=shift)
        layers = network(
            task, rule=lambda first, last: RealWeights(), activation=nn.ReLU, pool_first=False
        )
        training = GradientTraining(task, layers, loss=functional.cross_entropy, rate=0.001)
        started = time.monotonic()
        for number in range(FLOAT_EPOCHS):
            training.epoch(number)
        seconds = time.monotonic() - started
        layers.eval()
        x = torch.from_numpy(data.x_test.astype(np.float32))
        with torch.no_grad():
            labels = torch.cat([layers(part).argmax(1) for part in x.split(500)]).numpy()
        accuracy = float((labels == data.y_test).mean())
        kept.write_text(json.dumps({"accuracy": accuracy, "seconds": seconds}))
    return float(json.loads(kept.read_text())["accuracy"])


def weight_bits(net: ir.IntegerNetwork) -> int:
    """Return the bits of all weights: 1 for one of two values, 2 for -1, 0, +1, else as many."""
    bits = 0
    for layer in net.layers:
        if isinstance(layer, ir.Conv):
            edges = layer.weights[None] if layer.edges is None else layer.edges
            for weights in edges:
                values = len(np.unique(weights))
                span = int(weights.max() - weights.min())
                each = (values - 1).bit_length() if values < 4 else span.bit_length()
                bits += weights.size * max(1, each)
        elif isinstance(layer, ir.Gather):
            bits += layer.indices.size * layer.index_bits
    return bits


def operations(net: ir.IntegerNetwork) -> int:
    """Return the multiply-accumulates of all convolutions and dense layers for a frame."""
    return sum(
        layer.operations * out.height * out.width
        for layer, _, out in net
        if isinstance(layer, ir.Conv)
    )


def measured(name: str, row: Row, folder: Path, data: str) -> str:
    """Return the line of a row.

    Raises
    ------
    xnorflow.errors.CheckFailed
        If a score of the Verilog differs from the golden model's.
    """
    source = "digits" if row.digits else data
    path, said = trained(row, folder, source)
    images = read_data_set(source)
    method = find_method(row.method)
    calibrate = None
    if said["fixed_point"]:
        with np.load(path.with_suffix(".calibration.npz"), allow_pickle=False) as kept:
            calibrate = kept["x"]
    net = xf.load(
        path, fixed_point=said["fixed_point"], calibrate=calibrate, edges=method.with_edges
    )
    scores = net(images.x_test)
    labels = net.labels_of(scores)[net.named[0].name]
    outside = Executor(path).run(images.x_test).scores.argmax(1)
    right = [float((found == images.y_test).mean()) for found in (outside, labels)]
    plain = (
        "-" if row.as_float is None else f"{in_float(row.as_float, folder, images, row.shift):.2%}"
    )

    design = compile_network(net, ECP5, cycles=row.cycles, must_fit=False)
    some = images.x_test[:FRAMES]
    run = design.simulate(some, expected=scores[:FRAMES], jobs=2)
    design.simulate(some, expected=scores[:FRAMES], jobs=2, stalls=(0.3, 0.3), seed=7)
    with tempfile.TemporaryDirectory() as work:
        build = _Count(design, find_board(ECP5), Path(work), lambda step, doing: None)
        ecp5 = build.packed()
    amd = synthesised(compile_network(net, AMD, cycles=row.cycles, must_fit=False), AMD)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return (
        f"| {name} | `{row.method}`, {row.net} | {images.name} | {row.epochs} | {row.shift} |"
        f" {said['seconds']:,.0f} | {plain} | {right[0]:.2%} | {right[1]:.2%} |"
        f" {int((outside != labels).sum())} of {len(labels):,} | {weight_bits(net):,} |"
        f" {operations(net):,} | 0 of {scores[:FRAMES].size:,} | {run.ii:,} |"
        f" {ecp5['lut']:,} / {ecp5['bram']} | {amd['lut']:,} / {amd['bram']} | {digest} |"
    )


def main() -> None:
    """Print a line per row; scores that differ in Verilog end it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for trained networks, which are kept")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--data", required=True, help="images, as xnorflow train takes them")
    parser.add_argument("--train", action="store_true", help="only train what is missing")
    options = parser.parse_intermixed_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = {name: ROWS[name] for name in options.rows or ROWS}
    if options.train:
        for row in chosen.values():
            trained(row, options.folder, "digits" if row.digits else options.data)
        return
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name, row in chosen.items():
        try:
            print(measured(name, row, options.folder, options.data), flush=True)
        except XnorflowError as e:
            raise SystemExit(f"row {name}, {row.method}: {e}") from e


if __name__ == "__main__":
    main()
