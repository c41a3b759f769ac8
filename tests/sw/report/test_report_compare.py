import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from xnorflow.comparison.comparison import Comparison, compare
from xnorflow.devices.figure import SHORT, Figure, Origin
from xnorflow.errors import BadInput
from xnorflow.report import plot
from xnorflow.report.table import cell, table
from xnorflow.resources.engine import DesignSummary

from ..engines import FIRST, dense

FC = dense(57600, acc_bits=16)
DESIGN = DesignSummary("small_cnv", (FIRST, FC), 72000, 80000, Origin.SIMULATED, "RTL simulation")


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    clock = Figure(119.8, "MHz", Origin.PLACED, "nextpnr-ecp5")
    return compare(
        DESIGN, ["ulx3s-85f", "icebreaker", "zcu104"], ["t4", "l4"], clocks={"ulx3s-85f": clock}
    )


def text_of(comparison: Comparison, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table(comparison))
    return out.getvalue()


def test_table_shows_every_rate_with_its_kind(comparison):
    text = text_of(comparison, 160)
    # Where all of a column are of one kind, its head says so; else each cell does.
    clocks, _, below = text.partition("120 MHz")
    assert "clock" in clocks and "plc" in below.splitlines()[1] and "72,000" in below
    assert "interval" in text and "sim" in text.partition("120 MHz")[0]
    for row in comparison.rows:
        assert f"{row.figures['fps']}".replace(" frames/s", "") in text
        assert row.device in text or row.title in text
    assert "icebreaker: does not fit" in text
    assert "left out: NVIDIA L4: b1" in text
    shown = {figure.kind for row in comparison.rows for figure in row.figures.values()}
    assert len(shown) > 2
    for kind in Origin:
        assert (f"{SHORT[kind]} {kind}" in text) == (kind in shown)


def test_no_number_in_a_cell_lacks_its_kind():
    for kind in Origin:
        figure = Figure(1234.5, "frames/s", kind, "how")
        assert cell(figure).plain.split()[-1] == str(kind)[:3].replace("pla", "plc")
    assert cell(None).plain == "-"
    share = Figure(120, "%", Origin.ESTIMATED, "how")
    assert cell(Figure(99, "LUT4", Origin.ESTIMATED, ""), share).plain == "99 LUT4\n120 % est"
    known = cell(Figure(99, "LUT4", Origin.ESTIMATED, ""), kind=Origin.ESTIMATED)
    assert known.plain == "99 LUT4"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_table_fits_the_terminal(comparison, width):
    assert max(map(len, text_of(comparison, width).splitlines())) <= width


def test_tables_of_one_category_alone():
    assert "GPU" not in text_of(compare(DESIGN, ["kv260"], []), 120)
    assert "FPGA:" not in text_of(compare(DESIGN, [], ["a100"]), 120)


def test_plot_has_a_bar_for_each_configuration(comparison):
    canvas = plot.draw(comparison)
    left, right = canvas.axes
    main = [r for r in comparison.rows if r.column in ("", "gemm")]
    for axes, key in ((left, "fps"), (right, "latency")):
        ends = sorted(p.get_x() + p.get_width() for p in axes.patches)
        assert ends == pytest.approx(sorted(r.figures[key].value for r in main))
        assert axes.get_xscale() == "log"
        low, high = axes.get_xlim()
        assert all(low < r.figures[key].value < high for r in comparison.rows)


def test_hatching_follows_the_kind(comparison):
    fps = Figure(5000, "frames/s", Origin.MEASURED, "on the board")
    row = comparison.rows[0]
    better = replace(row, figures={**row.figures, "fps": fps})
    changed = replace(comparison, rows=(better, *comparison.rows[1:]))
    bars = plot.draw(changed).axes[0].patches
    solid = [p.get_x() + p.get_width() for p in bars if not p.get_hatch()]
    assert solid == pytest.approx([5000])
    assert {p.get_hatch() or "" for p in bars} == {"", plot.HATCH[Origin.ESTIMATED]}


def test_labels_do_not_overlap(comparison):
    canvas = plot.draw(comparison)
    canvas.canvas.draw()
    boxes = [t.get_window_extent() for t in canvas.axes[0].get_yticklabels()]
    boxes.sort(key=lambda b: b.y0)
    assert all(a.y1 <= b.y0 + 1 for a, b in zip(boxes, boxes[1:], strict=False))
    assert min(b.x0 for b in boxes) >= 0


def test_png_is_a_picture_and_the_same_each_time(comparison, tmp_path):
    plot.save(comparison, tmp_path / "a.png")
    first = (tmp_path / "a.png").read_bytes()
    assert first == plot.render(comparison, "png")
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("RGB"))
    assert pixels.shape[1] > 1500
    assert (pixels == (0x00, 0x9E, 0x73)).all(axis=2).sum() > 1000


def test_svg_is_well_formed_and_the_same_each_time(comparison):
    svg = plot.render(comparison, "svg")
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg == plot.render(comparison, "svg")


def test_what_cannot_be_plotted_is_refused(comparison, tmp_path):
    with pytest.raises(BadInput, match=".png or .svg"):
        plot.save(comparison, tmp_path / "plot.gif")
    with pytest.raises(BadInput, match="nothing to plot"):
        plot.draw(replace(comparison, rows=()))
