"""Write a comparison as one HTML page with plot, tables, notes on fairness, and sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.gpu import COLUMN_TEXT, COLUMNS
from xnorflow.comparison.row import Row
from xnorflow.devices.figure import Figure
from xnorflow.devices.tables import STATUS_TEXT
from xnorflow.report.plot import render
from xnorflow.report.table import gpu_groups
from xnorflow.resources.usage import checked, status

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.lead { color: #555; margin-top: 0; }
.plot svg { width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; width: 100%; }
th { text-align: right; border-bottom: 2px solid #888; padding: .3rem .6rem;
     vertical-align: bottom; }
td { text-align: right; border-bottom: 1px solid #ddd; padding: .3rem .6rem; white-space: nowrap; }
th:first-child, td:first-child, .text td, .text th { text-align: left; }
.text td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.kind { font-size: 11px; border-radius: 3px; padding: 0 .3em; color: #fff; margin-left: .35em; }
.estimated { background: #b07d00; } .published { background: #3069b0; }
.simulated { background: #16808f; } .placed { background: #2c8a3d; }
.measured { background: #14591f; }
.share { display: block; color: #777; font-size: 12px; }
.over { color: #c0392b; font-weight: bold; }
.none { color: #aaa; } li { margin: .25rem 0; } details { margin-top: 1rem; }
"""
FPGA_COLUMNS = {
    "fps": "frames/s",
    "latency": "latency",
    "clock": "clock",
    "ii": "interval",
    "luts": "LUT",
    "ffs": "FF",
    "ram_blocks": "block RAM",
    "dsps": "DSP",
    "energy": "energy per frame",
}


def _cell(figure: Figure | None, share: Figure | None = None) -> str:
    if figure is None:
        return '<td class="none">-</td>'
    words = str(figure).removesuffix(" frames/s").removesuffix("/frame")
    if figure.error == "upper bound":
        words = f"< {words}"
    tip = figure.how + (f" ({figure.error})" if figure.error else "")
    text = (
        f'<td title="{escape(tip)}">{escape(words)}'
        f'<span class="kind {figure.kind}">{figure.kind}</span>'
    )
    if share is not None:
        over = " over" if share.value > 100 else ""
        text += f'<span class="share{over}">{share.value:.0f} % of the part</span>'
    return text + "</td>"


def _table(heads: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def _row(*cells: str) -> str:
    return (
        "<tr>"
        + "".join(c if c.startswith("<td") else f"<td>{escape(c)}</td>" for c in cells)
        + "</tr>"
    )


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(i)}</li>" for i in items) + "</ul>"


def _fpga_section(rows: Sequence[Row]) -> str:
    shown = [k for k in FPGA_COLUMNS if any(k in r.figures for r in rows)]
    body = []
    for r in rows:
        get = r.figures.get
        body.append(_row(r.title, *(_cell(get(k), get(f"{k}_share")) for k in shown)))
    notes = [f"{r.title}: {note}" for r in rows for note in r.notes]
    return (
        "<h2>FPGAs</h2>"
        + _table(["board", *(FPGA_COLUMNS[k] for k in shown)], body)
        + (_list(notes) if notes else "")
    )


def _gpu_section(comparison: Comparison) -> str:
    body = []
    for (title, data_type, batch), by_column in gpu_groups(comparison).items():
        fps = [_cell(row.figures["fps"] if (row := by_column.get(c)) else None) for c in COLUMNS]
        gemm = by_column["gemm"].figures
        body.append(
            _row(
                title,
                data_type,
                f"{batch:,}",
                *fps,
                _cell(gemm["latency"]),
                _cell(gemm.get("energy")),
            )
        )
    heads = [
        "GPU",
        "type",
        "batch",
        *(f"frames/s, {c}" for c in COLUMNS),
        "latency of a batch",
        "energy per frame",
    ]
    words = [f"{c}: {COLUMN_TEXT[c]}." for c in COLUMNS]
    return "<h2>GPUs</h2>" + _table(heads, body) + _list(words)


def _sources_section(comparison: Comparison) -> str:
    rows = []
    for key, s in comparison.sources.items():
        link = escape(s.document)
        if s.url.startswith(("https://", "http://")):
            link += f' <a href="{escape(s.url)}">[link]</a>'
        rows.append(
            _row(key, f"<td>{link}</td>", s.looked_up, f"{s.status}: {STATUS_TEXT[s.status]}")
        )
    return "<h2>Sources of the device figures</h2>" + _table(
        ["figure", "document", "looked up", "status"], rows, "text"
    )


def _model_section(comparison: Comparison) -> str:
    rows = [
        _row(name, status(family), checked(family)) for name, family in comparison.families.items()
    ]
    return (
        "<details><summary>Error of the resource model</summary>"
        + _table(["family", "status", "error"], rows, "text")
        + "</details>"
    )


def page(comparison: Comparison) -> str:
    """Return the whole page, which loads nothing from elsewhere."""
    svg = render(comparison, "svg").decode()
    svg = svg[svg.index("<svg") :]
    fpgas = [r for r in comparison.rows if r.category == "FPGA"]
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(comparison.name)}: FPGAs and GPUs</title><style>{STYLE}</style></head>",
        f"<body><h1>{escape(comparison.name)}: FPGAs and GPUs side by side</h1>",
        f'<p class="lead">{comparison.macs:,} multiply-accumulates a frame, '
        f"{comparison.weights:,} weights. Each figure carries its kind; hover for how it came "
        "about.</p>",
        f'<div class="plot">{svg}</div>',
        _fpga_section(fpgas) if fpgas else "",
        _gpu_section(comparison) if len(fpgas) < len(comparison.rows) else "",
        "<h2>What makes this comparable, and what does not</h2>",
        _list(comparison.fairness),
        "<h2>Left out</h2>" + _list(comparison.omitted) if comparison.omitted else "",
        _sources_section(comparison),
        _model_section(comparison),
        "</body></html>\n",
    ]
    return "\n".join(p for p in parts if p)


def save(comparison: Comparison, path: str | Path) -> None:
    """Write the page to a file."""
    Path(path).write_text(page(comparison), encoding="utf-8")
