"""The folding with the fewest lanes, and folding files."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.errors import BadInput
from xnorflow.folding import folding_file, narrowest, stream_lanes
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold, Reduction


def network(*channels: int, classes: int = 3) -> ir.IntegerNetwork:
    """Build 1 x 1 convolutions on 4 x 4 pixels, a pool after the first, and a dense layer."""
    layers: list[ir.Layer] = []
    before = channels[0]
    for k, after in enumerate(channels[1:]):
        layers.append(ir.Conv(f"conv{k}", np.ones((after, 1, 1, before), np.int64), ir.BIPOLAR))
        layers.append(ir.Threshold(f"sign{k}", np.zeros((after, 1), np.int64), ir.BIPOLAR))
        if k == 0:
            layers.append(ir.MaxPool("pool", ir.Window((2, 2), (2, 2)), np.zeros(after, bool)))
        before = after
    layers.append(ir.Flatten("flat"))
    layers.append(ir.Conv("dense", np.ones((classes, 1, 1, 4 * before), np.int64), ir.BIPOLAR))
    layers.append(ir.Scores("scores", np.zeros(classes, np.int64)))
    return ir.IntegerNetwork("net", (4, 4, channels[0]), tuple(layers))


def lanes(f: Fold) -> int:
    return f.pe * f.simd


def every_fold(part: Reduction) -> list[Fold]:
    if isinstance(part.layer, ir.Conv):
        widths = product(range(1, part.out_channels + 1), range(1, part.inp.channels + 1))
        return [Fold(*pair) for pair in widths]
    return [Fold(n, n) for n in range(1, part.inp.channels + 1)]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 400), st.integers(1, 9))
def test_no_folding_that_is_fast_enough_has_fewer_lanes(
    inputs: int, outputs: int, cycles: int, before: int
) -> None:
    for part in reductions(network(inputs, outputs)):
        found = narrowest.fold_reduction(part, cycles, before)
        fast = [f for f in every_fold(part) if part.cycles(f) <= cycles]
        if found is None:
            assert not fast
            continue
        assert found in fast
        if isinstance(part.layer, ir.Conv):
            assert lanes(found) == min(map(lanes, fast))
            assert found.simd == max(f.simd for f in fast if lanes(f) == lanes(found))
        else:
            # A pool that is fast enough with the lanes before it needs no gearbox.
            needed = min(f.simd for f in fast)
            fits = needed <= before <= part.inp.channels
            assert found.simd == (before if fits else needed)


@given(
    st.integers(2, 6), st.integers(1, 4), st.integers(1, 4), st.integers(1, 200), st.integers(1, 9)
)
def test_no_folding_of_groups_has_fewer_lanes(
    groups: int, inputs: int, outputs: int, cycles: int, before: int
) -> None:
    weights = np.ones((groups * outputs, 1, 1, inputs), np.int64)
    layers = (
        ir.Conv("conv", weights, ir.BIPOLAR, groups=groups),
        *network(groups * outputs).layers,
    )
    part = reductions(ir.IntegerNetwork("net", (2, 2, groups * inputs), layers))[0]

    def fits(fold: Fold) -> bool:
        try:
            part.check(fold)
        except BadInput:
            return False
        return True

    widths = product(range(1, part.out_channels + 1), range(1, part.inp.channels + 1))
    every = [fold for fold in (Fold(*pair) for pair in widths) if fits(fold)]
    assert set(narrowest.foldings(part, 1)) <= set(every)
    fast = [f for f in every if part.cycles(f) <= cycles]
    found = narrowest.fold_reduction(part, cycles, before)
    if found is None:
        assert not fast and cycles < narrowest.fastest(part)
        return
    assert found in fast
    assert part.lanes(found) == min(map(part.lanes, fast))
    assert narrowest.fastest(part) == min(map(part.cycles, every)) == 4


def test_cycles_of_groups_are_counted_by_hand() -> None:
    layers = (
        ir.Conv("conv", np.ones((12, 3, 3, 2), np.int64), ir.BIPOLAR, ir.Window((3, 3)), groups=4),
        *network(12).layers,
    )
    part = reductions(ir.IntegerNetwork("net", (4, 4, 8), layers))[0]
    windows = 2 * 2 * 9
    assert part.cycles(Fold(1, 1)) == windows * 12 * 2
    assert part.cycles(Fold(3, 1)) == windows * 4 * 2
    assert part.cycles(Fold(3, 2)) == windows * 4
    assert part.cycles(Fold(9, 6)) == windows * 2
    assert part.cycles(Fold(12, 8)) == windows
    assert [part.lanes(f) for f in (Fold(3, 2), Fold(9, 6), Fold(12, 8))] == [6, 18, 24]


def test_cycles_are_counted_by_hand() -> None:
    conv, pool, dense = reductions(network(5, 7))
    assert conv.cycles(Fold(3, 2)) == 16 * 3 * 3
    assert pool.cycles(Fold(4, 4)) == 4 * 4 * 2
    assert dense.cycles(Fold(2, 10)) == 2 * 3


@given(st.integers(1, 300))
def test_every_layer_meets_the_target_or_the_slowest_is_named(cycles: int) -> None:
    parts = reductions(network(5, 7))
    limit = max(map(narrowest.fastest, parts))
    if cycles < limit:
        with pytest.raises(BadInput, match=rf"layer '(conv0|pool)' needs at least {limit};"):
            narrowest.for_cycles(parts, cycles)
    else:
        folds = narrowest.for_cycles(parts, cycles)
        assert all(p.cycles(f) <= cycles for p, f in zip(parts, folds, strict=True))


@given(st.integers(3, 200))
def test_the_default_target_uses_the_lanes_it_may(budget: int) -> None:
    parts = reductions(network(5, 7))

    def used(cycles: int) -> int:
        folds = narrowest.for_cycles(parts, cycles)
        return sum(
            lanes(f) for p, f in zip(parts, folds, strict=True) if isinstance(p.layer, ir.Conv)
        )

    cycles = narrowest.default_cycles(parts, budget)
    assert used(cycles) <= budget
    assert cycles == max(map(narrowest.fastest, parts)) or used(cycles - 1) > budget


def test_a_file_whose_folding_does_not_fit_groups_is_refused(tmp_path: Path) -> None:
    layers = (
        ir.Conv("grouped", np.ones((6, 1, 1, 2), np.int64), ir.BIPOLAR, groups=3),
        *network(6).layers,
    )
    parts = reductions(ir.IntegerNetwork("net", (2, 2, 6), layers))
    path = write(tmp_path, {"layers": {"grouped": {"pe": 6, "simd": 6}}})
    assert folding_file.read_folding(path, parts)[0] == Fold(6, 6)
    path = write(tmp_path, {"layers": {"grouped": {"pe": 4, "simd": 6}}})
    with pytest.raises(BadInput, match=r"folding.json: layer 'grouped' .* 3 groups of 2 inputs"):
        folding_file.read_folding(path, parts)


def write(folder: Path, content: Any) -> Path:
    path = folder / "folding.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_our_file_folds_the_layers_it_names(tmp_path: Path) -> None:
    parts = reductions(network(5, 7))
    content = {"conv0": {"pe": 2, "simd": 5}, "dense": {"pe": 1, "simd": 4}}
    path = write(tmp_path, {"layers": content})
    conv, pool, dense = folding_file.read_folding(path, parts)
    assert (conv, dense) == (Fold(2, 5), Fold(1, 4))
    assert parts[1].cycles(pool) <= max(parts[0].cycles(conv), parts[2].cycles(dense))


def test_layers_may_be_named_as_messages_show_them(tmp_path: Path) -> None:
    parts = reductions(network(5, 7))
    content = {"conv0": {"PE": 2, "SIMD": 5}, "dense": {"pe": 1, "simd": 4}}
    wrapped = folding_file.read_folding(write(tmp_path, {"layers": content}), parts)
    assert folding_file.read_folding(write(tmp_path, content), parts) == wrapped
    listed = [{"name": name, **entry} for name, entry in content.items()]
    assert folding_file.read_folding(write(tmp_path, {"layers": listed}), parts) == wrapped


def test_the_folding_of_a_compiled_design_can_be_used_again(tmp_path: Path) -> None:
    net = network(5, 7)
    design = compile_network(net, cycles=90)
    path = write(tmp_path, json.loads(json.dumps(design.summary())))
    assert folding_file.read_folding(path, reductions(net)) == design.folds


def test_our_file_may_ask_for_several_pixels(tmp_path: Path) -> None:
    parts = reductions(network(5, 7))
    path = write(tmp_path, {"layers": {"conv0": {"pe": 2, "simd": 5, "pixels": 3}}})
    conv, pool, dense = folding_file.read_folding(path, parts)
    assert conv == Fold(2, 5, 3) and pool.pixels == dense.pixels == 1
    assert parts[0].cycles(conv) == 4 * 2 * 4  # A row has two groups of pixels.


@pytest.mark.parametrize(
    ("layer", "pixels", "message"),
    [
        ("conv0", 0, "needs PE and SIMD and pixels as whole numbers from 1"),
        ("conv0", True, "needs PE and SIMD and pixels as whole numbers from 1"),
        ("conv0", 5, "layer 'conv0' cannot compute 5 pixels at once: its output rows have 4"),
        ("dense", 2, "layer 'dense' cannot compute 2 pixels at once: its output rows have 1"),
        ("pool", 2, "layer 'pool' cannot compute 2 pixels at once: it is a pool"),
    ],
)
def test_pixels_that_no_engine_can_have_are_refused(
    tmp_path: Path, layer: str, pixels: int, message: str
) -> None:
    path = write(tmp_path, {"layers": {layer: {"pe": 1, "simd": 1, "pixels": pixels}}})
    with pytest.raises(BadInput, match=message):
        folding_file.read_folding(path, reductions(network(5, 7)))


@pytest.mark.parametrize(
    "name",
    [
        "MatrixVectorActivation_{}",
        "MVAU_hls_{}",
        "MVAU_rtl_{}",
        "StreamingFCLayer_Batch_{}",
    ],
)
def test_finns_file_is_read_in_order_of_its_numbers(tmp_path: Path, name: str) -> None:
    parts = reductions(network(5, 7, 6, 5, 4, 3, 4, 5, 6, 7, 8))
    convs = [p for p in parts if isinstance(p.layer, ir.Conv)]
    assert len(convs) == 11  # With 11 engines, _10 has to follow _9 and not _1.
    content: dict[str, Any] = {
        name.format(k): {"PE": p.out_channels, "SIMD": 1 + k % p.inp.channels, "mem_mode": "const"}
        for k, p in reversed(list(enumerate(convs)))
    }
    content["Defaults"] = {}
    content["ConvolutionInputGenerator_0"] = {"SIMD": 3}
    folds = folding_file.read_folding(write(tmp_path, content), parts)
    for k, part in enumerate(convs):
        assert folds[parts.index(part)] == Fold(part.out_channels, 1 + k % part.inp.channels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a folding file"),
        ("[1]", "holds no JSON object"),
        (
            {"layers": {"conv9": {"pe": 1, "simd": 1}}},
            "layer 'conv9', which the network does not have; its layers are conv0, pool, dense",
        ),
        ({"layers": {"conv0": 3}}, "'conv0' is not an object such as"),
        ({"layers": {"conv0": {"pe": 1}}}, "'conv0' needs PE and SIMD as whole numbers from 1"),
        ({"layers": {"conv0": {"pe": 0, "simd": 1}}}, "as whole numbers from 1"),
        ({"layers": {"conv0": {"pe": True, "simd": 1}}}, "as whole numbers from 1"),
        ({"layers": {"conv0": {"pe": 1.0, "simd": 1}}}, "as whole numbers from 1"),
        ({"layers": {"conv0": {"pe": 8, "simd": 1}}}, "'conv0' cannot have PE 8 and SIMD 1"),
        ({"layers": {"pool": {"pe": 3, "simd": 2}}}, "'pool' is a pool, so its PE and SIMD have"),
        ("[" * 100_000, "is not a folding file"),
        (
            {"MVAU_0": {"PE": 1, "SIMD": 1}},
            "1 of FINN's engines, but the network has 2 layers with weights: conv0, dense",
        ),
        ({}, "entries for 0 of FINN's engines"),
        ({"layers": {}}, "no entry for any layer; the network's layers are conv0, pool, dense"),
        ({"layers": []}, "no entry for any layer"),
        ({"layers": [3, {"pe": 1}]}, "names layer 'None'"),
        ({"layers": 3}, "entries for 0 of FINN's engines"),
        ({"conv0": {"pe": 1, "simd": 1}, "x": 3}, "names layer 'x', .*its layers are conv0"),
        ({"layers": {"conv0": {"pe": 1 << 80, "simd": 1}}}, "as whole numbers from 1"),
        ('{"layers": {"conv0": {"pe": NaN, "simd": 1}}}', "it holds NaN"),
        ({"MVAU_" + "9" * 5000: {}, "MVAU_1": {}}, "not an object|as whole numbers from 1"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        folding_file.read_folding(write(tmp_path, content), reductions(network(5, 7)))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "folding.json")
    with pytest.raises(BadInput, match="is not a folding file: it is no regular file"):
        folding_file.read_folding(tmp_path / "folding.json", reductions(network(5, 7)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a folding file: .*No such file"):
        folding_file.read_folding(tmp_path / "none.json", reductions(network(5, 7)))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(1, 400))
def test_input_lanes_are_enough(group: int, groups: int, simd: int, cycles: int) -> None:
    frame = group * groups
    found = stream_lanes.input_lanes(group, frame, Fold(1, min(simd, group)), cycles)
    assert 1 <= found <= group
    beats = groups * -(-group // found)
    assert beats <= cycles or found == group


@pytest.mark.parametrize(
    ("simd", "cycles", "lanes"),
    [
        (3, 512, 3),
        (16, 512, 8),
        (98, 512, 7),
        (49, 112, 7),
        # Too slow with 7, and no divisor from 4 to 8.
        (98, 111, 8),
        (22, 512, 8),
    ],
)
def test_beats_are_put_side_by_side_where_that_is_fast_enough(simd, cycles, lanes):
    assert stream_lanes.input_lanes(784, 784, Fold(1, simd), cycles) == lanes
