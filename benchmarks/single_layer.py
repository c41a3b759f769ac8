"""A network of one layer, and what the layer's own stage takes after Yosys and by the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from count_cells import Counts, apart

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.devices.tables import fpga
from xnorflow.plan.reductions import Fold
from xnorflow.resources.engine import EngineSummary
from xnorflow.resources.usage import Resources, engine_resources

LAYER = "layer"
"""Name of the layer."""
WINDOW = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
"""Geometry of the layer: 3 x 3 taps and zero padding."""


def network(
    layer: ir.Conv, thresholds: ir.Ints, size: int, values: ir.Alphabet = ir.BIPOLAR
) -> ir.IntegerNetwork:
    """Build a layer on square frames between an input table and a sum over the frame.

    Parameters
    ----------
    layer : Conv
        The layer.
    thresholds : int64 array [channels, 1]
        Thresholds of its channels.
    size : int
        Height and width of its input.
    values : Alphabet
        Alphabet of its input.
    """
    inputs = layer.weights.shape[-1] * layer.groups
    left = layer.output(ir.Features(size, size, inputs, values)).shape[:2]
    layers = (
        ir.InputTable("samples", np.arange(256)[None] * values.levels // 256, values),
        layer,
        ir.Threshold("sign", thresholds, ir.BIPOLAR),
        ir.SumPool("pool", ir.Window(left)),
        ir.Scores("scores", np.zeros(len(thresholds), np.int64)),
    )
    return ir.IntegerNetwork("net", (size, size, inputs), layers)


@dataclass(frozen=True)
class Measured:
    """The layer's stage at a folding.

    Parameters
    ----------
    engine : EngineSummary
        Its summary.
    parts : dict of str to Counts
        Cells of each of its components after Yosys.
    guess : Resources
        What the model estimates.
    """

    engine: EngineSummary
    parts: dict[str, Counts]
    guess: Resources

    def __str__(self) -> str:
        """Return weight bits, LUT, FF, block RAM and the estimate as columns of a table."""
        lut, ff, ram = (sum(c[name] for c in self.parts.values()) for name in ("lut", "ff", "bram"))
        bits = self.engine.rom_depth * self.engine.rom_width
        return (
            f"{bits:,} | {lut:,} | {ff:,} | {ram} | {self.guess.luts:,.0f}, {self.guess.ffs:,.0f}"
        )


def measured(net: ir.IntegerNetwork, board: str, fold: Fold, cycles: int) -> Measured:
    """Synthesise a network at a folding of its layer, with the components as modules.

    Parameters
    ----------
    net : IntegerNetwork
        From `network`.
    board : str
        Name of a board.
    fold : Fold
        Folding of the layer; the sum behind it has as many lanes as the layer has PE.
    cycles : int
        Most cycles per frame of the streams.
    """
    design = assembler(net, board, clock_for(board, None))((fold, Fold(fold.pe, fold.pe)), cycles)
    found = apart(design, board)
    engine = design.shape.engines[0]
    own = {name: cells for name, cells in found.items() if name.startswith(f"{engine.name}.")}
    return Measured(engine, own, engine_resources(engine, fpga(board).family))
