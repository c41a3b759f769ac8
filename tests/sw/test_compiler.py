"""Compiling for a target: it is met, or refused with a target that would work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.errors import BadInput

from .folding.test_narrowest import network


def dense(inputs: int, outputs: int) -> ir.IntegerNetwork:
    weights = np.ones((outputs, 1, 1, inputs), np.int64)
    return ir.IntegerNetwork(
        "net",
        (1, 1, inputs),
        (ir.Conv("dense", weights, ir.BIPOLAR), ir.Scores("scores", np.zeros(outputs, np.int64))),
    )


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 90))
def test_the_predicted_interval_meets_the_target(inputs: int, outputs: int, cycles: int) -> None:
    """This includes the gearboxes between widths that do not divide each other."""
    try:
        design = compile_network(dense(inputs, outputs), cycles=cycles)
    except BadInput as e:
        assert "out of reach" in str(e) and cycles < 4  # Gearboxes limit frames that are so short.
    else:
        assert design.ii == design.timing.bound <= cycles


def test_frames_per_second_are_counted_at_the_clock() -> None:
    design = compile_network(network(5, 7), fps=1e6, clock=50)
    assert design.ii <= 50 and design.fps >= 1e6
    assert design.clock.mhz == 50 and "user" in design.clock.source


def test_without_a_target_the_lanes_limit_the_folding() -> None:
    design = compile_network(network(64, 64))
    lanes = sum(
        f.pe * f.simd
        for p, f in zip(design.parts, design.folds, strict=True)
        if isinstance(p.layer, ir.Conv)
    )
    assert 512 < lanes <= 1024


def test_a_folding_file_is_kept_to(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"MVAU_0": {"PE": 2, "SIMD": 5}, "MVAU_1": {"PE": 3, "SIMD": 28}}))
    design = compile_network(network(5, 7), folding=path)
    assert [(f.pe, f.simd) for f in design.folds][::2] == [(2, 5), (3, 28)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 1, "cycles": 1}, "one of fps, cycles and folding"),
        ({"fps": 0}, "frames per second have to be a number above 0, not 0"),
        ({"fps": float("nan")}, "a number above 0, not nan"),
        ({"fps": 2e8}, "out of reach at 100 MHz.*ask for 100,000,000 or fewer"),
        ({"cycles": 1}, "out of reach"),
        ({"cycles": 0}, "out of reach"),
        ({"cycles": -5}, "out of reach"),
        ({"cycles": 2.5}, "a whole number, not 2.5"),
        ({"cycles": "90"}, "a whole number, not '90'"),
        ({"cycles": True}, "a whole number, not True"),
        ({"cycles": 1, "board": "ulx3s-85f"}, "out of reach"),
        ({"clock": 0}, "a clock of 0 MHz is not possible; it has to be a number above 0"),
        ({"clock": 10_000}, "a clock of 10000 MHz is not possible.* below 10,000"),
        ({"clock": float("nan")}, "a clock of nan MHz"),
        ({"clock": "50"}, "a clock of '50' MHz"),
        ({"clock": True}, "a clock of True MHz"),
        ({"board": "none-such"}, "none-such"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        compile_network(network(5, 7), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layers": (ir.InputTable("codes", np.full((1, 256), -1), ir.BIPOLAR),)},
            "'net' cannot be compiled: layer 'codes'",
        ),
        ({"name": "a b"}, "'a b' is not an identifier"),
        ({"shape": (1, 1, 6)}, "layer 'dense'"),
    ],
)
def test_a_network_made_by_hand_is_verified(change: dict[str, object], message: str) -> None:
    """What is wrong is said before any hardware is planned, not by the Verilog."""
    net = dense(5, 3)
    if "layers" in change:
        change = {"layers": (*change["layers"], *net.layers)}  # type: ignore[misc]
    with pytest.raises(BadInput, match=message):
        compile_network(replace(net, **change))  # type: ignore[arg-type]
