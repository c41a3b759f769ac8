"""Layers that look entries of tables up: golden model, cycle model and hardware agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.design.summary import summary
from xnorflow.errors import BadInput
from xnorflow.folding.narrowest import foldings
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold, Reduction

from .bench import check
from .strategies import Case


def network(
    *, tables: int = 3, words: int = 5, pad: int = 0, low: int = 0, out: int = 5, seed: int = 1
) -> ir.IntegerNetwork:
    """Return samples that are tables, lookups in them with negative sums, thresholds and scores."""
    rng = np.random.default_rng(seed)
    codes, channels = ir.Alphabet(low, 2, 13), tables * words
    window = ir.Window((2, 3), (1, 2), (1, 1), (1, 0, 1, 1))
    gather = ir.Gather(
        "lookups",
        rng.integers(0, words, (out, 2, 3, tables)),
        words,
        rng.random(out) < 0.5,
        window,
        pad,
    )
    inp = ir.Features(4, 6, channels, codes)
    sums = gather.output(inp)
    a = sums.alphabet
    steps = np.sort(rng.integers(a.lo // 2, a.hi // 2 + 1, (out, 3)), axis=1)
    whole = ir.Window((sums.height, sums.width))
    layers = (
        ir.InputTable("samples", rng.integers(0, codes.levels, (channels, 256)), codes),
        gather,
        ir.Threshold("codes", steps, ir.Alphabet(0, 1, 4)),
        ir.Conv("last", rng.choice((-1, 1), (3, *whole.kernel, out)), ir.BIPOLAR, whole),
        ir.Scores("scores", np.zeros(3, np.int64)),
    )
    return ir.IntegerNetwork("net", (4, 6, channels), layers)


@pytest.mark.parametrize(
    ("options", "fold"),
    [
        ({}, Fold(2, 5)),
        ({}, Fold(5, 15)),
        ({}, Fold(3, 10)),  # The last word has one table, the last pass two outputs.
        ({"low": 3}, Fold(2, 10)),  # 0 is no code: thresholds know which taps are padded.
        ({"low": -6, "pad": 2}, Fold(1, 10)),
        ({"tables": 1, "words": 7}, Fold(2, 7)),
        ({"tables": 4, "words": 2}, Fold(3, 6)),
    ],
    ids=str,
)
def test_hardware_equals_the_golden_model(options: dict[str, int], fold: Fold) -> None:
    net = network(**options)
    x = np.random.default_rng(5).integers(0, 256, (2, *net.shape)).astype(np.uint8)
    check(Case(net, (fold, Fold(1, 3)), 5, 1, x))


def lookups(net: ir.IntegerNetwork) -> Reduction:
    part = reductions(net)[0]
    assert isinstance(part, Reduction)
    return part


def test_foldings_take_whole_tables() -> None:
    part = lookups(network())
    found = foldings(part)
    assert {f.simd for f in found} == {5, 10, 15} and {f.pixels for f in found} == {1}
    assert {f.pe for f in found} == {1, 2, 3, 5}
    assert part.cycles(Fold(2, 10)) == 5 * 3 * 6 * 3 * 2 and part.lanes(Fold(2, 10)) == 4


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (Fold(1, 7), "SIMD has to be a multiple of 5"),
        (Fold(1, 5, 2), "looks up the entries of one window at a time"),
        (Fold(6, 5), "PE goes from 1 to its 5 output channels"),
    ],
)
def test_other_foldings_are_refused(fold: Fold, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        lookups(network()).check(fold)


def test_a_design_says_what_it_looks_up() -> None:
    design = compile_network(network(), cycles=600)
    layer = summary(design)["layers"][0]
    assert (layer["kind"], layer["tables"], layer["table_words"]) == ("gather", 3, 5)
    tables = layer["simd"] // 5
    assert layer["rom"]["width"] == layer["pe"] * (tables * 3 + 1)
    engine = design.shape.engines[0]
    assert engine.lookups is not None and engine.weights == 5 * 6 * 3
    assert engine.macs == 5 * 3 * engine.weights


def test_sums_that_are_all_positive_need_no_bit_for_it() -> None:
    net = network()
    (at,) = (k for k, layer in enumerate(net.layers) if isinstance(layer, ir.Gather))
    layer = net.layers[at]
    assert isinstance(layer, ir.Gather)
    plain = replace(layer, negative=np.zeros(5, bool))
    net = replace(net, layers=(*net.layers[:at], plain, *net.layers[at + 1 :]))
    entry = summary(compile_network(net, cycles=600))["layers"][0]
    assert entry["rom"]["width"] == entry["pe"] * entry["simd"] // 5 * 3


@pytest.mark.rtl
def test_every_score_in_verilog() -> None:
    net = network(tables=2, words=4)
    design = compile_network(net, cycles=1500)
    x = np.random.default_rng(7).integers(0, 256, (3, *net.shape)).astype(np.uint8)
    assert (design.simulate(x).scores == net(x)).all()
