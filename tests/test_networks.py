"""Whole networks, drawn at random: golden model, hardware and schedule agree on every beat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold

from .bench import check, check_schedule
from .branching import branching_cases
from .strategies import Case, cases

quiet = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=25, **quiet)
@given(cases(frames=3))
def test_hardware_equals_golden_model_and_schedule(case: Case) -> None:
    check(case)


BRANCHING = (ir.Add.__module__, ir.Stretch.__module__)
"""Modules of the layers that only networks that branch have."""
KINDS = [
    kind
    for kind in ir.KINDS.values()
    if kind.__module__.startswith("xnorflow.") and kind.__module__ not in BRANCHING
]


BRANCH_KINDS = [kind for kind in ir.KINDS.values() if kind.__module__ in BRANCHING]


@pytest.mark.parametrize("kind", KINDS + BRANCH_KINDS, ids=lambda kind: kind.__name__)
def test_a_drawn_network_has_a_layer_of_this_kind(kind: type[ir.Layer]) -> None:
    """So every kind is simulated, however seldom it is drawn."""
    check(
        find(
            branching_cases(frames=2) if kind in BRANCH_KINDS else cases(frames=2),
            lambda case: any(isinstance(layer, kind) for layer in case.net.layers),
            settings=settings(max_examples=1000, phases=[Phase.generate], **quiet),
        )
    )


@settings(max_examples=300, **quiet)
@given(cases(frames=1))
def test_interval_reaches_its_bound(case: Case) -> None:
    check_schedule(case)


def case(
    shape: tuple[int, int, int],
    *layers: ir.Layer,
    folds: list[tuple[int, ...]],
    lanes: tuple[int, int] = (1, 1),
    frames: int = 3,
) -> Case:
    rng = np.random.default_rng(5)
    x = rng.integers(0, 256, (frames, *shape)).astype(np.uint8)
    return Case(ir.IntegerNetwork("net", shape, layers), tuple(Fold(*f) for f in folds), *lanes, x)


def bipolar(*shape: int) -> ir.Ints:
    return np.random.default_rng(sum(shape)).choice([-1, 1], shape)


def halves(name: str, channels: int) -> ir.InputTable:
    return ir.InputTable(
        name, np.repeat([[0, 1]], 128, 1) * np.ones((channels, 1), int), ir.BIPOLAR
    )


def scores(classes: int) -> ir.Scores:
    return ir.Scores("scores", np.arange(classes))


def test_a_table_behind_thresholds() -> None:
    rng = np.random.default_rng(2)
    three = ir.Alphabet(0, 1, 3)
    check(
        case(
            (4, 3, 2),
            halves("samples", 2),
            ir.Conv("conv", bipolar(5, 2, 2, 2), ir.BIPOLAR, ir.Window((2, 2))),
            ir.Threshold("intervals", np.tile([-2, 3], (5, 1)), three),
            ir.CodeTable("magnitude", np.tile([1, 0, 1], (5, 1)), ir.BIPOLAR),
            ir.Flatten("flat"),
            ir.Conv("dense", bipolar(4, 1, 1, 30), ir.BIPOLAR),
            ir.Threshold("last", np.tile([-4, 4], (4, 1)), three),
            ir.CodeTable("any", rng.integers(0, 7, (4, 3)), ir.Alphabet(-9, 3, 7)),
            scores(4),
            folds=[(3, 2), (3, 7)],
        )
    )


def test_sums_that_no_threshold_follows_leave_unused_lanes_empty() -> None:
    check(
        case(
            (2, 2, 1),
            halves("samples", 1),
            # 7 channels on 3 lanes leave lanes unused in the last pass.
            ir.Conv("first", bipolar(7, 1, 1, 1), ir.BIPOLAR),
            ir.Conv("second", bipolar(2, 2, 2, 7), ir.BIPOLAR, ir.Window((2, 2))),
            scores(2),
            folds=[(3, 1), (1, 3)],
        )
    )


def test_a_reset_empties_the_gearbox() -> None:
    check(
        case(
            (6, 5, 2),
            ir.Flatten("flat"),
            ir.Conv("dense", bipolar(6, 1, 1, 60), ir.BIPOLAR),
            scores(6),
            folds=[(4, 41)],
            lanes=(4, 4),
        ),
        thorough=True,
    )


def test_a_gearbox_may_set_the_interval() -> None:
    tight = case(
        (6, 3, 3),
        ir.Flatten("flat"),
        ir.Conv("dense", bipolar(3, 1, 1, 54), ir.BIPOLAR),
        scores(3),
        folds=[(2, 13)],
        lanes=(5, 2),
    )
    spec = accelerator(tight.net, tight.folds, in_lanes=5, out_lanes=2)
    assert max(spec.input.beats, *(s.buffer.cycles for s in spec.stages)) == 11
    # The last input beat completes two output beats.
    assert check_schedule(tight) == (12, "dense input")
    check(tight)


def test_a_queue_waits_for_a_gearbox() -> None:
    check(
        case(
            (7, 1, 3),
            ir.Conv("conv", bipolar(7, 2, 1, 3), ir.BIPOLAR, ir.Window((2, 1), (3, 1))),
            ir.SumPool("pool", ir.Window((2, 1))),
            scores(7),
            folds=[(6, 3), (2, 2)],
            lanes=(8, 1),
        )
    )


def test_a_code_may_be_constant() -> None:
    check(
        case(
            (2, 2, 3),
            ir.Conv("conv", bipolar(3, 1, 1, 3), ir.BIPOLAR),
            ir.Threshold("always", np.zeros((3, 0), np.int64), ir.Alphabet(5, 1, 1)),
            ir.SumPool("pool", ir.Window((2, 2))),
            scores(3),
            folds=[(2, 2), (2, 2)],
        )
    )


def test_a_window_of_padding_alone_counts() -> None:
    w = ir.Window((1, 1), (1, 1), (1, 1), (2, 1, 0, 1))
    check(
        case(
            (2, 2, 2),
            halves("samples", 2),
            ir.Conv("conv", bipolar(3, 1, 1, 2), ir.BIPOLAR, w, 1),
            ir.Conv("all", bipolar(2, 4, 4, 3), ir.BIPOLAR, ir.Window((4, 4))),
            scores(2),
            folds=[(2, 1), (1, 2)],
        )
    )


PIXELS = {
    "a last group of one": (ir.Window((3, 3)), (2, 3, 4)),
    "as many as a row has": (ir.Window((3, 3), (1, 1), (1, 1), (1, 0, 1, 0)), (2, 2, 7)),
    "padding around": (ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)), (3, 1, 2)),
    "padding beyond a group": (ir.Window((2, 2), (1, 1), (1, 1), (2, 3, 2, 3)), (1, 3, 2)),
    "a stride": (ir.Window((3, 3), (2, 2)), (2, 2, 3)),
    "a stride of 3 and padding": (ir.Window((3, 4), (1, 3), (1, 1), (0, 2, 0, 2)), (4, 3, 2)),
    "sums that never move": (ir.Window((2, 3), (1, 1), (1, 2), (0, 1, 0, 1)), (2, 1, 2)),
    "sums that move backwards": (ir.Window((2, 3), (1, 1), (2, 3), (1, 1, 1, 1)), (2, 2, 4)),
    "one column": (ir.Window((3, 1)), (1, 1, 5)),
    "windows of one beat": (ir.Window((1, 1)), (3, 3, 3)),
}


BORDERS = [(name, 1) for name in PIXELS] + [
    (name, 0) for name, (window, _) in PIXELS.items() if any(window.pads)
]
"""With a value for padding; 0 is none of the inputs' values, so windows have border classes."""


@pytest.mark.parametrize(("name", "pad"), BORDERS)
def test_several_pixels_at_once(name: str, pad: int) -> None:
    window, fold = PIXELS[name]
    shape = (max(2, window.extent[0] - window.pads[0]), 9 - 2 * (window.stride[1] > 1), 3)
    net = case(
        shape,
        halves("samples", 3),
        ir.Conv("conv", bipolar(7, *window.kernel, 3), ir.BIPOLAR, window, pad),
        folds=[],
    ).net
    rows, columns, _ = net.features[-1].shape
    check(
        case(
            shape,
            *net.layers,
            ir.Threshold("sign", np.arange(-3, 4)[:, None], ir.BIPOLAR),
            ir.SumPool("all", ir.Window((rows, columns))),
            scores(7),
            folds=[fold, (2, 2)],
        )
    )


def test_several_pixels_with_codes_of_several_bits() -> None:
    """Activations and weights of several bits, thresholds of a tail, in two engines."""
    rng = np.random.default_rng(4)
    uint2 = ir.Alphabet(0, 1, 4)
    check(
        case(
            (4, 9, 2),
            ir.InputTable("samples", np.arange(256)[None] // 64, uint2),
            ir.Conv(
                "first",
                rng.integers(-2, 2, (5, 2, 3, 2)),
                ir.Alphabet(-2, 1, 4),
                ir.Window((2, 3), (1, 1), (1, 1), (0, 1, 0, 1)),
                0,
            ),
            ir.Threshold("steps", np.sort(rng.integers(-9, 9, (5, 3)), axis=1), uint2),
            ir.Conv("second", bipolar(3, 3, 2, 5), ir.BIPOLAR, ir.Window((3, 2))),
            ir.SumPool("all", ir.Window((1, 8))),
            scores(3),
            folds=[(2, 1, 4), (2, 3, 3), (1, 1)],
        )
    )


PADDED = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))


@pytest.mark.parametrize(
    ("layer", "fold", "message"),
    [
        (
            ir.Conv("layer", bipolar(3, 3, 3, 2), ir.BIPOLAR, ir.Window((3, 3), (1, 2))),
            (1, 1, 4),
            "4 and its horizontal stride 2 have a common factor",
        ),
        (ir.Conv("layer", bipolar(3, 3, 3, 2), ir.BIPOLAR, PADDED, 1), (1, 1, 13), "rows have 12"),
        (ir.Conv("layer", bipolar(3, 3, 3, 2), ir.BIPOLAR, PADDED, 1), (1, 1, 0), "rows have 12"),
        (ir.MaxPool("layer", ir.Window((2, 2)), np.zeros(2, bool)), (1, 1, 2), "it is a pool"),
    ],
)
def test_pixels_that_an_engine_cannot_have_are_refused(
    layer: ir.Layer, fold: tuple[int, ...], message: str
) -> None:
    net = case((12, 12, 2), halves("samples", 2), layer, folds=[]).net
    *size, channels = net.features[-1].shape
    end = ir.Conv("end", bipolar(2, *size, channels), ir.BIPOLAR, ir.Window(tuple(size)))
    net = case((12, 12, 2), *net.layers, end, scores(2), folds=[]).net
    with pytest.raises(BadInput, match=f"layer 'layer' .*{message}"):
        accelerator(net, [Fold(*fold), Fold(1, 1)], in_lanes=1)


@pytest.mark.parametrize("end", [ir.SumPool, ir.Conv])
def test_a_score_of_padding_alone_is_refused(end: type[ir.Layer]) -> None:
    """Hardware would have to send an output before any input has come."""
    above = ir.Window((1, 1), (2, 1), (1, 1), (1, 0, 0, 0))
    layers: list[ir.Layer] = [ir.Conv("conv", bipolar(3, 1, 1, 2), ir.BIPOLAR, above)]
    if end is ir.SumPool:
        layers = [
            ir.Conv(
                "conv",
                bipolar(3, 1, 1, 2),
                ir.BIPOLAR,
                ir.Window((1, 1), (1, 1), (1, 1), (1, 0, 0, 0)),
            ),
            ir.Flatten("flat"),
            ir.SumPool("pool", ir.Window()),
        ]
    net = case((1, 1, 2), *layers, scores(6 if end is ir.SumPool else 3), folds=[]).net
    with pytest.raises(UnsupportedModel, match="padding"):
        accelerator(net, [Fold(1, 1)] * (len(layers) - (end is ir.SumPool)), in_lanes=1)
