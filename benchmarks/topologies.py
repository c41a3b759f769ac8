"""Compile networks that branch: exactness and time in Verilog, and what their skip buffers take.

Six published topologies with drawn weights go from PyTorch through ONNX and fixed point, where
they need it, to Verilog. Scores of the golden model are compared with PyTorch in float64, those of
the Verilog with the golden model, at full speed and with both sides stalled. Resources are
estimated by the resource model.

Run: python benchmarks/topologies.py [--frames N] [--seed N] [--board BOARD] [NAME ...]
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from topology_models import MODELS, SIDE, drawn, images

import xnorflow as xf
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.resources.usage import design_resources
from xnorflow.schedule.timing import predict
from xnorflow_hw.spec import AcceleratorSpec
from xnorflow_sim import golden

CALIBRATION = 64
STALLS = (0.3, 0.3)


@dataclass(frozen=True)
class Target:
    """How a network is compiled.

    Parameters
    ----------
    fixed_point : int or "auto"
        Bits of what has no exact integer form.
    cycles : int
        Aim of cycles per frame.
    frames : int
        Frames in Verilog.
    compared : int
        Frames in PyTorch.
    """

    fixed_point: int | str
    cycles: int
    frames: int
    compared: int


TARGETS = {
    "unet": Target("auto", 10_000, 4, 256),
    "densenet": Target("auto", 10_000, 4, 256),
    "reactnet": Target("auto", 10_000, 4, 256),
    "quicknet": Target(16, 30_000, 3, 256),
    "bireal18": Target(16, 150_000, 2, 128),
    "fracbnn20": Target(16, 40_000, 2, 128),
}


def export(model: torch.nn.Module, path: Path) -> None:
    """Write a network as people do, with PyTorch's exporter of TorchScript."""
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, SIDE, SIDE),),
        str(path),
        dynamo=False,
        opset_version=17,
        dynamic_axes={"x": {0: "N"}},
        input_names=["x"],
    )


def in_float(model: torch.nn.Module, x: torch.Tensor) -> NDArray[np.float64]:
    """Compute the scores in float64 [frames, classes, ...], with the file's own constants."""
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        made = [double(part.double() / 255).numpy() for part in x.split(32)]
    return np.concatenate(made)


def scheduled(design: Design) -> float:
    """Measure the seconds that depths and times of a design take, those of its queues included."""
    taken, last = 0.0, time.process_time()

    def watch(name: str, decides: str, before: AcceleratorSpec | None, spec: AcceleratorSpec):
        nonlocal taken, last
        now = time.process_time()
        if name.startswith(("depths", "shrink")):
            taken += now - last
        last = now

    spec = accelerator(
        design.net,
        design.folds,
        in_lanes=design.spec.input.lanes,
        out_lanes=design.spec.out_lanes,
        watch=watch,
    )
    started = time.process_time()
    predict(spec)
    return taken + time.process_time() - started


def queue_bits(spec: AcceleratorSpec) -> tuple[int, int]:
    """Return the bits of all queues of streams, and with depths that are powers of two from 2."""
    widths = [(s.queue, s.box.bits * s.box.lanes_out) for s in spec.streams if s.queue]
    own = sum(depth * width for depth, width in widths)
    rounded = sum(max(2, 1 << (depth - 1).bit_length()) * width for depth, width in widths)
    return own, rounded


def line(name: str, frames: int | None, seed: int, board: str) -> str:
    """Return the line of a network; scores or cycles that differ in Verilog end it.

    Raises
    ------
    xnorflow.errors.CheckFailed
        If a score differs.
    SystemExit
        If a frame ends in another cycle than predicted.
    """
    target = TARGETS[name]
    model = drawn(name, seed)
    x, y = images(target.compared, seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        export(model, path)
        net = xf.load(
            path,
            input_scale=1 / 255,
            fixed_point=target.fixed_point,
            calibrate=images(CALIBRATION, seed + 2)[0].numpy(),
        )
    for note in net.notes:
        print(f"{name}: {note}", file=sys.stderr)
    width = next((n.split()[3] for n in net.notes if n.startswith("Fixed point of")), "exact")
    scores, wanted = golden.run(net, x.numpy()), in_float(model, x).argmax(1)
    labels = net.labels_of(scores)[net.named[0].name]
    other = labels != wanted
    if wanted.ndim == 1:
        right = [float((found == y.numpy()).mean()) for found in (wanted, labels)]
        print(f"{name}: right {right[0]:.3f} in float64, {right[1]:.3f}", file=sys.stderr)

    design = xf.compile(net, cycles=target.cycles)
    seconds = scheduled(design)
    some = slice(frames or target.frames)
    run = design.simulate(x.numpy()[some], expected=scores[some])
    predicted = list(design.timing.last_out[: len(run.last_out)])
    if run.latency != design.latency or run.last_out.tolist() != predicted:
        raise SystemExit(f"{name}: frames end in {run.last_out}, predicted {predicted}")
    design.simulate(x.numpy()[some], stalls=STALLS, seed=7, expected=scores[some])

    used = design_resources(design.shape, fpga(board).family)
    own, rounded = queue_bits(design.spec)
    queues = sum(bool(s.queue) for s in design.spec.streams)
    return (
        f"| {name} | {len(net.layers)} / {len(design.spec.stages)} | {width} |"
        f" {int(other.sum()):,} of {other.size:,} | {len(run.last_out)} | {scores[some].size:,} |"
        f" {design.ii:,} / {design.timing.bound:,} | {run.latency:,} / {design.latency:,} |"
        f" {round(used.luts):,} | {used.ram_blocks} | {used.dsps} | {queues} | {own:,} |"
        f" {rounded:,} | {seconds:.1f} |"
    )


def main() -> None:
    """Print a line per network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--frames", type=int, help="frames in Verilog")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--board", default="pynq-z1", help="for the resources")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of the exporter
    if unknown := set(options.names) - set(MODELS):
        parser.error(f"there is no network {', '.join(sorted(unknown))}")
    print(
        "| network | layers / stages | bits | labels that differ | frames in Verilog |"
        " scores equal | II / bound | latency / predicted | LUT | block RAM | DSP | queues |"
        " their bits | by powers of two | schedule and depths, s |\n" + "|---" * 15 + "|"
    )
    for name in options.names or MODELS:
        print(line(name, options.frames, options.seed, options.board), flush=True)


if __name__ == "__main__":
    main()
