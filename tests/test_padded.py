"""Padding that is no value of the alphabet, at several pixels a cycle, in whole networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.ir.verify import reached, verify
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow_hw.spec import BufferSpec

from .bench import check, check_schedule, check_verilog
from .strategies import Builder, Case, one_of, reduction_fold
from .test_networks import bipolar, case, halves, quiet, scores

AROUND = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
WITHOUT_ZERO = (ir.BIPOLAR, ir.BIPOLAR, ir.Alphabet(-3, 2, 4), ir.Alphabet(-255, 2, 256))


def _axis(draw: Any, size: int) -> tuple[int, int, int, int, int]:
    """Draw kernel, stride, dilation and both pads of an axis whose windows reach beyond it."""
    kernel, stride = draw(st.integers(2, 4)), one_of(draw, (1, 1, 1, 2, 3))
    dilation, before = one_of(draw, (1, 1, 2)), draw(st.integers(1, 2))
    after = draw(st.integers(0, 2))
    # At least one window has to fit.
    after += max(0, (kernel - 1) * dilation + 1 - size - before - after)
    return kernel, stride, dilation, before, after


@st.composite
def padded_cases(draw: Any, *, frames: int = 2) -> Case:
    """Draw a network of one or two convolutions, the first with several pixels and classes."""
    b = Builder(draw)
    b.shape = (draw(st.integers(1, 5)), draw(st.integers(2, 8)), draw(st.integers(1, 3)))
    b.map = ir.Features(*b.shape, ir.UINT8)
    alphabet = one_of(draw, WITHOUT_ZERO)
    b.add(ir.InputTable, b.rng.integers(0, alphabet.levels, (1, 256)), alphabet)
    for _ in range(draw(st.integers(1, 2))):
        (ky, sy, dy, t, bottom), (kx, sx, dx, left, right) = (
            _axis(draw, size) for size in b.map.shape[:2]
        )
        window = ir.Window((ky, kx), (sy, sx), (dy, dx), (t, left, bottom, right))
        b.conv(draw(st.integers(1, 4)), window)
        b.tails()
    b.end()
    net = ir.IntegerNetwork("net", b.shape, tuple(b.layers))
    verify(net)
    assume(reached(net).all())
    folds = tuple(reduction_fold(draw, part) for part in reductions(net))
    lanes = draw(st.integers(1, 4))
    spec = accelerator(net, folds, in_lanes=1, out_lanes=1)
    assume(any(several_classes(stage.buffer) for stage in spec.stages))
    x = b.rng.integers(0, 256, (frames, *b.shape)).astype(np.uint8)
    return Case(net, folds, min(lanes, net.features[0].size), 1, x)


def several_classes(front: object) -> bool:
    """Return whether a stage reads several pixels at once, of more than one border class."""
    return isinstance(front, BufferSpec) and front.pixels > 1 and len(front.borders.classes) > 1


@settings(max_examples=8, **quiet)
@given(padded_cases())
def test_hardware_equals_golden_model_and_schedule(drawn: Case) -> None:
    check(drawn)


@settings(max_examples=30, **quiet)
@given(padded_cases(frames=1))
def test_interval_reaches_its_bound(drawn: Case) -> None:
    check_schedule(drawn)


@pytest.mark.parametrize("pixels", [2, 3])
@pytest.mark.parametrize("tail", ["steps", "uniform", "rescaled", "table", "sums"])
def test_several_pixels_with_border_classes_in_every_tail(tail: str, pixels: int) -> None:
    """Codes of 2 bits around 0, without a 0, and zero padding; every kind of constants follows."""
    rng, odd = np.random.default_rng(pixels), ir.Alphabet(-3, 2, 4)
    codes = ir.Alphabet(0, 1, 9)
    middle = rng.integers(-9, 9, (5, 1))
    steps = np.sort(rng.integers(-20, 20, (5, 3)), axis=1)
    tails: dict[str, list[ir.Layer]] = {
        "steps": [ir.Threshold("tail", steps, odd)],
        "uniform": [ir.Threshold("tail", middle + 5 * np.arange(8) - 17, codes)],
        "rescaled": [
            ir.Rescale(
                "tail",
                rng.integers(1, 9, 5),
                rng.integers(20, 60, 5),
                np.zeros(5, np.int64),
                np.full(5, 8),
                4,
                codes,
            )
        ],
        "table": [
            ir.Threshold("first", steps, odd),
            ir.CodeTable("tail", rng.integers(0, 4, (5, 4)), odd),
        ],
        "sums": [],
    }
    check(
        case(
            (4, 9, 2),
            ir.InputTable("samples", np.arange(256)[None] // 64, odd),
            ir.Conv("conv", rng.integers(-2, 3, (5, 3, 3, 2)), ir.Alphabet(-2, 1, 5), AROUND),
            *tails[tail],
            ir.SumPool("all", ir.Window((4, 9))),
            scores(5),
            folds=[(2, 1, pixels), (2, 2)],
        )
    )


@pytest.mark.rtl
def test_generated_verilog() -> None:
    check_verilog(
        case(
            (4, 9, 3),
            halves("samples", 3),
            ir.Conv("conv", bipolar(7, 3, 3, 3), ir.BIPOLAR, AROUND),
            ir.Threshold("sign", np.arange(-3, 4)[:, None], ir.BIPOLAR),
            ir.SumPool("all", ir.Window((4, 9))),
            scores(7),
            folds=[(2, 2, 4), (2, 2)],
        )
    )


@pytest.mark.parametrize("pixels", [1, 2, 4, 8])
def test_so_many_pixels_take_so_many_cycles_less(pixels: int) -> None:
    net = case(
        (8, 32, 4),
        halves("samples", 4),
        ir.Conv("conv", bipolar(4, 3, 3, 4), ir.BIPOLAR, AROUND),
        ir.Threshold("sign", np.zeros((4, 1), np.int64), ir.BIPOLAR),
        ir.SumPool("all", ir.Window((8, 32))),
        scores(4),
        folds=[],
    ).net
    folds = [Fold(4, 4, pixels), Fold(4, 4)]
    (conv, _) = accelerator(net, folds, in_lanes=4).stages
    assert isinstance(conv.buffer, BufferSpec)
    assert conv.buffer.cycles == 8 * 32 * 9 // pixels
    # Only the first and the last window of a row differ from the others.
    assert conv.tails[0].rows == 9 and conv.buffer.sets.number == min(pixels, 3)
