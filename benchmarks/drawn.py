"""Networks and foldings that are drawn from a seed, to measure the resource model on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from networks import DEMO, TRAINED, trained

import xnorflow as xf
from xnorflow import ir
from xnorflow.compiler import assembler, clock_for, compile_network
from xnorflow.design.design import Design
from xnorflow.folding import narrowest
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold

LANES = {"ecp5": 3000, "ice40": 500, "gowin": 1500, "xilinx": 3000}
"""Most XNORs per cycle of a drawn folding, by family: its FPGAs have room for so many."""
WIDTHS = {"ecp5": (8, 256), "ice40": (4, 64), "gowin": (8, 128), "xilinx": (8, 256)}
CODES = (ir.BIPOLAR, ir.BIPOLAR, ir.BIPOLAR, ir.Alphabet(0, 1, 4), ir.Alphabet(-3, 2, 4))
WEIGHTS = (ir.BIPOLAR, ir.BIPOLAR, ir.BIPOLAR, ir.TERNARY)


def _width(rng: np.random.Generator, fabric: str) -> int:
    """Draw a number of channels; half of them are multiples of eight."""
    low, high = WIDTHS[fabric]
    width = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    return width if rng.random() < 0.5 else max(8, width // 8 * 8)


class _Drawing:
    """A network under construction."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self.rng, self.shape, self.layers = rng, shape, list[ir.Layer]()
        self.map = ir.Features(*shape, ir.UINT8)

    def add(self, layer: ir.Layer) -> None:
        self.layers.append(layer)
        self.map = layer.output(self.map)

    def conv(self, out: int, window: ir.Window, weights: ir.Alphabet) -> None:
        codes = self.rng.integers(0, weights.levels, (out, *window.kernel, self.map.channels))
        pad = int(self.rng.choice((0, -1)))
        self.add(ir.Conv(f"layer{len(self.layers)}", weights.values(codes), weights, window, pad))

    def threshold(self, alphabet: ir.Alphabet) -> None:
        a = self.map.alphabet
        centre, spread = (a.lo + a.hi) / 2, (a.hi - a.lo) / 8
        values = self.rng.normal(centre, spread, (self.map.channels, alphabet.levels - 1))
        ordered = np.sort(np.rint(values).astype(np.int64), axis=1)
        self.add(ir.Threshold(f"layer{len(self.layers)}", ordered, alphabet))

    def pool(self) -> None:
        window = ir.Window((2, 2), (2, 2))
        minimum = self.rng.random(self.map.channels) < 0.1
        self.add(ir.MaxPool(f"layer{len(self.layers)}", window, minimum))

    def average(self, window: ir.Window) -> None:
        pad = int(self.rng.integers(self.map.alphabet.levels))
        self.add(ir.SumPool(f"layer{len(self.layers)}", window, pad))


def network(seed: int, fabric: str) -> ir.IntegerNetwork:
    """Draw a network: convolutions, pools and dense layers, or dense layers alone."""
    rng = np.random.default_rng(seed)
    convolutions = int(rng.integers(0, 4))
    side = int(rng.integers(6, 17)) if convolutions else 1
    channels = int(rng.choice((1, 3))) if convolutions else int(rng.integers(20, 400))
    d = _Drawing(rng, (side, side, channels))
    if not convolutions or rng.random() < 0.5:
        table = np.where(np.arange(256) < 128, 0, 1)[None]
        d.add(ir.InputTable("input", table, ir.BIPOLAR))
    for _ in range(convolutions):
        kernel = int(rng.choice((1, 3, 3)))
        padded = bool(rng.random() < 0.5) and kernel == 3
        if min(d.map.height, d.map.width) < kernel:
            break
        window = ir.Window((kernel, kernel), pads=(1,) * 4 if padded else (0,) * 4)
        d.conv(_width(rng, fabric), window, WEIGHTS[rng.integers(len(WEIGHTS))])
        d.threshold(CODES[rng.integers(len(CODES))])
        if rng.random() < 0.4 and min(d.map.height, d.map.width) >= 4:
            d.pool()
    if convolutions:
        d.add(ir.Flatten("flatten"))
    for _ in range(int(rng.integers(0, 3))):
        d.conv(_width(rng, fabric), ir.Window(), WEIGHTS[rng.integers(len(WEIGHTS))])
        d.threshold(CODES[rng.integers(len(CODES))])
    d.conv(10, ir.Window(), ir.BIPOLAR)
    d.add(ir.Scores("scores", np.zeros(10, np.int64)))
    return ir.IntegerNetwork(f"drawn{seed}", d.shape, tuple(d.layers))


def averages(seed: int) -> ir.IntegerNetwork:
    """Draw a small network with three average pools, the first of them of the samples."""
    rng = np.random.default_rng(seed)
    d = _Drawing(rng, (16, 16, int(rng.integers(2, 17))))
    for side in (int(rng.integers(2, 5)), 2, 0):
        pads = (int(rng.integers(2)) if side else 0,) * 4
        kernel = (side, side) if side else (d.map.height, d.map.width)
        d.average(ir.Window(kernel, kernel, pads=pads))
        d.threshold(CODES[rng.integers(len(CODES))])
    d.add(ir.Flatten("flatten"))
    d.conv(10, ir.Window(), ir.BIPOLAR)
    d.add(ir.Scores("scores", np.zeros(10, np.int64)))
    return ir.IntegerNetwork(f"averages{seed}", d.shape, tuple(d.layers))


@dataclass(frozen=True)
class Sample:
    """A design to measure: a network and how to fold it.

    Parameters
    ----------
    network : str
        Name in `networks.TRAINED`, that of the demo network, or "drawn" or "averages" with a seed.
    cycles : int
        Target in cycles per frame for the compiler; 0 for a folding that is drawn from `seed`.
    seed : int
        Seed of the folding.
    """

    network: str
    cycles: int = 0
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of the design in the records."""
        return f"{self.network}@{self.cycles}" if self.cycles else f"{self.network}#{self.seed}"

    def design(
        self, board: str, fabric: str, folds: Sequence[Sequence[int]] | None = None
    ) -> Design:
        """Assemble the design, with a record's folding: which is best changes with the model."""
        if self.network.startswith("drawn"):
            net = network(int(self.network.removeprefix("drawn")), fabric)
        elif self.network.startswith("averages"):
            net = averages(int(self.network.removeprefix("averages")))
        else:
            source = trained(self.network)
            net = xf.load(source.path, input_scale=source.scale)
        if folds is not None:
            chosen = [Fold(*fold) for fold in folds]
        elif self.cycles:
            return compile_network(net, board, cycles=self.cycles, must_fit=False)
        else:
            chosen = self._draw(net, fabric)
        slowest = max(p.cycles(f) for p, f in zip(reductions(net), chosen, strict=True))
        return assembler(net, board, clock_for(board, None))(tuple(chosen), self.cycles or slowest)

    def _draw(self, net: ir.IntegerNetwork, fabric: str) -> list[Fold]:
        """Draw a folding of the network."""
        rng = np.random.default_rng(self.seed)
        folds: list[Fold] = []
        for part in reductions(net):
            options = narrowest.foldings(part)
            bits = part.inp.alphabet.bits
            most = LANES[fabric] // len(reductions(net)) / bits
            options = [f for f in options if f.pe * f.simd * f.pixels <= most] or options[:1]
            # Wide foldings are as frequent as narrow ones.
            size = np.log([f.pe * f.simd * f.pixels for f in options])
            # Some foldings are as wide as possible: small layers then have constant weights.
            wanted = size.max() if rng.random() < 0.2 else rng.uniform(0, size.max())
            near = np.argsort(np.abs(size - wanted), kind="stable")[:8]
            folds.append(options[int(rng.choice(near))])
        return folds


def samples(fabric: str) -> list[Sample]:
    """Return a family's designs: trained networks at several targets, then drawn ones."""
    targets = {
        "ecp5": {
            DEMO: (576, 2304, 9216),
            "TFC_1W1A": (64, 196, 784),
            "TFC_1W2A": (98, 400),
            "mnist_lfcW1A1": (4096,),
            "cifar10_cnvW1A1": (65536,),
        },
        "gowin": {DEMO: (576, 1152, 4608), "TFC_1W1A": (98, 196, 784), "TFC_1W2A": (196, 784)},
        "ice40": {DEMO: (2304, 4608, 9216), "TFC_1W1A": (392, 784, 3136), "TFC_1W2A": (1568,)},
    }
    targets["xilinx"] = targets["ecp5"] | {"TFC_1W1A": (14, 16, 64, 196, 784)}
    known = {DEMO, *(t.name for t in TRAINED)}
    chosen = [Sample(name, cycles) for name, all_ in targets[fabric].items() for cycles in all_]
    assert all(s.network in known for s in chosen)
    chosen += [Sample(f"drawn{seed}", seed=seed) for seed in range(1, 49)]
    return chosen + [Sample(f"averages{seed}", seed=seed) for seed in range(1, 6)]
