"""The resources that the search assumes are those of the designs that are built."""

from __future__ import annotations

import numpy as np
import pytest

from xnorflow import demo, ir, load
from xnorflow.compiler import assembler, clock_for
from xnorflow.devices.tables import fpga, fpgas
from xnorflow.folding.costs import refolded
from xnorflow.folding.narrowest import for_cycles
from xnorflow.plan.fabric import form_on
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources import terms
from xnorflow.resources.budget import board_budget
from xnorflow.resources.coefficients import fitted
from xnorflow.resources.summarise import engine_summaries
from xnorflow.resources.usage import Resources, engine_resources
from xnorflow_hw.array import stored_sums as stored

from ...dense import dense_network

FOLDS = {"stored": (Fold(2, 64), Fold(2, 16)), "baked": (Fold(32, 64), Fold(10, 32))}


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "tangnano9k", "pynq-z1"])
@pytest.mark.parametrize("kind", ["stored", "baked", "demo"])
def test_forms_and_memories_of_sums_are_those_that_are_priced(board: str, kind: str) -> None:
    net = load(demo.model_path()) if kind == "demo" else dense_network(64, 32, 10, seed=3)
    parts, device = reductions(net), fpga(board)
    folds = FOLDS[kind] if kind in FOLDS else tuple(for_cycles(parts, 2304))
    assemble = assembler(net, board, clock_for(board, None))
    built = engine_summaries(parts, assemble(folds, 4096).spec)
    example = engine_summaries(parts, assemble(tuple(for_cycles(parts, 9216)), 9216).spec)
    for part, fold, have, other in zip(parts, folds, built, example, strict=True):
        priced = refolded(other, part, fold, device.family)
        assert (priced.form, priced.rom_depth, priced.rom_width) == (
            have.form,
            have.rom_depth,
            have.rom_width,
        )
        if have.form == stored.FORM:
            assert priced.rom == have.rom == stored.ROM
    if board == "pynq-z1" and kind in FOLDS:
        assert {e.form for e in built} == {kind}


def test_no_sum_is_for_nothing() -> None:
    for fabric, found in fitted().items():
        forms: dict[str, float] = {}
        for name, value in found.lut.items():
            if name.endswith((": adders", ": lanes")):
                form = name.partition(":")[0]
                forms[form] = forms.get(form, 0.0) + value
        assert min(forms.values()) > 0, (fabric, forms)


def test_every_form_that_is_chosen_has_been_measured() -> None:
    for device in fpgas().values():
        name = device.family.fabric
        if name == "generic":
            continue  # Estimated with the coefficients of another family, as the estimate says.
        known = fitted()[device.family.coefficients].lut
        for pe, simd, bits, words in (
            (1, 3, 1, 64),
            (2, 16, 1, 64),
            (16, 64, 1, 64),
            (8, 64, 1, 14),
            (64, 64, 1, 1),
        ):
            size = {"pe": pe, "simd": simd, "words": words}
            form = form_on(name, **size, pixels=1, bits=bits, planes=1)
            assert any(k.startswith(form) and k.endswith("adders") for k in known), (device, form)
            form = form_on(name, **size, pixels=1, bits=bits, planes=1, masked=True)
            masked = "" if form == stored.FORM else terms.MASKED
            assert f"{masked}{form}: adders" in known, (device, form)


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "tangnano20k", "pynq-z1"])
@pytest.mark.parametrize("fold", [Fold(2, 4), Fold(5, 3), Fold(10, 16)])
def test_products_are_those_that_are_priced(board: str, fold: Fold) -> None:
    rng = np.random.default_rng(5)
    alphabet = ir.Alphabet(-128, 1, 256)
    layers = (
        ir.InputTable("samples", np.arange(256)[None], ir.Alphabet(0, 1, 256)),
        ir.Conv("layer", rng.integers(-128, 128, (10, 1, 1, 48)), alphabet),
        ir.Scores("scores", np.zeros(10, np.int64)),
    )
    net = ir.IntegerNetwork("net", (1, 1, 48), layers)
    parts, device = reductions(net), fpga(board)
    assemble = assembler(net, board, clock_for(board, None))
    (have,) = engine_summaries(parts, assemble((fold,), 480).spec)
    (other,) = engine_summaries(parts, assemble((Fold(1, 2),), 480).spec)
    priced = refolded(other, parts[0], fold, device.family, device.dsp_number)
    for field in ("products", "form", "weight_planes", "rom_depth", "rom_width"):
        assert getattr(priced, field) == getattr(have, field)
    taken = engine_resources(have, device.family).dsps
    assert engine_resources(priced, device.family).dsps == taken <= device.dsp_number
    assert bool(taken) == (have.products is not None and have.products.multiplier == "dsp")


def test_a_budget_names_the_dsp_blocks_that_are_missing() -> None:
    budget = board_budget(fpga("ulx3s-25f"), 64)
    assert budget.dsps == 28
    assert not budget.exceeded(Resources(dsps=28))
    assert budget.exceeded(Resources(dsps=29)) == ["29 DSP of 28"]
    assert board_budget(fpga("icebreaker"), 64).dsps == 0
