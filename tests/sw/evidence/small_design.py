"""A design that is simulated in seconds, and its folder with one bit of a weight turned."""

import re

import numpy as np

from xnorflow import ir
from xnorflow.compiler import DEFAULT_CLOCK
from xnorflow.design.design import Design
from xnorflow.plan.reductions import Fold


def network():
    """Five by five samples through a convolution and a dense layer of five classes.

    Its name is a word of Verilog, so that the module has another.
    """
    rng = np.random.default_rng(1)
    layers = (
        ir.Conv("conv0", rng.choice([-1, 1], (4, 2, 2, 1)), ir.BIPOLAR, ir.Window((2, 2))),
        ir.Threshold("signs0", rng.integers(-150, 150, (4, 1)), ir.BIPOLAR),
        ir.Flatten("flat"),
        ir.Conv("dense0", rng.choice([-1, 1], (5, 1, 1, 64)), ir.BIPOLAR),
        ir.Scores("scores", np.arange(5)),
    )
    return ir.IntegerNetwork("small", (5, 5, 1), layers)


def design():
    folds = (Fold(2, 1), Fold(1, 4))
    return Design.assemble(
        network(), folds, in_lanes=1, out_lanes=1, board=None, clock=DEFAULT_CLOCK
    )


def frames(count):
    return np.random.default_rng(2).integers(0, 256, (count, 5, 5, 1)).astype(np.uint8)


def turn_weight_bit(folder, layer, word=0, bit=0):
    """Turn a bit of a weight word that the Verilog of a folder holds; give its line."""
    (path,) = folder.glob("*.v")
    text = path.read_text()
    start = re.search(rf"^module \w+_{layer}_array_rom\(", text, re.MULTILINE).start()
    place = re.compile(rf"memory\[{word}\] = (\d+)'h([0-9a-f]+);").search(text, start)
    value = int(place[2], 16) ^ 1 << bit
    path.write_text(
        f"{text[: place.start()]}memory[{word}] = {place[1]}'h{value:0{len(place[2])}x};"
        f"{text[place.end() :]}"
    )
    return text.count("\n", 0, place.start()) + 1
