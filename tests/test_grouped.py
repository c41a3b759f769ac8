"""Grouped and depthwise convolutions: every kind of folding, in golden model and hardware."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow.graph.ops import widened
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow_hw.spec import DotSpec

from .bench import check, check_verilog, design
from .hw.verilog import lint
from .strategies import Case

SAME = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))


def network(
    channels: int,
    out: int,
    groups: int,
    *,
    window: ir.Window = SAME,
    pad: int = 0,
    weights: ir.Alphabet = ir.BIPOLAR,
    codes: ir.Alphabet = ir.BIPOLAR,
    levels: ir.Alphabet = ir.BIPOLAR,
    size: tuple[int, int] = (4, 5),
) -> ir.IntegerNetwork:
    """Build a grouped layer between an input table and a dense layer."""
    rng = np.random.default_rng(channels * out + groups)
    drawn = rng.integers(0, weights.levels, (out, *window.kernel, channels // groups))
    layers = [
        ir.InputTable("samples", rng.integers(0, codes.levels, (channels, 256)), codes),
        ir.Conv("layer", weights.values(drawn), weights, window, pad, groups),
    ]
    sums = ir.IntegerNetwork("net", (*size, channels), tuple(layers)).features[-1]
    steps = rng.integers(-9, 10, (out, levels.levels - 1))
    whole = ir.Window((sums.height, sums.width))
    return ir.IntegerNetwork(
        "net",
        (*size, channels),
        (
            *layers,
            ir.Threshold("steps", np.sort(steps, axis=1), levels),
            ir.Conv("end", rng.choice([-1, 1], (3, *whole.kernel, out)), ir.BIPOLAR, whole),
            ir.Scores("scores", np.arange(3)),
        ),
    )


def cased(net: ir.IntegerNetwork, fold: Fold, frames: int = 3) -> Case:
    x = np.random.default_rng(8).integers(0, 256, (frames, *net.shape)).astype(np.uint8)
    end = reductions(net)[1]
    return Case(net, (fold, Fold(end.out_channels, min(5, end.inp.channels))), 1, 1, x)


FOLDS = {
    "depthwise, one at a time": (network(6, 6, 6), Fold(1, 1)),
    "depthwise, some at once": (network(6, 6, 6), Fold(3, 3)),
    "depthwise, a last word with empty lanes": (network(7, 7, 7), Fold(3, 3)),
    "depthwise, all at once": (network(6, 6, 6), Fold(6, 6)),
    "a multiplier, output by output": (network(4, 12, 4), Fold(1, 1)),
    "a multiplier, all outputs of a group": (network(4, 12, 4), Fold(3, 1)),
    "a multiplier, several groups": (network(5, 15, 5), Fold(6, 2)),
    "groups, a part of one": (network(8, 6, 2), Fold(1, 2)),
    "groups, one in several passes": (network(8, 12, 2), Fold(2, 4)),
    "groups, one in several words": (network(8, 6, 2), Fold(3, 1)),
    "groups, one whole": (network(8, 6, 2), Fold(3, 4)),
    "groups, several with a rest": (network(10, 15, 5), Fold(6, 4)),
    "groups, all": (network(8, 6, 2), Fold(6, 8)),
    "padding of a value": (network(4, 4, 4, pad=1), Fold(2, 2)),
    "several pixels, one group": (network(4, 8, 2, pad=-1), Fold(2, 1, 3)),
    "several pixels, several groups": (network(5, 5, 5, pad=-1), Fold(2, 2, 2)),
    "several pixels, all groups": (network(5, 5, 5, pad=-1), Fold(5, 5, 4)),
    "a stride": (
        network(4, 8, 4, window=ir.Window((3, 3), (2, 2), (1, 1), (1, 1, 1, 1))),
        Fold(4, 2),
    ),
    "windows of one beat": (network(6, 12, 3, window=ir.Window()), Fold(8, 4)),
    "codes and weights of several bits": (
        network(
            6, 6, 6, weights=ir.Alphabet(-2, 1, 4), codes=ir.Alphabet(0, 1, 8), levels=ir.TERNARY
        ),
        Fold(4, 4),
    ),
    "ternary weights in words of several lanes": (
        network(6, 6, 2, weights=ir.TERNARY, codes=ir.Alphabet(0, 1, 4), levels=ir.TERNARY),
        Fold(1, 3),
    ),
}


@pytest.mark.parametrize("name", FOLDS)
def test_every_kind_of_folding(name: str) -> None:
    check(cased(*FOLDS[name]))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    groups=st.integers(1, 6),
    inputs=st.integers(1, 4),
    outputs=st.integers(1, 4),
    pad=st.integers(-1, 1),
    weights=st.sampled_from([ir.BIPOLAR, ir.TERNARY, ir.Alphabet(-4, 1, 8)]),
    codes=st.sampled_from([ir.BIPOLAR, ir.UNIPOLAR, ir.Alphabet(-3, 2, 4)]),
)
def test_groups_are_zeros_in_a_dense_layer(
    groups: int, inputs: int, outputs: int, pad: int, weights: ir.Alphabet, codes: ir.Alphabet
) -> None:
    """A grouped layer equals the dense one whose weights of other groups are 0, in all it says."""
    net = network(groups * inputs, groups * outputs, groups, pad=pad, weights=weights, codes=codes)
    samples, layer, *rest = net.layers
    assert isinstance(layer, ir.Conv)
    wide = widened(layer.weights, groups)
    dense = ir.Conv("layer", wide, ir.Alphabet(-4, 1, 8), layer.window, pad)
    other = ir.IntegerNetwork("net", net.shape, (samples, dense, *rest))
    x = np.random.default_rng(8).integers(0, 256, (3, *net.shape)).astype(np.uint8)
    np.testing.assert_array_equal(net(x), other(x))
    inp = net.features[1]
    for mine, theirs in zip(layer.bounds(inp.alphabet), dense.bounds(inp.alphabet), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert layer.output(inp) == dense.output(inp)
    assert layer.operations * groups == dense.operations


def test_outputs_depend_on_their_own_group() -> None:
    layer = network(4, 6, 2).layers[1]
    alive = np.zeros((4, 5, 4), np.bool_)
    alive[0, 0, 2] = True
    found = layer.depends(alive)
    assert not found[..., :3].any()
    assert found[:2, :2, 3:].all() and found.sum() == 2 * 2 * 3


@pytest.mark.parametrize(
    ("groups", "fold", "works"),
    [
        (2, Fold(3, 4), True),
        (2, Fold(3, 2), True),
        (2, Fold(3, 3), False),  # 3 does not divide the 4 inputs of a group.
        (2, Fold(2, 4), False),  # 2 does not divide its 3 outputs.
        (2, Fold(6, 8), True),
        (2, Fold(3, 8), False),  # Two groups at once, but the outputs of one.
        (2, Fold(6, 4), False),  # One group at once, but the outputs of two.
        (2, Fold(6, 6), False),  # One group and a half.
        (1, Fold(5, 7), True),
    ],
)
def test_foldings_that_fit_groups(groups: int, fold: Fold, works: bool) -> None:
    part = reductions(network(8, 6, groups))[0]
    if works:
        part.check(fold)
        return
    with pytest.raises(
        BadInput, match=r"2 groups of 4 inputs and 3 outputs.* k \* 4 and PE k \* 3"
    ):
        part.check(fold)


def test_no_weights_of_other_groups_are_stored() -> None:
    net = network(6, 12, 6)
    for fold in (Fold(1, 1), Fold(2, 1), Fold(8, 4), Fold(12, 6)):
        array = accelerator(net, (fold, Fold(1, 1)), in_lanes=1).stages[0].array
        assert isinstance(array, DotSpec)
        kept = array.weight_words * array.word_bits
        assert kept == 9 * -(-12 // fold.pe) * fold.pe


def mobile(width: int = 8) -> ir.IntegerNetwork:
    """Build a binary MobileNet-v1 of random weights for 32 x 32 pixels, cut short."""
    rng = np.random.default_rng(1)
    layers: list[ir.Layer] = [ir.InputTable("samples", np.arange(256)[None] // 128, ir.BIPOLAR)]

    def conv(out: int, kernel: int, stride: int, groups: int) -> None:
        channels = ir.LayerGraph("net", (32, 32, 3), tuple(layers)).features[-1].channels
        pads = kernel // 2
        window = ir.Window((kernel, kernel), (stride, stride), (1, 1), (pads,) * 4)
        shape = (out, kernel, kernel, channels // groups)
        name = f"layer{len(layers)}"
        layers.append(ir.Conv(name, rng.choice([-1, 1], shape), ir.BIPOLAR, window, 0, groups))
        spread = int(np.sqrt(np.prod(shape[1:])))
        steps = rng.integers(-spread, spread + 1, (out, 1))
        layers.append(ir.Threshold(f"{name}_sign", steps, ir.BIPOLAR))

    conv(width, 3, 2, 1)
    for channels, out, stride in ((width, 2 * width, 1), (2 * width, 3 * width, 2)):
        conv(channels, 3, stride, channels)
        conv(out, 1, 1, 1)
    layers += [
        ir.SumPool("pool", ir.Window((8, 8))),
        ir.Conv("classes", rng.choice([-1, 1], (10, 1, 1, 3 * width)), ir.BIPOLAR),
        ir.Scores("scores", np.zeros(10, np.int64)),
    ]
    return ir.IntegerNetwork("mobile", (32, 32, 3), tuple(layers))


@pytest.mark.rtl
def test_a_mobile_network_in_verilator(tmp_path: Path) -> None:
    net = mobile()
    folds = (Fold(8, 3), Fold(4, 4), Fold(8, 8), Fold(5, 5), Fold(8, 16), Fold(1, 1), Fold(1, 4))
    x = np.random.default_rng(2).integers(0, 256, (3, *net.shape)).astype(np.uint8)
    case = Case(net, folds, 3, 1, x)
    check_verilog(case)
    made = design(case)
    lint(made.verilog, tmp_path, top="mobile")
    made.write(tmp_path / "design")
    assert Design.read(tmp_path / "design").net.digest == net.digest


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("board", "form"), [("icebreaker", "recoded"), ("ulx3s-85f", "dense"), ("pynq-z1", "dense")]
)
def test_blocks_of_placed_sums_in_verilator(board: str, form: str) -> None:
    """Groups of many inputs at once, in the forms of sums that a family has."""
    net = network(24, 24, 3, pad=-1)
    made = assembler(net, board, clock_for(board, None))((Fold(16, 16), Fold(3, 8)), 4096)
    array = made.spec.stages[0].array
    assert isinstance(array, DotSpec) and (array.blocks, array.form) == (2, form)
    x = np.random.default_rng(3).integers(0, 256, (4, *net.shape)).astype(np.uint8)
    run = made.simulate(x)  # Compares every score with the golden model.
    assert run.latency == made.latency
