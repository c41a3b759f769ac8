"""What merging layers saves: five networks compiled with their layers apart and merged.

An ensemble whose scores are added, a committee of perceptrons that vote, cores that each read a
part of a map, convolutions side by side, and the sum of two ternary convolutions, all with drawn
weights, go from PyTorch through ONNX to Verilog. With its layers apart, each has a target in cycles
per frame; merged, it has to be as fast as that design is.
The scores of both networks are compared, and of the merged one those of the Verilog with stalls.
Resources are estimated by the resource model.

Run: python benchmarks/merges.py [--frames N] [--board BOARD] [NAME ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from topology_models import BinaryConv, Sign
from torch import nn

import xnorflow as xf
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.resources.usage import design_resources
from xnorflow_sim import golden

STALLS = (0.3, 0.3)
COMPARED = 64
"""Frames on which the golden model is run."""


def dense(inputs: int, outputs: int) -> nn.Linear:
    """Build a dense layer with signs as weights."""
    layer = nn.Linear(inputs, outputs, bias=False)
    layer.weight = nn.Parameter(torch.sign(layer.weight).detach())
    return layer


class Centred(nn.Module):
    """A network on signs of samples around the middle of their range."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = Sign()

    def signs(self, x: Any) -> Any:
        """Return the signs of samples."""
        return self.sign(x - 127.5)


class Member(nn.Module):
    """A member of an ensemble: three layers with signs between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sign, self.pool = Sign(), nn.MaxPool2d(2)
        self.first = BinaryConv(3, channels, 3, scaled=False)
        self.second = BinaryConv(channels, channels, 3, scaled=False, stride=2)
        self.last = dense(channels * 16, 10)

    def forward(self, x: Any) -> Any:
        """Return scores."""
        x = self.sign(self.first(x) + 0.5)
        x = self.pool(self.sign(self.second(x) + 0.5))
        return self.last(x.flatten(1))


class Ensemble(Centred):
    """Three members whose scores are added."""

    shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(Member(16) for _ in range(3))

    def forward(self, x: Any) -> Any:
        """Return the sums of all members' scores."""
        x = self.signs(x)
        scores = [member(x) for member in self.members]
        return scores[0] + scores[1] + scores[2]


class Committee(Centred):
    """A perceptron for each class and each of nine members, whose signs are added."""

    shape = (784,)

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(dense(784, 10) for _ in range(9))

    def forward(self, x: Any) -> Any:
        """Return the votes for each class."""
        x = self.signs(x)
        votes = [self.sign(member(x) + 0.5) for member in self.members]
        return sum(votes[1:], votes[0])


class Cores(Centred):
    """Two layers of cores: each reads 64 neighbours of a layer's values."""

    shape = (512,)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ModuleList(dense(64, 32) for _ in range(8))
        self.second = nn.ModuleList(dense(64, 32) for _ in range(4))
        self.last = dense(128, 10)

    def layer(self, cores: nn.ModuleList, x: Any) -> Any:
        """Return what the cores of a layer make of its input."""
        parts = [x[:, 64 * k : 64 * (k + 1)] for k in range(len(cores))]
        return torch.cat(
            [self.sign(core(p) + 0.5) for core, p in zip(cores, parts, strict=True)], 1
        )

    def forward(self, x: Any) -> Any:
        """Return scores."""
        return self.last(self.layer(self.second, self.layer(self.first, self.signs(x))))


class Inception(Centred):
    """Two 1x1 convolutions and a 3x3 one of the same map side by side, twice."""

    shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = BinaryConv(3, 16, 3, scaled=False)
        self.blocks = nn.ModuleList(
            nn.ModuleList([BinaryConv(inputs, 16, size, scaled=False) for size in (1, 1, 3)])
            for inputs in (16, 48)
        )
        self.pool, self.last = nn.MaxPool2d(4), dense(48 * 16, 10)

    def forward(self, x: Any) -> Any:
        """Return scores."""
        x = self.sign(self.stem(self.signs(x)) + 0.5)
        for block in self.blocks:
            x = torch.cat([self.sign(conv(x) + 0.5) for conv in block], 1)  # type: ignore[operator, union-attr]
        return self.last(self.pool(x).flatten(1))


class TernaryConv(nn.Conv2d):
    """A convolution with weights -1, 0 and +1."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2, bias=False)
        weights = torch.randint(-1, 2, self.weight.shape).to(torch.float32)
        self.weight = nn.Parameter(weights)


class TernarySums(Centred):
    """Twice the sums of a ternary convolution, and those of another one of the same map."""

    shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = BinaryConv(3, 16, 3, scaled=False)
        self.coarse, self.fine = TernaryConv(16, 32, 3), TernaryConv(16, 32, 3)
        self.pool, self.last = nn.MaxPool2d(4), dense(32 * 16, 10)

    def forward(self, x: Any) -> Any:
        """Return scores."""
        x = self.sign(self.stem(self.signs(x)) + 0.5)
        x = self.sign(2 * self.coarse(x) + self.fine(x) + 0.5)
        return self.last(self.pool(x).flatten(1))


NETWORKS: dict[str, tuple[Callable[[], Any], int]] = {
    "ensemble": (Ensemble, 4096),
    "committee": (Committee, 392),
    "cores": (Cores, 64),
    "inception": (Inception, 4096),
    "ternary sums": (TernarySums, 4096),
}
"""Networks by name, each with the cycles per frame that it is compiled for."""


def described(name: str, design: Design, board: str) -> str:
    """Return a row of the table."""
    takes = design_resources(design.shape, fpga(board).family)
    return (
        f"| {name} | {len(design.parts)} | {takes.luts:,.0f} | {takes.ram_blocks} |"
        f" {design.ii:,} | {design.latency:,} |"
    )


def measured(name: str, folder: Path, board: str, frames: int) -> bool:
    """Print the rows of a network; return whether all scores were equal."""
    make, cycles = NETWORKS[name]
    torch.manual_seed(1)
    model = make().eval()
    path = folder / f"{name.replace(' ', '_')}.onnx"
    torch.onnx.export(
        model, (torch.zeros(1, *model.shape),), str(path), dynamo=False, opset_version=17
    )
    apart, merged = xf.load(path, merge=False), xf.load(path)
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (COMPARED, *apart.input_order.shape)).astype(np.uint8)
    want = golden.run(apart, x)
    right = bool((golden.run(merged, x) == want).all())
    for label, net in ((f"{name}, apart", apart), ("merged", merged)):
        design = xf.compile(net, board, cycles=cycles, must_fit=False)
        print(described(label, design, board), flush=True)
        # The merged one has to be as fast as the other one is.
        cycles = min(cycles, design.ii)
    if frames:
        run = design.simulate(x[:frames], stalls=STALLS)
        right = right and bool((run.scores == want[:frames]).all())
    return right


def main() -> int:
    """Print the table; return whether any scores differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    parser.add_argument("--board", default="ulx3s-85f")
    parser.add_argument("--frames", type=int, default=4, help="frames in Verilog")
    args = parser.parse_args()
    print("| network | stages | LUT | block RAM | II | latency |\n|---|---|---|---|---|---|")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names:
            if not measured(name, Path(folder), args.board, args.frames):
                wrong.append(name)
    print(f"scores differ: {', '.join(wrong) or 'none'}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
