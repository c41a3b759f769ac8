"""Compare networks in fixed point with their files in float, on whole test sets.

Three networks: a published one for particle jets (5 classes, real biases between quantisers), and
two that are trained here on MNIST, with a fixed seed: a LeNet whose first and last layers are real
and whose middle is binary with a scale per filter, as in XNOR-Net, and one as Larq writes them,
binary convolutions and a real dense layer at the end. The files run in ONNX Runtime without
optimisation. Ranges and the width `auto` come from 200 training images, or as many as asked for,
which the test set does not hold (the jets come without training samples, so theirs are drawn).

Run: python benchmarks/fixed_point.py [--folder FOLDER] [--calibration N] [--bits 8 auto] [NAME ...]

With a folder, trained files are kept there and used again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from networks import DATA
from numpy.typing import NDArray
from standard_onnx import Executor

import xnorflow as xf
from xnorflow.evidence.score_orders import compare_orders
from xnorflow.ir import IntegerNetwork

CASES = Path(os.environ.get("XNORFLOW_CASES", DATA.parent / "cases"))
RTL_FRAMES = 4
CYCLES = 40_000
"""Aim of cycles per frame for the Verilog."""
BATCH = 100
SEED = 1


@dataclass(frozen=True)
class Network:
    """A file with its test set.

    Parameters
    ----------
    path : Path
        The file.
    x : array [frames, ...]
        Test samples in the file's own order.
    labels : int array [frames] or None
        Classes of the samples, if they are known.
    calibration : array [frames, ...] or None
        Training samples; None where there are none.
    options : dict
        Keywords for `xnorflow.load`.
    divisor : float
        What a sample is divided by before the file sees it.
    """

    path: Path
    x: NDArray[Any]
    labels: NDArray[Any] | None
    calibration: NDArray[Any] | None
    options: dict[str, Any]
    divisor: float = 1.0


def train(name: str, path: Path, epochs: int) -> None:
    """Train on MNIST and write the file."""
    import torch
    from binary_modules import TRAINED, Scaled, with_plain_weights
    from torch import nn

    torch.manual_seed(SEED)
    model, spread, mean = TRAINED[name]()
    with np.load(DATA / "datasets" / "mnist.npz", allow_pickle=False) as z:
        x = torch.tensor(z["x_train"][:, None].astype(np.float32) / 255)
        y = torch.tensor(z["y_train"].astype(np.int64))
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    started = time.monotonic()
    for _ in range(epochs):
        for picked in torch.randperm(len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH):
            loss = nn.functional.cross_entropy(model((x[picked] - mean) / spread), y[picked])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    print(f"{path.stem}: {epochs} epochs in {time.monotonic() - started:.0f} s", file=sys.stderr)

    torch.onnx.export(
        Scaled(with_plain_weights(model), spread, mean).eval(),
        (torch.zeros(1, 1, 28, 28),),
        str(path),
        dynamo=False,
        opset_version=17,
        do_constant_folding=False,
        dynamic_axes={"x": {0: "N"}},
        input_names=["x"],
    )


TRAINED_HERE = ("lenet_xnor", "larq_float_end")
"""Names of networks in `binary_modules`, which needs PyTorch."""
NAMES = ("qkeras_jettagging", *TRAINED_HERE)


def find(name: str, folder: Path, epochs: int, calibration: int) -> Network:
    """Return a network, and train it first if the folder does not hold it."""
    if name not in TRAINED_HERE:
        path = CASES / "networks" / f"{name}.onnx"
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as z:
            return Network(path, z["x"], None, None, {"input": "float"})
    path = folder / f"{name}.onnx"
    if not path.exists():
        train(name, path, epochs)
    with np.load(DATA / "datasets" / "mnist.npz", allow_pickle=False) as z:
        x, y, first = z["x_test"], z["y_test"], z["x_train"][:calibration]
    return Network(path, x[:, None], y, first[:, None], {"input_scale": 1 / 255}, 255.0)


def in_float(network: Network) -> NDArray[np.float32]:
    """Return the scores of ONNX Runtime, float32 [frames, classes]."""
    session = Executor(network.path, threads=1, fuse=False).session
    name, made = session.get_inputs()[0].name, []
    for first in range(0, len(network.x), BATCH):
        x = network.x[first : first + BATCH].astype(np.float32) / np.float32(network.divisor)
        made.append(session.run(None, {name: x})[0])
    return np.concatenate(made)


def pairs_differ(got: NDArray[Any], want: NDArray[Any]) -> tuple[int, int]:
    """Count the pairs of scores of all frames that change places, and those that become equal."""
    signs = [np.sign(s[:, :, None] - s[:, None]).astype(np.int8) for s in (got, want)]
    reverse = signs[0] * signs[1] == -1
    return int(reverse.sum()) // 2, int(((signs[0] == 0) & (signs[1] != 0)).sum()) // 2


def percent(scores: NDArray[Any], labels: NDArray[Any] | None) -> str:
    """Return the accuracy as text."""
    return "-" if labels is None else f"{100 * (scores.argmax(1) == labels).mean():.2f} %"


def main() -> None:
    """Print a line per network and width; scores or cycles that differ in Verilog end it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--bits", nargs="*", default=["8", "12", "16", "auto"])
    parser.add_argument("--folder", type=Path, help="where trained files are kept")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--calibration", type=int, default=200, help="training images for ranges")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no network {', '.join(sorted(unknown))}")
    print(
        "| network | bits | width | frames | accuracy in float | in integers | labels differ |"
        " frames with another order | pairs reversed / made equal | Verilog |\n" + "|---" * 10 + "|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        for name in options.names or NAMES:
            network = find(name, folder, options.epochs, options.calibration)
            want = in_float(network)
            for bits in options.bits:
                line(name, network, want, bits)


def line(name: str, network: Network, want: NDArray[np.float32], bits: str) -> None:
    """Print the line of a network at a width, or why it is refused there."""
    try:
        net = xf.load(
            network.path,
            fixed_point=bits,
            calibrate=network.calibration,
            **network.options,
        )
    except xf.UnsupportedModel as e:
        print(f"| {name} | {bits} | refused: {e} |" + " |" * 7, flush=True)
        return
    note = next((n for n in net.notes if n.startswith("Fixed point of")), "")
    width = note.split()[3] if note else "exact"
    scores = net(network.x)
    orders = compare_orders(scores, want)
    reverse, equal = pairs_differ(scores, want)
    shown = verilog(net, network.x[:RTL_FRAMES], scores[:RTL_FRAMES])
    classes = want.shape[1]
    print(
        f"| {name} | {bits} | {width} | {len(scores):,} | {percent(want, network.labels)} |"
        f" {percent(scores, network.labels)} | {int(orders.labels.sum())} |"
        f" {int(orders.order.sum()):,} | {reverse:,} / {equal:,} of"
        f" {len(scores) * classes * (classes - 1) // 2:,} |"
        f" {shown} |",
        flush=True,
    )
    for text in net.notes:
        print(f"{name} {bits}: {text}", file=sys.stderr)


def verilog(net: IntegerNetwork, x: NDArray[Any], scores: NDArray[np.int64]) -> str:
    """Simulate frames at full speed and under stalls, and return what to print.

    Raises
    ------
    xnorflow.errors.CheckFailed
        If a score differs.
    SystemExit
        If a frame ends in another cycle than predicted.
    """
    try:
        design = xf.compile(net, cycles=CYCLES)
    except xf.UnsupportedModel as e:
        return f"refused: {e}"
    run = design.simulate(x, expected=scores)
    predicted = list(design.timing.last_out[: len(x)])
    if run.latency != design.latency or run.last_out.tolist() != predicted:
        raise SystemExit(f"{net.name}: frames end in {run.last_out}, predicted {predicted}")
    design.simulate(x, stalls=(0.3, 0.3), expected=scores)
    return f"{scores.size} scores equal"


if __name__ == "__main__":
    main()
