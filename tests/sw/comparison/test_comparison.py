import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.comparison.comparison import Comparison, compare
from xnorflow.devices import tables as devices
from xnorflow.devices.figure import STRENGTH, Figure, Origin, compact, weakest
from xnorflow.errors import BadInput
from xnorflow.resources.engine import DesignSummary, EngineSummary
from xnorflow_hw.spec import GearboxSpec

from ..engines import FIRST, dense

SECOND = EngineSummary(
    "conv1",
    "conv",
    784,
    64,
    576,
    57600,
    32,
    32,
    28224,
    36,
    1024,
    180,
    32,
    1,
    acc_bits=10,
    threshold_rows=2,
    threshold_levels=1,
    gearbox=GearboxSpec(1, 48, 48, 48, 6),
)
POOL = EngineSummary("pool1", "maxpool", 196, 64, 4, 50176, 32, 1, 1568, 0, 0, 56, 32, 1)
LAST = dense(12544, acc_bits=14)
DESIGN = DesignSummary("small_cnv", (FIRST, SECOND, POOL, LAST), 32400, 40000)
BOARDS = ["ulx3s-85f", "icebreaker", "arty-a7-35", "zcu104"]
GPUS = ["t4", "a100", "h100", "l4", "rtx3090", "orin-nano", "a100-80gb", "a40"]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(DESIGN, BOARDS, GPUS)


def test_fpga_rates_are_clock_over_interval(comparison):
    for row in comparison.rows:
        if row.category == "FPGA":
            clock = row.figures["clock"].value
            assert row.figures["fps"].value == pytest.approx(clock * 1e6 / 32400)
            assert row.figures["latency"].value == pytest.approx(40000 / clock)
            assert row.figures["clock"].error == "assumed"


def test_all_is_estimated_without_better_knowledge(comparison):
    for row in comparison.rows:
        assert {f.kind for f in row.figures.values()} == {Origin.ESTIMATED}, row.device
        assert all(f.how for f in row.figures.values())


def test_a_simulated_interval_at_a_placed_clock_is_simulated():
    simulated = replace(DESIGN, kind=Origin.SIMULATED, how="RTL simulation")
    clock = Figure(119.8, "MHz", Origin.PLACED, "nextpnr-ecp5")
    found = compare(simulated, ["ulx3s-85f"], [], clocks={"ulx3s-85f": clock}).rows[0].figures
    assert (found["fps"].kind, found["clock"].kind) == (Origin.SIMULATED, Origin.PLACED)
    assert found["fps"].error is None and found["luts"].kind is Origin.ESTIMATED
    assumed = compare(simulated, ["ulx3s-85f"], []).rows[0].figures
    assert (assumed["fps"].kind, assumed["ii"].kind) == (Origin.ESTIMATED, Origin.SIMULATED)
    assert assumed["fps"].error == "clock assumed"


def test_what_does_not_fit_is_told(comparison):
    rows = {r.device: r for r in comparison.rows if r.category == "FPGA"}
    assert not rows["icebreaker"].fits and "does not fit" in rows["icebreaker"].notes[0]
    assert rows["zcu104"].fits and rows["zcu104"].notes == ()


def test_each_gpu_has_its_types_batches_and_estimates(comparison):
    found = {
        (r.device, r.data_type, r.batch, r.column) for r in comparison.rows if r.category == "GPU"
    }
    one_bit = {"t4", "a100", "a100-80gb", "h100"}
    expected = {
        (g, t, b, c)
        for g in GPUS
        for t in ("fp16", "int8")
        for b in (1, 1024)
        for c in ("peak", "gemm")
    }
    expected |= {
        (g, "b1", b, c) for g in one_bit for b in (1, 1024) for c in ("peak", "gemm", "end-to-end")
    }
    assert found == expected
    assert len(comparison.omitted) == len(GPUS) - len(one_bit)
    for row in comparison.rows:
        if row.data_type == "b1":
            assert row.notes == ("in INT8: conv0",)


def test_every_device_is_sourced_and_nothing_unverified_is_used(comparison):
    for source in comparison.sources.values():
        assert source.status != "unverified"
    for board in BOARDS:
        for what in ("LUT", "FF", "block RAM", "clock"):
            assert f"{board} {what}" in comparison.sources
    for name in GPUS:
        for what in ("bandwidth", "power", "fp16", "int8"):
            assert f"{name} {what}" in comparison.sources
    assert not any(key.startswith("l4 b1") for key in comparison.sources)


def test_energy_only_from_published_power():
    rows = compare(DESIGN, ["u250"], ["t4"]).rows
    assert "energy" not in rows[0].figures
    assert all(r.figures["energy"].error == "upper bound" for r in rows[1:])


def test_json_holds_every_figure_with_its_kind(comparison):
    back = json.loads(json.dumps(comparison.to_json()))
    assert back["macs"] == DESIGN.macs == 900 * 64 * 27 + 784 * 64 * 576 + 125440
    assert len(back["rows"]) == len(comparison.rows)
    kinds = {str(k) for k in Origin}
    for row in back["rows"]:
        for figure in row["figures"].values():
            assert set(figure) == {"value", "unit", "kind", "how", "error"}
            assert figure["kind"] in kinds
    models = back["resource_model"]
    assert set(models) == {devices.fpga(board).family.name for board in BOARDS}
    for said in models.values():
        assert said["status"].startswith("estimated") and "against" in said["checked"]


def test_fairness_names_assumed_and_placed_clocks():
    clock = Figure(50, "MHz", Origin.PLACED, "nextpnr")
    notes = " ".join(compare(DESIGN, BOARDS[:2], [], clocks={"icebreaker": clock}).fairness)
    assert "assumed, not placed: ulx3s-85f." in notes
    assert "Placed or measured: icebreaker." in notes


def test_each_board_can_have_its_own_folding():
    slow = replace(DESIGN, ii=64800)
    rows = compare({"icebreaker": slow, "zcu104": DESIGN}, ["icebreaker", "zcu104"], ["t4"]).rows
    assert [rows[i].figures["ii"].value for i in (0, 1)] == [64800, 32400]


def test_repeated_names_count_once():
    once, twice = (
        compare(DESIGN, ["kv260"], ["t4"]),
        compare(DESIGN, ["kv260"] * 2, ["t4"] * 2, batches=(1, 1024, 1)),
    )
    assert once.to_json() == twice.to_json()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: compare(replace(DESIGN, engines=(POOL,)), [], ["t4"]), "no layer with weights"),
        (lambda: compare(DESIGN, ["none"], []), "unknown board 'none'"),
        (lambda: compare(DESIGN, [], ["none"]), "unknown GPU 'none'"),
        (lambda: compare(DESIGN, ["zcu104"], [], clocks={"kv260": 100}), "kv260"),
        (lambda: compare(DESIGN, ["zcu104"], [], clocks={"zcu104": 0}), "0 MHz"),
        (lambda: compare({"zcu104": DESIGN}, ["kv260"], []), "no design for kv260"),
        (
            lambda: compare(
                {"zcu104": DESIGN, "kv260": replace(DESIGN, engines=(LAST,))},
                ["zcu104", "kv260"],
                [],
            ),
            "same network",
        ),
        (lambda: compare({}, [], ["t4"]), "same network"),
    ],
)
def test_bad_requests_are_named(call, words):
    with pytest.raises(BadInput, match=words):
        call()


@given(st.lists(st.sampled_from(list(Origin)), min_size=1))
def test_a_figure_is_as_good_as_its_weakest_input(kinds):
    assert weakest(*kinds) in kinds
    assert all(STRENGTH[weakest(*kinds)] <= STRENGTH[k] for k in kinds)


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (3, "3"),
        (0.0584, "0.0584"),
        (7629.4, "7,629"),
        (9999.6, "10.0 k"),
        (12500, "12.5 k"),
        (999_600, "1.00 M"),
        (33.5e6, "33.5 M"),
        (4.2e9, "4.20 G"),
        (15.55, "15.6"),
    ],
)
def test_numbers_are_written_short(value, text):
    assert compact(value) == text


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (32768, "cycles", "32,768 cycles"),
        (480, "us", "480 us"),
        (1200, "us", "1.20 ms"),
        (2.5e6, "us", "2.50 s"),
        (100, "MHz", "100 MHz"),
    ],
)
def test_units_are_written_to_suit(value, unit, text):
    assert str(Figure(value, unit, Origin.ESTIMATED, "")) == text
