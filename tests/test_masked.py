"""Networks with ternary weights: which arrays they get, and in Verilator each score as expected."""

from __future__ import annotations

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.folding.costs import refolded
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources.summarise import engine_summaries
from xnorflow_hw.spec import DotSpec

UINT2 = ir.Alphabet(0, 1, 4)
FOLDS = (Fold(16, 16), Fold(16, 16), Fold(4, 8, 2), Fold(6, 12), Fold(10, 10))
FRAMES = 6


def network() -> ir.IntegerNetwork:
    """Build a network of ternary layers: zero padding, depthwise, codes of 2 bits, dense."""
    rng = np.random.default_rng(6)
    pads = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))

    def conv(name: str, *shape: int, **options: object) -> ir.Conv:
        return ir.Conv(name, rng.integers(-1, 2, shape), ir.TERNARY, **options)

    def steps(name: str, channels: int, spread: int, alphabet: ir.Alphabet) -> ir.Threshold:
        values = rng.integers(-spread, spread, (channels, alphabet.levels - 1))
        return ir.Threshold(name, np.sort(values, axis=1), alphabet)

    layers = (
        ir.InputTable("samples", np.arange(256)[None] // 128, ir.BIPOLAR),
        conv("first", 16, 3, 3, 16, window=pads),
        steps("sign", 16, 6, ir.BIPOLAR),
        conv("depthwise", 16, 3, 3, 1, window=pads, groups=16),
        steps("codes", 16, 4, UINT2),
        conv("point", 12, 1, 1, 16),
        steps("signs", 12, 5, ir.BIPOLAR),
        ir.Flatten("flat"),
        conv("dense", 10, 1, 1, 300),
        steps("last_signs", 10, 9, ir.BIPOLAR),
        conv("last", 10, 1, 1, 10),
        ir.Scores("scores", rng.integers(-9, 9, 10)),
    )
    return ir.IntegerNetwork("net", (5, 5, 16), layers)


def made(board: str, folds: tuple[Fold, ...] = FOLDS) -> Design:
    """Build the network at a folding for a board."""
    return assembler(network(), board, clock_for(board, None))(folds, 500)


@pytest.mark.parametrize(
    ("board", "forms"),
    [
        ("pynq-z1", ["stored", "tree", "add", "dense", "dense"]),
        ("ulx3s-85f", ["dense", "tree", "add", "dense", "dense"]),
        ("icebreaker", ["dense", "tree", "add", "dense", "dense"]),
        ("tangnano20k", ["dense", "tree", "add", "dense", "dense"]),
    ],
)
def test_all_families_mask_ternary_weights(board: str, forms: list[str]) -> None:
    design = made(board)
    arrays = [stage.array for stage in design.spec.stages]
    for array, form, layer in zip(arrays, forms, design.summary()["layers"], strict=True):
        assert isinstance(array, DotSpec) and array.masked and array.weight_planes == 2
        assert layer["sums"] == f"masked {form}"
        assert layer["rom"]["width"] == 2 * array.pe * array.simd // array.blocks
    parts, device = reductions(design.net), fpga(board)
    for number, have in enumerate(engine_summaries(parts, design.spec)):
        few = tuple(Fold(1, 1) for _ in parts)
        other = engine_summaries(parts, made(board, few).spec)[number]
        priced = refolded(other, parts[number], FOLDS[number], device.family)
        for field in ("masked", "form", "weight_planes", "rom_depth", "rom_width", "blocks"):
            assert getattr(priced, field) == getattr(have, field), field


@pytest.mark.rtl
def test_every_score_in_verilator() -> None:
    """In 7-series form, with weights stored in sums, at full speed and under stalls."""
    design = made("pynq-z1")
    x = np.random.default_rng(1).integers(0, 256, (FRAMES, *design.net.shape)).astype(np.uint8)
    expected = design.net(x)
    assert len(np.unique(expected, axis=0)) > 1
    run = design.simulate(x)
    assert np.array_equal(run.scores, expected)
    assert (run.ii, run.latency) == (design.ii, design.latency)
    stalled = design.simulate(x, stalls=(0.3, 0.3), seed=1)
    assert np.array_equal(stalled.scores, expected)
