"""What becomes of ensembles, committees, cores, layers side by side and sums of convolutions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.bench import check
from tests.small_graphs import network, table
from tests.strategies import Case

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.folding import narrowest
from xnorflow.ir.layer_graph import with_inputs
from xnorflow.merge.merging import PASSES, merged, merging_steps
from xnorflow.merge.plain_layers import is_plain
from xnorflow.merge.weight_blocks import blocks_of
from xnorflow.merge.worth import cost, worthwhile
from xnorflow.plan.layer_rules import reductions
from xnorflow_sim import golden

from .networks import (
    beside,
    committee,
    conv,
    cores,
    ensemble,
    every,
    pick,
    signs,
    ternary_sums,
    weighted,
)

NETWORKS = {f.__name__: f for f in (ensemble, committee, cores, beside, ternary_sums)}


def frames(net: ir.IntegerNetwork, count: int = 20) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *net.shape)).astype(np.uint8)


def same_scores(before: ir.IntegerNetwork, after: ir.IntegerNetwork) -> None:
    x = frames(before)
    want = golden.run(before, x)
    assert len(np.unique(want)) > 1
    assert (golden.run(after, x) == want).all()


def kinds(net: ir.IntegerNetwork) -> list[str]:
    return [layer.kind for layer in net.layers]


def by_name(net: ir.IntegerNetwork, name: str) -> ir.Layer:
    return next(layer for layer in net.layers if layer.name == name)


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_stay_and_the_estimate_agrees(name: str) -> None:
    net = NETWORKS[name]()
    made = merged(net)
    assert len(made.layers) < len(net.layers)
    same_scores(net, made)
    for cycles in (100, 1000):
        before, after = cost(net, cycles), cost(made, cycles)
        assert before is None or (after is not None and after <= before)


@pytest.mark.parametrize("flat", [True, False])
def test_an_ensemble_is_a_chain_of_groups(flat: bool) -> None:
    net = ensemble(flat=flat)
    made = merged(net, every)
    assert made.chain
    expected = ["input", "conv", "threshold", "conv", "threshold", "maxpool"]
    assert kinds(made) == [*expected, *(["flatten"] if flat else []), "conv", "scores"]
    first, second = by_name(made, "a0"), by_name(made, "b0")
    assert isinstance(first, ir.Conv) and len(first.weights) == 12
    assert isinstance(second, ir.Conv) and second.groups == 3
    last = by_name(made, "last0")
    assert isinstance(last, ir.Conv) and last.groups == 1
    # The factors of the sum are in the weights.
    assert set(np.unique(abs(last.weights))) == {1, 2}
    (note,) = made.notes
    assert note == "Merged: a0, a1 and a2 and what follows each are one chain, of 3 groups."
    assert by_name(net, "a1").sources <= first.sources
    same_scores(net, made)


def test_members_whose_maps_are_flattened_keep_their_groups() -> None:
    net = ensemble()
    layers = with_inputs(net)
    at = next(k for k, x in enumerate(layers) if x.name == "add")
    for k in range(3):
        layers.insert(at, signs(f"vote{k}", 3, inputs=(f"last{k}",)))
    votes = tuple(f"vote{k}" for k in range(3))
    layers[at + 3 :] = [ir.Concat("concat", 2, inputs=votes), conv("end", 9, 3, 1)]
    layers.append(net.layers[-1])
    net = replace(net, layers=tuple(layers))
    made = merged(net, every)
    assert made.chain and "flatten" not in kinds(made)
    last = by_name(made, "last0")
    assert isinstance(last, ir.Conv)
    assert last.window.kernel == (2, 2) and last.groups == 3 and last.weights.shape == (9, 2, 2, 6)
    same_scores(net, made)


def test_votes_are_summed_in_groups_of_interleaved_channels() -> None:
    net = committee()
    made = merged(net, every)
    assert kinds(made) == ["input", "conv", "threshold", "conv", "scores"]
    votes = by_name(made, "votes")
    assert isinstance(votes, ir.Conv)
    assert votes.groups == 3 and votes.weights.shape == (3, 1, 1, 5) and (votes.weights == 1).all()
    same_scores(net, made)


def test_cores_become_groups_and_the_cuts_vanish() -> None:
    net = cores()
    made = merged(net, every)
    assert kinds(made) == ["input", "conv", "threshold", "conv", "scores"]
    core = by_name(made, "core0")
    assert isinstance(core, ir.Conv) and core.groups == 3 and core.alphabet == ir.BIPOLAR
    same_scores(net, made)


def test_cores_with_zeros_for_what_they_do_not_read() -> None:
    rng = np.random.default_rng(2)
    layers: list[ir.Layer] = [table()]
    for k in range(4):
        weights = np.zeros((3, 8), np.int64)
        weights[:, 2 * k : 2 * k + 2] = rng.choice([-1, 1], (3, 2))
        layers += [weighted(f"core{k}", weights, inputs=("input",)), signs(f"s{k}", 3)]
    layers += [
        ir.Concat("concat", 2, inputs=tuple(f"s{k}" for k in range(4))),
        conv("last", 12, 3, 1),
        ir.Scores("scores", np.array([0, 5, -7])),
    ]
    net = network((1, 1, 8), *layers)
    made = merged(net, every)
    core = by_name(made, "core0")
    assert isinstance(core, ir.Conv) and core.groups == 4 and core.alphabet == ir.BIPOLAR
    same_scores(net, made)


def test_neighbours_side_by_side_are_one_layer() -> None:
    net = beside()
    made = merged(net, every)
    assert kinds(made).count("conv") == 3
    assert by_name(made, "concat").inputs == ("s1", "s3")
    assert "Merged: one and two and what follows each are one chain." in made.notes
    same_scores(net, made)
    layers = with_inputs(net)
    swapped = [replace(x, inputs=("s1", "s3", "s2")) if x.name == "concat" else x for x in layers]
    apart = replace(net, layers=tuple(swapped))
    assert merged(apart, every).digest == apart.digest


def test_sums_of_convolutions_are_one_with_their_factors() -> None:
    net = ternary_sums()
    made = merged(net, every)
    found = by_name(made, "coarse")
    assert isinstance(found, ir.Conv)
    before = [by_name(net, name) for name in ("coarse", "fine")]
    factors = np.array([1, -1, 1, 3])[:, None, None, None]
    assert (found.weights == 2 * before[0].weights + factors * before[1].weights).all()
    total = by_name(made, "add")
    assert isinstance(total, ir.Add) and total.inputs == ("coarse", "s")
    assert total.multiply.tolist() == [[1] * 4, [5] * 4]
    assert "Merged: coarse and fine are one convolution, with their sums." in made.notes
    same_scores(net, made)


@pytest.mark.parametrize("other", ["window", "codes", "padding", "reader"])
def test_what_differs_stays_apart(other: str) -> None:
    net = beside()
    changed = []
    for x in with_inputs(net):
        match other, x.name:
            case "window", "two":
                assert isinstance(x, ir.Conv)
                window = ir.Window((1, 1), pads=(0, 0, 0, 0), dilation=(2, 2))
                x = replace(x, window=window)
            case "codes", "s2":
                assert isinstance(x, ir.Threshold)
                x = replace(x, alphabet=ir.UNIPOLAR)
            case "padding", ("one" | "two"):
                assert isinstance(x, ir.Conv)
                around = ((0, 0), (1, 1), (1, 1), (0, 0))
                window = ir.Window((3, 3), pads=(1, 1, 1, 1))
                pad = 1 if x.name == "one" else 2
                weights = np.pad(x.weights, around, constant_values=1)
                x = replace(x, weights=weights, window=window, pad_value=pad)
            case "reader", "concat":
                assert isinstance(x, ir.Concat)
                x = replace(x, inputs=("s1", "s2", "s3", "s1", "s2"))
            case "reader", "last":
                x = replace(conv("last", 18 * 16, 3, 1), inputs=x.inputs)
        changed.append(x)
    apart = replace(net, layers=tuple(changed))
    assert len(frames(apart)) and golden.run(apart, frames(apart)).any()
    assert merged(apart, every).digest == apart.digest


def test_layers_that_change_nothing_vanish() -> None:
    flat = replace(cores(), layers=(table(), ir.Flatten("flat"), *cores().layers[1:]))
    read = with_inputs(flat)
    layers = [replace(x, inputs=("flat",)) if x.name.startswith("part") else x for x in read]
    made = merged(replace(flat, layers=tuple(layers)), every)
    assert kinds(made) == ["input", "conv", "threshold", "conv", "scores"]


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (pick("pick", 0, 4, 4), True),
        (pick("pick", 0, 3, 4), False),
        (weighted("turn", np.eye(4)[::-1]), False),
        (ir.Conv("lanes", np.ones((4, 1, 1, 1), np.int64), ir.UNIPOLAR, groups=4), True),
        (ir.MaxPool("pool", ir.Window(), np.zeros(4, bool)), True),
        (ir.SumPool("pool", ir.Window((2, 1))), False),
        (ir.Flatten("flat"), False),
        (ir.Stretch("stretch", (1, 1), "zeros"), True),
        (ir.Stretch("stretch", (1, 1), "zeros", (0, 0, 1, 0)), False),
        (ir.Add("add", np.ones((1, 4), np.int64)), True),
        (ir.Add("add", np.full((1, 1), 2)), False),
        (ir.Maximum("max", np.ones((1, 1), np.int64)), True),
        (ir.AddMap("map", np.zeros((1, 1, 1), np.int64)), True),
        (ir.AddMap("map", np.ones((1, 1, 1), np.int64)), False),
        (ir.Concat("concat", 0), True),
        (signs("s", 4), False),
    ],
)
def test_which_layers_change_nothing(layer: ir.Layer, plain: bool) -> None:
    assert is_plain(layer, ir.Features(2, 3, 4, ir.TERNARY)) is plain


def test_a_copy_stays_that_a_tail_acts_on() -> None:
    net = network(
        (1, 1, 4),
        table(),
        conv("stem", 4, 4, 1),
        ir.Add("copy", np.ones((1, 1), np.int64)),
        signs("s", 4),
        ir.Add("add", np.ones((2, 1), np.int64), inputs=("s", "stem")),
        conv("last", 4, 3, 1),
        ir.Scores("scores", np.array([0, 5, -7])),
    )
    assert merged(net, every).digest == net.digest


def test_blocks_within_groups() -> None:
    weights = np.zeros((8, 2, 1, 4), np.int64)
    for first in (0, 4):
        weights[first : first + 2, :, :, :2] = 3
        weights[first + 2 : first + 4, :, :, 2:] = -1
    made = blocks_of(ir.Conv("c", weights, ir.Alphabet(-4, 1, 8), ir.Window((2, 1)), groups=2))
    assert made is not None and made.groups == 4
    assert made.weights.shape == (8, 2, 1, 2)
    assert made.weights[:, 0, 0, 0].tolist() == [3, 3, -1, -1] * 2
    assert blocks_of(made) is None


def test_a_merge_that_would_cost_more_is_left() -> None:
    """A layer of single bits would have to have the many planes of its neighbour's weights."""
    rng = np.random.default_rng(1)
    wide = rng.integers(-120, 120, (64, 256))
    net = network(
        (1, 1, 256),
        ir.InputTable("input", np.arange(256)[None] >> 7, ir.BIPOLAR),
        weighted("wide", wide, inputs=("input",)),
        signs("s1", 64),
        conv("narrow", 256, 256, 1, inputs=("input",)),
        signs("s2", 256),
        ir.Concat("concat", 2, inputs=("s1", "s2")),
        conv("last", 320, 3, 1),
        ir.Scores("scores", np.array([0, 5, -7])),
    )
    assert len(merged(net, every).layers) < len(net.layers)
    assert merged(net).digest == net.digest


def test_worth_is_a_matter_of_speed_too() -> None:
    net = committee()
    assert worthwhile(net, merged(net, every))
    assert not worthwhile(merged(net, every), net)
    fastest = max(narrowest.fastest(part) for part in reductions(net))
    assert cost(net, fastest) is not None and cost(net, fastest - 1) is None


def test_the_passes_come_in_order_and_then_only_those_that_change_something() -> None:
    steps = [step.name for step, _ in merging_steps(cores(), every)]
    names = [step.name for step in PASSES]
    assert steps[: len(names)] == names
    assert steps[len(names) :] == ["drop_plain"]


@pytest.mark.parametrize("name", ["ensemble", "committee", "cores"])
def test_merged_hardware_equals_the_golden_model(name: str) -> None:
    made = merged(NETWORKS[name](), every)
    parts = reductions(made)
    cycles = max(100, *(narrowest.fastest(part) for part in parts))
    check(Case(made, narrowest.for_cycles(parts, cycles), 1, 1, frames(made, 2)))


@pytest.mark.rtl
def test_a_merged_ensemble_in_verilog() -> None:
    net = ensemble()
    made = merged(net)
    assert made.chain
    x = frames(net, 8)
    run = compile_network(made, cycles=200).simulate(x, stalls=(0.3, 0.3))
    assert (run.scores == golden.run(net, x)).all()
