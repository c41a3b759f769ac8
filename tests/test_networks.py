"""Whole networks, drawn at random: golden model, hardware and schedule agree on every beat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.mapping import Fold, accelerator

from .bench import check, check_schedule
from .strategies import Case, cases

quiet = {"deadline": None, "derandomize": True, "database": None,
         "suppress_health_check": list(HealthCheck)}


@settings(max_examples=25, **quiet)
@given(cases(frames=3))
def test_hardware_equals_golden_model_and_schedule(case: Case) -> None:
    check(case)


@settings(max_examples=300, **quiet)
@given(cases(frames=1))
def test_interval_reaches_its_bound(case: Case) -> None:
    check_schedule(case)


def case(shape: tuple[int, int, int], *layers: ir.Layer, folds: list[tuple[int, int]],
         lanes: tuple[int, int] = (1, 1), frames: int = 3) -> Case:
    rng = np.random.default_rng(5)
    x = rng.integers(0, 256, (frames, *shape)).astype(np.uint8)
    return Case(ir.IntegerNetwork("net", shape, layers), tuple(Fold(*f) for f in folds), *lanes, x)


def bipolar(*shape: int) -> ir.Ints:
    return np.random.default_rng(sum(shape)).choice([-1, 1], shape)


def halves(name: str, channels: int) -> ir.InputTable:
    return ir.InputTable(name, np.repeat([[0, 1]], 128, 1) * np.ones((channels, 1), int),
                         ir.BIPOLAR)


def scores(classes: int) -> ir.Scores:
    return ir.Scores("scores", np.arange(classes))


def test_sums_that_no_threshold_follows_leave_unused_lanes_empty() -> None:
    check(case(
        (2, 2, 1), halves("samples", 1),
        ir.Conv("first", bipolar(7, 1, 1, 1), ir.BIPOLAR),  # Channel 7 of three lanes is unused.
        ir.Conv("second", bipolar(2, 2, 2, 7), ir.BIPOLAR, ir.Window((2, 2))), scores(2),
        folds=[(3, 1), (1, 3)],
    ))


def test_a_reset_empties_the_gearbox() -> None:
    check(case(
        (6, 5, 2), ir.Flatten("flat"), ir.Conv("dense", bipolar(6, 1, 1, 60), ir.BIPOLAR),
        scores(6), folds=[(4, 41)], lanes=(4, 4),
    ), thorough=True)


def test_a_gearbox_may_set_the_interval() -> None:
    tight = case(
        (6, 3, 3), ir.Flatten("flat"), ir.Conv("dense", bipolar(3, 1, 1, 54), ir.BIPOLAR),
        scores(3), folds=[(2, 13)], lanes=(5, 2),
    )
    spec = accelerator(tight.net, tight.folds, in_lanes=5, out_lanes=2)
    assert max(spec.input.beats, *(s.buffer.cycles for s in spec.stages)) == 11
    # The last input beat completes two output beats.
    assert check_schedule(tight) == (12, "dense input")
    check(tight)


def test_a_queue_waits_for_a_gearbox() -> None:
    check(case(
        (7, 1, 3), ir.Conv("conv", bipolar(7, 2, 1, 3), ir.BIPOLAR, ir.Window((2, 1), (3, 1))),
        ir.SumPool("pool", ir.Window((2, 1))), scores(7), folds=[(6, 3), (2, 2)], lanes=(8, 1),
    ))


def test_a_code_may_be_constant() -> None:
    check(case(
        (2, 2, 3), ir.Conv("conv", bipolar(3, 1, 1, 3), ir.BIPOLAR),
        ir.Threshold("always", np.zeros((3, 0), np.int64), ir.Alphabet(5, 1, 1)),
        ir.SumPool("pool", ir.Window((2, 2))), scores(3), folds=[(2, 2), (2, 2)],
    ))


def test_a_window_of_padding_alone_counts() -> None:
    w = ir.Window((1, 1), (1, 1), (1, 1), (2, 1, 0, 1))
    check(case(
        (2, 2, 2), halves("samples", 2), ir.Conv("conv", bipolar(3, 1, 1, 2), ir.BIPOLAR, w, 1),
        ir.Conv("all", bipolar(2, 4, 4, 3), ir.BIPOLAR, ir.Window((4, 4))), scores(2),
        folds=[(2, 1), (1, 2)],
    ))


@pytest.mark.parametrize("end", [ir.SumPool, ir.Conv])
def test_a_score_of_padding_alone_is_refused(end: type[ir.Layer]) -> None:
    """Its hardware would answer before it is asked."""
    above = ir.Window((1, 1), (2, 1), (1, 1), (1, 0, 0, 0))
    layers: list[ir.Layer] = [ir.Conv("conv", bipolar(3, 1, 1, 2), ir.BIPOLAR, above)]
    if end is ir.SumPool:
        layers = [ir.Conv("conv", bipolar(3, 1, 1, 2), ir.BIPOLAR,
                          ir.Window((1, 1), (1, 1), (1, 1), (1, 0, 0, 0))),
                  ir.Flatten("flat"), ir.SumPool("pool", ir.Window())]
    net = case((1, 1, 2), *layers, scores(6 if end is ir.SumPool else 3), folds=[]).net
    with pytest.raises(UnsupportedModel, match="padding"):
        accelerator(net, [Fold(1, 1)] * (len(layers) - (end is ir.SumPool)), in_lanes=1)
