"""Hold our models to the ratios of "Can FPGAs Beat GPUs in Accelerating Next-Generation DNNs?".

Nurvitadhi et al., FPGA'17, doi 10.1145/3020078.3021740, of which only the abstract could be read.
It gives ratios of an Intel Stratix 10 2800 over an NVIDIA Titan X Pascal, and no rate, clock or
watt of either. For matrix products a few lines of arithmetic say what the ratio is with the LUTs
that our arrays take; for the ternary ResNet, ours of 20 layers with drawn weights goes through
`xnorflow.compare`, on the nearest pair of devices whose figures have sources.

Run: python benchmarks/fpga17.py [--gemm] [--board u250] [--gpu t4] [--cycles N]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from topologies import export
from topology_models import CLASSES, Sum, images, settled
from torch import nn

import xnorflow as xf
from xnorflow.plan.products import adder_bits, product_luts

Kind = Literal["abstract", "told", "read", "ours", "assumed", "computed"]


@dataclass(frozen=True)
class Quantity:
    """A number, and how it is known.

    Parameters
    ----------
    name : str
        What it is, with its unit.
    value : float or None
        None where we have nothing to say.
    kind : str
        "abstract": a ratio in the paper's abstract; "told": handed down, seen in no text here;
        "read": in another text, which `source` names; "ours": of our own designs; "assumed":
        chosen here; "computed": from those above.
    source : str
        Where it is from, or why there is none.
    """

    name: str
    value: float | None
    kind: Kind
    source: str

    def line(self) -> str:
        """Return it as a row of a table."""
        shown = "-" if self.value is None else f"{round(self.value, 2):,}"
        return f"| {self.name} | {shown} | {self.kind} | {self.source} |"


PUBLISHED = {
    "binary": Quantity(
        "binary GEMM, Stratix 10 / Titan X, published", 5.4, "abstract", "TOP/s over TOP/s"
    ),
    "int6": Quantity("Int6 GEMM, published", 1.5, "abstract", "50 % better"),
    "pruned": Quantity("pruned GEMM, published", 1.1, "abstract", "10 % better"),
    "resnet": Quantity(
        "ternary ResNet, published", 1.6, "told", "60 % better; the copies read end before it"
    ),
    "per watt": Quantity(
        "ternary ResNet per watt, published", 2.3, "told", "2.3 times better; as above"
    ),
}

ALMS = Quantity("ALMs of a Stratix 10 2800", 933_120, "read", "result tables of T2S and POPA")
DSPS = Quantity("DSP blocks of it", 5_760, "read", "the same tables")
FP32 = Quantity("FP32 peak of a Titan X Pascal, TFLOP/s", 11, "read", "a review of 2017")
LUTS_PER_LANE = Quantity(
    "LUTs of 6 inputs per XNOR and its share of the popcount",
    1.05,
    "ours",
    "LFC at II 128, Yosys, 7-series, whole accelerator (BENCHMARKS.md)",
)
FILL = Quantity("share of the ALMs that can be used", 0.8, "assumed", "routing needs the rest")
CLOCK = Quantity("clock of the FPGA, MHz", 300, "assumed", "the paper's is not in its abstract")
CORES = Quantity("FP32 lanes per multiprocessor", 128, "assumed", "not read in a source")
COUNTS = Quantity(
    "population counts per clock and multiprocessor",
    32,
    "assumed",
    "read of Kepler and Maxwell; of Pascal not",
)
LUTS_PER_PRODUCT = Quantity(
    "LUTs per product of 6 bits and its share of a sum of 64",
    product_luts(6, 6) + adder_bits(64, 6, 6) / 64,
    "ours",
    "the compiler's own estimate (plan.products), LUTs of 4 inputs and a carry",
)
PRODUCTS = Quantity(
    "products of 6 bits per DSP block and clock", 2, "assumed", "two multipliers of 18 x 19"
)


def _value(quantity: Quantity) -> float:
    if quantity.value is None:
        raise ValueError(f"{quantity.name} has no value")
    return quantity.value


def gemm(clock: Quantity = CLOCK) -> list[Quantity]:
    """Compute our side of the matrix products, each line with what it rests on.

    An ALM counts as one LUT of six inputs. The FPGA computes in every cycle in all of its lanes;
    the GPU reaches its bound. An XNOR or a product, and its sum, are 2 operations.
    """
    mhz, alms = _value(clock), _value(ALMS) * _value(FILL)
    lanes = alms / _value(LUTS_PER_LANE)
    binary = lanes * 2 * mhz * 1e6 / 1e12
    counts = _value(FP32) / 2 / _value(CORES) * _value(COUNTS) * 32 * 2
    in_blocks = _value(DSPS) * _value(PRODUCTS)
    int6 = (in_blocks + alms / _value(LUTS_PER_PRODUCT)) * 2 * mhz * 1e6 / 1e12
    return [
        PUBLISHED["binary"],
        *(ALMS, FILL, LUTS_PER_LANE, clock, FP32, CORES, COUNTS),
        Quantity("binary, FPGA, TOP/s", binary, "computed", "ALMs / LUTs per lane x 2 x clock"),
        Quantity("binary, GPU, TOP/s", counts, "computed", "bound by population counts"),
        Quantity("binary GEMM, our ratio", binary / counts, "computed", "of the two lines above"),
        PUBLISHED["int6"],
        *(DSPS, PRODUCTS, LUTS_PER_PRODUCT),
        Quantity("Int6, FPGA, TOP/s", int6, "computed", "in DSP blocks and in the ALMs"),
        Quantity("Int6 GEMM, our ratio", int6 / _value(FP32), "computed", "the GPU in FP32"),
        PUBLISHED["pruned"],
        Quantity("pruned GEMM, our ratio", None, "ours", "nothing here skips zeros of a matrix"),
        PUBLISHED["resnet"],
        PUBLISHED["per watt"],
    ]


class TernaryConv(nn.Conv2d):
    """A convolution whose weights are -1, 0 and +1 by the threshold of ternary weight networks."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, size // 2, bias=False)
        w = self.weight.detach()
        kept = w.abs() > 0.7 * w.abs().mean()
        self.weight = nn.Parameter(torch.sign(w) * kept)


class Codes(nn.Module):
    """Activations in steps of a quarter from 0 to 15 steps."""

    def forward(self, x: Any) -> Any:
        """Return rounded, rectified values."""
        return torch.clamp(torch.round(4 * x), 0, 15) / 4


def ternary_resnet(width: int = 16, blocks: int = 3) -> nn.Sequential:
    """Build a ResNet for CIFAR-10, of 20 layers by default, with ternary weights."""

    def unit(inputs: int, outputs: int) -> list[nn.Module]:
        stride = 1 if inputs == outputs else 2
        first = (TernaryConv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), Codes())
        way = nn.Sequential(*first, TernaryConv(outputs, outputs, 3), nn.BatchNorm2d(outputs))
        shortcut = None
        if stride > 1:
            shortcut = nn.Sequential(TernaryConv(inputs, outputs, 1, 2), nn.BatchNorm2d(outputs))
        return [Sum(way, shortcut), Codes()]

    layers: list[nn.Module] = [TernaryConv(3, width, 3), nn.BatchNorm2d(width), Codes()]
    widths = (width, width, 2 * width, 4 * width)
    for inputs, outputs in pairwise(widths):
        layers += unit(inputs, outputs)
        for _ in range(blocks - 1):
            layers += unit(outputs, outputs)
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, CLASSES)
    )


def imported(model: nn.Module) -> Any:
    """Return the integer network of a model, in fixed point of 16 bits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ternary_resnet.onnx"
        export(model, path)
        return xf.load(
            path, input_scale=1 / 255, fixed_point=16, calibrate=images(64, 2)[0].numpy()
        )


def main() -> None:
    """Print the matrix products' table and the comparison of the ternary ResNet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gemm", action="store_true", help="only the matrix products")
    parser.add_argument("--board", default="u250")
    parser.add_argument("--gpu", default="t4")
    parser.add_argument("--cycles", type=int, help="cycles per frame instead of the fewest")
    options = parser.parse_args()
    print("| quantity | value | kind | where from |\n|---|---|---|---|")
    for quantity in gemm():
        print(quantity.line())
    if options.gemm:
        return
    torch.manual_seed(1)
    net = imported(settled(ternary_resnet(), 1))
    boards, gpus = [options.board], [options.gpu]
    print(xf.compare(net, boards, gpus, batches=(1, 16, 128), cycles=options.cycles))


if __name__ == "__main__":
    main()
