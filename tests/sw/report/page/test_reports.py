"""The report as a reader gets it: whole, loading nothing, every figure with its kind."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow.comparison.comparison import Comparison, compare
from xnorflow.design.design import Design
from xnorflow.devices.figure import Figure, Origin
from xnorflow.devices.links import FrameBytes
from xnorflow.evidence.record import Evidence, Outcome
from xnorflow.report.page import reports
from xnorflow.report.page.render import page, save
from xnorflow.report.page.sections_sweep import SweepRows
from xnorflow.resources.engine import DesignSummary

from ...engines import FIRST, dense
from .page_reader import PageReader, read

COMMAND = ("xnorflow", "compile", "a b.onnx")
SUMMARY = DesignSummary(
    "small_cnv",
    (FIRST, dense(57600, acc_bits=16)),
    72000,
    80000,
    Origin.SIMULATED,
    "RTL simulation",
    frame_bytes=FrameBytes(3072, 40),
)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    clock = Figure(119.8, "MHz", Origin.PLACED, "nextpnr-ecp5")
    boards = ["ulx3s-85f", "icebreaker", "pynq-z2"]
    return compare(SUMMARY, boards, ["t4", "l4"], clocks={"ulx3s-85f": clock})


@pytest.fixture(scope="module")
def design() -> Design:
    return xf.compile(xf.load(demo.model_path()), board="ulx3s-25f", cycles=2304)


@pytest.fixture(scope="module")
def compared(comparison: Comparison) -> PageReader:
    return read(page(reports.of_comparison(comparison, COMMAND, "abc")))


@pytest.fixture(scope="module")
def designed(design: Design) -> PageReader:
    front = [(1152, 3000.0, 86000.0), (4608, 1500.0, 21000.0)]
    return read(page(reports.of_design(design, COMMAND, front)))


@pytest.fixture(params=["compared", "designed"])
def reader(request: pytest.FixtureRequest) -> PageReader:
    return request.getfixturevalue(request.param)


def charts(reader: PageReader) -> list[dict]:
    return json.loads(reader.scripts[0])


def test_a_page_loads_nothing(reader: PageReader) -> None:
    assert all(found.startswith(("data:", "#")) for found in reader.loads)
    assert not any(tag in ("iframe", "object", "embed", "base") for tag, _ in reader.tags)
    (style,) = reader.styles
    assert "url(" not in style and "@import" not in style
    policies = [found for tag, found in reader.tags if "http-equiv" in found]
    assert policies[0]["content"].startswith("default-src 'none'; img-src data:;")


def test_a_page_is_small(design: Design, comparison: Comparison) -> None:
    for report in (
        reports.of_design(design, COMMAND),
        reports.of_comparison(comparison, COMMAND),
    ):
        assert len(page(report).encode()) < 3_000_000


def test_every_figure_has_its_kind_once_per_column(reader: PageReader) -> None:
    kinds = {str(kind) for kind in Origin}
    figures = 0
    for head, *rows in reader.tables:
        for row in rows:
            assert len(row) == len(head)
            for (column, _), (cell, text) in zip(head, row, strict=True):
                if "data-kind" not in cell:
                    # A cell without a kind holds words, or no figure at all.
                    assert "data-kind" not in column or text.strip() == "–"
                    continue
                figures += 1
                assert cell["data-kind"] in kinds and text.strip()
                assert column["mark"] == f"#k-{column['data-kind']}"
                if cell["data-kind"] == column["data-kind"]:
                    assert "mark" not in cell
                else:
                    assert cell["mark"] == f"#k-{cell['data-kind']}"
    assert figures > 20
    symbols = {found["id"] for tag, found in reader.tags if tag == "symbol"}
    assert symbols == {f"k-{kind}" for kind in kinds}


def test_charts_have_a_place_a_description_and_colours_of_the_style(reader: PageReader) -> None:
    places = {found["id"]: found for tag, found in reader.tags if found.get("class") == "plot"}
    found = charts(reader)
    assert {f"chart-{chart['name']}" for chart in found} == set(places)
    assert all(len(place["aria-label"]) > 40 for place in places.values())
    named = set(re.findall(r"var\((--\w+)\)", json.dumps(found)))
    light, dark = reader.styles[0].split("prefers-color-scheme: dark")[:2]
    assert named and all(f"{name}:" in light and f"{name}:" in dark for name in named)
    for chart in found:
        assert chart["data"] and chart["height"] >= 100
        # What differs by colour differs by shape, too.
        for trace in chart["data"]:
            assert "pattern" in trace.get("marker", {}) or trace["type"] == "scatter"


def test_the_origin_is_at_the_foot(designed: PageReader, design: Design) -> None:
    text = designed.text
    assert f"SHA-256 {design.net.digest}" in text and f"SHA-256 {design.digest}" in text
    assert "xnorflow compile 'a b.onnx'" in text and f"xnorflow {xf.__version__}" in text
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", text)


def test_the_design_shows_layers_bottleneck_and_links(designed: PageReader, design: Design) -> None:
    text = designed.text
    marked = [row for row in designed.tables[0] if row[0][1] == design.timing.busiest]
    assert len(marked) == 1
    strong = [found for tag, found in designed.tags if tag == "tr" and "class" in found]
    # Every layer that is busy in each cycle of the interval limits as much as the first of them.
    full = sum(layer["cycles"] == design.ii for layer in design.summary()["layers"])
    assert full > 1 and strong == [{"class": "strong"}] * full
    assert f"and {full - 1} more" in text
    boxes = [found for tag, found in designed.tags if found.get("class") in ("box", "box busy")]
    assert len(boxes) == len(design.net.layers) + len(design.spec.stages)
    assert sum(found["class"] == "box busy" for found in boxes) == full
    hatched = charts(designed)[0]["data"][0]["marker"]["pattern"]["shape"]
    assert hatched.count("/") == full
    assert "UART at 1 Mbaud, this board's" in text and "AXI DMA" in text
    names = [chart["name"] for chart in charts(designed)]
    assert names == ["cycles", "use", "front", "pipeline"]
    pipeline = charts(designed)[3]["data"]
    assert [trace["y"] for trace in pipeline] == [[p.name for p in design.parts]] * 3


def test_the_comparison_shows_every_row_note_and_source(
    compared: PageReader, comparison: Comparison
) -> None:
    text = compared.text
    for row in comparison.rows:
        assert row.title in text
        for note in row.notes:
            assert row.category == "GPU" or note in text
    for note in (*comparison.fairness, *comparison.omitted):
        assert " ".join(note.split()) in text
    for source in comparison.sources.values():
        assert " ".join(source.document.split()) in text
    assert set(compared.links) == {s.url for s in comparison.sources.values() if s.url}
    assert "UART at 1 Mbaud" in text and "AXI DMA" in text


def test_energy_is_a_column_only_if_every_device_has_one(
    compared: PageReader, comparison: Comparison
) -> None:
    def heads(reader: PageReader) -> list[str]:
        return [text.strip() for table in reader.tables for _, text in table[0]]

    assert not comparison.energy_known
    assert heads(compared).count("energy per frame") == 1, "the table of energies alone"
    assert "No published power, hence no figure: icebreaker, ulx3s-85f" in compared.text
    known = compare(SUMMARY, ["pynq-z2"], ["t4"])
    assert known.energy_known
    assert heads(read(page(reports.of_comparison(known, COMMAND)))).count("energy per frame") == 3


def test_hostile_names_are_text(comparison: Comparison, tmp_path) -> None:
    name = "</script><script>alert(1)</script>&\"'{{x}}"
    bad = replace(comparison, name=name)
    save(reports.of_comparison(bad, ("xnorflow", name)), tmp_path / "r.html")
    found = read((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert name in found.text
    assert sum(tag == "script" for tag, _ in found.tags) == 3


def evidence(**changes: object) -> Evidence:
    outcome = Outcome("golden", "golden model", "ONNX Runtime", 10, total=100)
    rtl = Outcome("rtl", "Verilator", "golden model", 2, total=20, **changes)  # type: ignore[arg-type]
    return Evidence(
        version="1",
        date="2026-01-01T00:00:00Z",
        command=("xnorflow", "check"),
        model={"sha256": "m"},
        data={"frames": 10, "sha256": "d", "path": "x.npz"},
        network={"name": "net", "digest": "n"},
        design={},
        options={},
        tools={"numpy": "2"},
        outcomes=(outcome, rtl),
        accuracy=0.9,
    )


def test_a_proof_says_first_whether_all_is_equal() -> None:
    images = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    facts = reports.of_proof(evidence()).verdict
    assert [fact.name for fact in facts] == ["Verdict", "Mismatches", "Accuracy"]
    assert facts[1].detail == "golden model on 10 frames, Verilog on 2 frames"
    good = read(page(reports.of_proof(evidence(), images, np.arange(3), np.array([0, 1, 1]))))
    assert "90.00 %" in good.text and "equal" in good.text and "0 of 120 scores" in good.text
    pictures = [found for tag, found in good.tags if tag == "img"]
    assert len(pictures) == 3 and all(p["src"].startswith("data:image/png") for p in pictures)
    assert "2 right" in good.text and "is 1" in good.text
    bad = read(page(reports.of_proof(evidence(scores=1, first="frame 0, layer 'conv'"))))
    assert "differs" in bad.text and "1 of 120 scores" in bad.text
    assert "first in frame 0, layer 'conv'" in bad.text
    assert any(found.get("class") == "bad" for _, found in bad.tags)


def test_what_limits_is_named_where_it_is_no_layer(design: Design) -> None:
    fed = replace(design, timing=replace(design.timing, busiest="input"))
    facts = {fact.name: fact for fact in reports.of_design(fed, COMMAND).verdict}
    limit = facts["Limited by"]
    assert limit.value.startswith("input and ")
    assert limit.detail.startswith("input, conv0, ")
    assert f"{design.timing.bound:,} cycles a frame" in limit.detail


def test_one_is_in_the_singular(design: Design, designed: PageReader) -> None:
    assert design.spec.input.lanes == 1 and "1 sample a beat" in designed.text
    tied = replace(evidence(), tied=1, data={"frames": 1})
    found = read(page(reports.of_proof(tied))).text
    assert "In 1 frame, equal scores" in found and "1 frame." in found
    assert not re.search(r"\b1 (frames|samples|scores|cycles|lanes|devices|networks)\b", found)
    assert not re.search(r"(?<![\d,.])1 (samples|scores|lanes|cycles)\b", designed.text)


def test_units_are_written_with_the_letter_mu_and_stay_whole(compared: PageReader) -> None:
    cells = [text for table in compared.tables for row in table[1:] for _, text in row]
    assert any("µs" in text for text in cells) and any("µJ" in text for text in cells)
    assert not any(re.search(r"\d us\b|\d uJ\b|< 0\.00", text) for text in cells)
    assert '<span class="unit">frames/s</span>' in page(
        reports.of_comparison(compare(SUMMARY, ["ulx3s-85f"], ["t4"]), COMMAND)
    )


def test_columns_of_numbers_are_flush_right(designed: PageReader) -> None:
    heads = {text.strip(): found.get("class") for found, text in designed.tables[0][0]}
    assert heads["PE"] == heads["SIMD"] == heads["pixels"] == heads["cycles"] == "number"
    assert heads["layer"] is None and heads["output"] is None


def test_a_source_is_named_once_with_all_its_figures(comparison: Comparison) -> None:
    lines = reports.of_comparison(comparison, COMMAND).sections[-1].blocks[0].items
    named = [(line.document, line.url, line.looked_up, line.status) for line in lines]
    assert len(named) == len(set(named)) < len(comparison.sources)
    count = sum(len(part.split(",")) for line in lines for part in line.figure.split(";"))
    assert count == len(comparison.sources)


def test_of_boards_as_fast_the_one_whose_link_carries_more_is_named(
    comparison: Comparison,
) -> None:
    found = compare(SUMMARY, ["zcu104", "u250"], [], clocks={"zcu104": 250, "u250": 250})
    first = found.rows[0].figures["fps"].value
    assert first == found.rows[1].figures["fps"].value
    facts = {fact.name: fact for fact in reports.of_comparison(found, COMMAND).verdict}
    assert facts["Fastest FPGA that fits"].detail.startswith("u250")


def test_bars_of_throughput_are_of_the_smallest_and_the_largest_batch() -> None:
    found = compare(SUMMARY, ["pynq-z2"], ["t4"], batches=(1, 16, 256))
    throughput, batch, *_ = charts(read(page(reports.of_comparison(found, COMMAND))))
    names = [name for trace in throughput["data"] if trace["type"] == "bar" for name in trace["y"]]
    assert names[0] == "pynq-z2" and len(names) == 1 + 2 * 3
    assert {name.rpartition(" ")[2] for name in names[1:]} == {"1", "256"}
    assert throughput["layout"]["yaxis"]["range"] == [len(names) - 0.5, -0.5]
    assert batch["data"][0]["x"] == [1, 4, 16, 64, 256, 1024, 4096]


def test_a_sweep_names_the_fastest_design_with_headroom_and_marks_the_others() -> None:
    row = {
        "network_digest": "0123456789",
        "network": "small_net",
        "board": "pynq-z1",
        "clock_mhz": 100.0,
        "latency": 50,
        "ff": 9,
        "bram": 0,
        **{f"{name}_share": 1.0 for name in ("lut", "ff", "bram")},
    }
    tight = row | {"status": "tight", "why": "96 % of the LUTs", "fps": 1e8, "ii": 1, "lut": 51160}
    roomy = row | {"status": "fits", "why": "", "fps": 33e6, "ii": 3, "lut": 19624}
    rows = SweepRows((tight, roomy), (tight, roomy))
    report = reports.of_sweep(rows, COMMAND)
    facts = {fact.name: fact for fact in report.verdict}
    assert facts["Fastest, small_net"].value == "33.0 M frames/s"
    assert facts["Fastest, small_net"].detail == "pynq-z1 at 100 MHz, 19,624 LUT"
    assert "digest of small_net" in report.origin
    found = read(page(report))
    assert [line[1][1] for line in found.tables[0]] == ["room", "tight", "fits"]
    assert found.tables[0][1][1][0]["class"].strip() == "alarm"
    only = reports.of_sweep(SweepRows((tight,), (tight,)), COMMAND)
    assert only.verdict[-1].detail.endswith("; only without headroom")
