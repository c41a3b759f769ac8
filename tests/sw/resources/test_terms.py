"""Terms of components, and the resources that coefficients make of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.compiler import DEFAULT_CLOCK, assembler, compile_network
from xnorflow.devices.tables import fpga as device
from xnorflow.folding.costs import Prices
from xnorflow.plan.fabric import form_on
from xnorflow.plan.reductions import Fold
from xnorflow.resources import coefficients
from xnorflow.resources import terms as parts
from xnorflow.resources import usage as fpga
from xnorflow.resources.budget import Budget
from xnorflow.resources.coefficients import Coefficients
from xnorflow.resources.usage import design_resources, engine_parts, engine_resources
from xnorflow_hw.spec import GearboxSpec, RomSpec

from ..folding.test_search import SEARCH, network

ECP5 = device("ulx3s-85f").family
KNOWN = Coefficients(
    {"array": 10.0, "tree: lanes": 2.0, "dense: lanes": 1.5, "design": 7.0},
    {"array": 3.0, "tree: lanes": 4.0},
    {"array lut": 0.9, "array ff": 0.1, "glue lut": 2.0, "whole, designs": 5.0},
    {"array ff": 0.8},
    {"lut": "a", "ff": "b", "bram": "c"},
    {"lut": 3.5, "ff": 2.5},
    "ecp5",
    "against d",
)


def test_the_median_error_is_a_figure_and_what_is_counted_has_none() -> None:
    assert [KNOWN.typical_error(name) for name in ("lut", "ff", "bram")] == [3.5, 2.5, None]


def test_a_component_is_the_sum_of_its_features() -> None:
    luts, ffs = KNOWN.part("array", {"array": 1, "tree: lanes": 100})
    assert ffs == pytest.approx(0.8 * 403)
    assert luts == pytest.approx(0.9 * 210 + 0.1 * 403)
    assert KNOWN.part("top", {"design": 1, "whole, designs": 1}) == (2.0 * 7 + 5, 0)


def test_lanes_of_an_unknown_form_cost_the_most_and_other_unknown_features_nothing() -> None:
    assert KNOWN.part("array", {"new: lanes": 10}) == KNOWN.part("array", {"tree: lanes": 10})
    assert KNOWN.part("array", {"new": 10}) == (0, 0)


def test_constants_that_were_not_measured_cost_what_words_do() -> None:
    for form in ("tree", "dense"):
        found = KNOWN.part("array", {f"{form}{parts.CONSTANT}: lanes": 10})
        assert found == KNOWN.part("array", {f"{form}: lanes": 10})


def test_a_design_is_made_of_the_coefficients_of_its_fabric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = compile_network(network(5, 7), "ulx3s-85f", cycles=90).shape
    before = design_resources(shape, ECP5)
    monkeypatch.setattr(fpga, "fitted", lambda: {ECP5.coefficients: KNOWN})
    after = design_resources(shape, ECP5)
    assert after.ram_blocks == before.ram_blocks and after.luts != before.luts
    engines = sum(engine_resources(e, ECP5).luts for e in shape.engines)
    assert after.luts == pytest.approx(engines + 2.0 * 7 + 5)
    assert fpga.checked(ECP5) == "LUT a; FF b; block RAM c; against d"


@pytest.mark.parametrize(
    ("simd", "bits", "planes", "form", "expected"),
    [
        # Seven lanes are counted by four full adders; the eighth goes into the accumulator.
        (
            8,
            1,
            1,
            "dense",
            {
                "dense: lanes": 8,
                "dense: bits of counts": 3,
                "dense: adders": 4,
                "array: bits of sums of counts": 0,
            },
        ),
        # Three counts, each of all eight lanes, and two sums of the counts.
        (
            8,
            1,
            3,
            "tree",
            {
                "tree: lanes": 24,
                "tree: bits of counts": 12,
                "tree: adders": 12,
                "array: bits of sums of counts": 10,
            },
        ),
        # Codes of 2 bits: two sums of 3 bits each, and one sum of both of 4 bits.
        (
            4,
            2,
            1,
            "add",
            {
                "add: lanes": 8,
                "add: adders": 10,
                "add: bits of a single lane": 0,
                "array: bits of sums of counts": 0,
            },
        ),
        (
            1,
            8,
            2,
            "add",
            {
                "add: lanes": 16,
                "add: adders": 0,
                "add: bits of a single lane": 16,
                "array: bits of sums of counts": 9,
            },
        ),
    ],
)
def test_a_beat_has_the_features_of_its_form(
    simd: int, bits: int, planes: int, form: str, expected: dict[str, float]
) -> None:
    conv = compile_network(network(5, 7), cycles=90).shape.engines[0]
    engine = replace(conv, simd=simd, act_bits=bits, weight_planes=planes, form=form, rom_depth=9)
    assert parts.beat(engine) == expected


def test_masked_sums_have_terms_of_their_own() -> None:
    """A mask is no plane that is counted; in the LUTs that store weights it costs nothing."""
    conv = compile_network(network(5, 7), cycles=90).shape.engines[0]
    engine = replace(conv, simd=8, act_bits=2, weight_planes=2, form="dense", masked=True)
    assert parts.beat(replace(engine, rom_depth=9)) == {
        "masked dense: lanes": 16,
        "masked dense: bits of counts": 8,
        "masked dense: adders": 8,
        "array: bits of sums of counts": 5,
    }
    assert "masked dense, constants: lanes" in parts.beat(replace(engine, rom_depth=1))
    stored = replace(engine, rom_depth=9, act_bits=1, form="stored")
    assert parts.beat(stored) == parts.beat(replace(stored, masked=False, weight_planes=1))


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "tangnano20k", "pynq-z1"])
@pytest.mark.parametrize(("pe", "words"), [(1, 1), (4, 9), (16, 40)])
def test_masks_are_cheaper_than_two_planes(board: str, pe: int, words: int) -> None:
    """So the compiler takes them without a choice, on every fabric and at every width."""
    family = device(board).family
    known = coefficients.fitted()[family.coefficients]
    conv = compile_network(network(5, 7), cycles=90).shape.engines[0]
    for simd, bits in product(range(1, 130), (1, 2, 3, 4, 8)):
        size = {"pe": pe, "simd": simd, "pixels": 1, "bits": bits, "words": words}
        taken = []
        for masked in (False, True):
            form = form_on(family.fabric, **size, planes=2 - masked, masked=masked)
            engine = replace(conv, form=form, simd=simd, act_bits=bits, rom_depth=words)
            engine = replace(engine, masked=masked, weight_planes=2)
            taken.append(known.part("array", parts.beat(engine))[0])
        assert taken[1] < taken[0], (simd, bits)


def test_searches_have_memories_for_all_and_for_each_value() -> None:
    conv = compile_network(network(5, 7), cycles=90).shape.engines[0]
    engine = replace(
        conv,
        pe=2,
        at_once=3,
        acc_bits=5,
        out_bits=2,
        tail_bits=60,
        threshold_rows=20,
        threshold_levels=3,
        threshold_words=(12, 24),
        threshold_rom=RomSpec("distributed"),
    )
    found = parts.tail(engine, ECP5)
    assert found["searches: bits"] == 6 * 2 * 5 and found["searches: bits of codes"] == 12
    # The first step has one memory of 20 words for all three pixels. In the second step, each
    # pixel reads a memory of its own, of 40 words.
    assert found["searches, shared ROM: LUTs"] == 12 * 3
    assert found["searches, own ROMs: LUTs"] == 3 * 12 * 5
    blocks = parts.tail(replace(engine, threshold_rom=RomSpec("block")), ECP5)
    assert blocks["searches, own ROMs: LUTs"] == 0 < blocks["searches, bits chosen"]


def test_every_engine_has_the_features_of_its_components() -> None:
    shape = compile_network(network(5, 7), cycles=90).shape
    for engine in shape.engines:
        found = parts.engine(engine, ECP5)
        assert found["buffer"]["buffer"] == 1 and found["queue"]["queue"] == 1
        assert set(found) == {"gearbox", "buffer", "array", "tail", "queue", "glue"}
        assert ("array" in found["array"]) == (engine.kind == "conv")
        assert all(value >= 0 for part in found.values() for value in part.values())
    first, pool, last = (parts.engine(e, ECP5) for e in shape.engines)
    conv = shape.engines[0]
    lanes = next(v for n, v in first["array"].items() if n.endswith(": lanes"))
    assert lanes == conv.pe * conv.simd * conv.at_once * conv.act_bits
    assert pool["array"]["maxpool"] == 1 and not first["tail"] and last["tail"]["tails"] == 1


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (GearboxSpec(1, 64, 8, 64, 8), {}),
        (
            GearboxSpec(2, 64, 8, 64, 32),
            {"gearbox up": 1, "gearbox up: bits": 64, "gearbox up: parts": 4},
        ),
        (
            GearboxSpec(1, 64, 32, 64, 8),
            {"gearbox down": 1, "gearbox down: bits": 32, "gearbox down: parts": 4},
        ),
        # It stores 19 elements. A beat of 8 begins at 0, 4 or 8; a group ends after 4 of 12.
        (
            GearboxSpec(1, 64, 8, 64, 12),
            {
                "gearbox barrel: bits": 19,
                "gearbox barrel: bits put": 24,
                "gearbox barrel: levels": 3,
                "gearbox barrel: bits that move twice": 15,
                "gearbox barrel: bits cleared": 8,
                "gearbox barrel: bits of levels": 9,
                "gearbox barrel: bits of loops": 4 + 3,
            },
        ),
    ],
)
def test_gearboxes_have_the_features_of_their_kind(
    box: GearboxSpec, expected: dict[str, float]
) -> None:
    assert parts.gearbox(box) == expected


def test_a_pool_has_the_bits_of_its_sums_or_codes_and_so_have_the_searches_behind_it() -> None:
    steps = (np.array([[1, 2, 3]] * 4), ir.Alphabet(0, 1, 4))
    window = ir.Window((2, 2), (2, 2))
    for pool, bits in (
        (ir.SumPool("pool", window), 10),  # Four codes of 8 bits.
        (ir.MaxPool("pool", window, np.zeros(4, bool)), 8),
    ):
        layers = (
            pool,
            ir.Threshold("steps", *steps),
            ir.Flatten("flat"),
            ir.Conv("dense", np.ones((3, 1, 1, 16), np.int64), ir.BIPOLAR, ir.Window()),
            ir.Scores("scores", np.zeros(3, np.int64)),
        )
        net = ir.IntegerNetwork("net", (4, 4, 4), layers)
        assemble = assembler(net, "ulx3s-85f", DEFAULT_CLOCK)
        engine = assemble((Fold(2, 2), Fold(1, 1)), 1000).shape.engines[0]
        found = parts.engine(engine, ECP5)
        assert found["array"] == {engine.kind: 1, f"{engine.kind}: bits": 2 * bits}
        assert found["tail"]["searches: bits"] == 2 * 2 * bits


def test_coefficients_that_are_there_are_whole() -> None:
    for fabric, found in coefficients.fitted().items():
        assert fabric in ("ecp5", "ice40", "gowin", "xilinx")
        assert min([*found.lut.values(), *found.ff.values()]) >= 0
        assert set(found.errors) == {"lut", "ff", "bram"}


def test_a_guess_from_another_folding_is_near_the_design() -> None:
    """Before a design is assembled, only the depths of buffers and queues are estimates."""
    fastest = SEARCH.fastest(Budget(3000, 3000, 10, "DP16KD"))
    assert fastest is not None
    chosen = SEARCH.chain.cheapest(fastest.design.ii, Prices(1.0, 0.0))
    assert chosen is not None
    design = SEARCH.assemble(chosen.folds, chosen.cycles)
    real = SEARCH.takes(design)
    assert chosen.takes.luts == pytest.approx(real.luts, rel=0.2)
    ends = parts.ends(design.shape, ECP5).items()
    ends_luts = sum(coefficients.fitted()[ECP5.coefficients].part(*found)[0] for found in ends)
    engines = sum(r.luts for e in design.shape.engines for r in engine_parts(e, ECP5).values())
    assert engines + ends_luts == pytest.approx(real.luts)
