"""Put a report into the template; the page holds its style, its charts and the charting library."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from xnorflow.devices.figure import Origin
from xnorflow.report.page.page_blocks import KIND_TEXT, Report

LIBRARY = "plotly-basic.min.js"
"""The charting library, plotly.js in its basic bundle; the licence lies beside it."""
_RATE = re.compile(r"(\d[\d.,]* ([kMG] )?)?\b(frames|[kMG]?B)/s\b")


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _whole(text: str) -> Markup:
    """Return text as HTML that does not wrap between a number and its unit, or within the unit."""
    return Markup(_RATE.sub(r'<span class="unit">\g<0></span>', str(escape(text))))


@cache
def _environment() -> Environment:
    found = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["whole"] = _whole
    found.globals.update(origins=list(Origin), kind_text=KIND_TEXT)
    return found


def _for_script(content: object) -> str:
    """Return plain values as JSON that may stand in a script element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def page(report: Report) -> str:
    """Return a report as an HTML page that loads nothing.

    Parameters
    ----------
    report : Report
        What it shows.
    """
    charts = [
        {"name": c.name, "data": c.data, "layout": c.layout, "height": c.height}
        for c in report.charts
    ]
    return (
        _environment()
        .from_string(_asset("template.html"))
        .render(
            report=report,
            style=_asset("style.css"),
            script=_asset("charts.js"),
            library=_asset(LIBRARY) if charts else "",
            charts=_for_script(charts),
        )
    )


def save(report: Report, path: str | Path) -> None:
    """Write the page to a file."""
    Path(path).write_text(page(report), encoding="utf-8")
