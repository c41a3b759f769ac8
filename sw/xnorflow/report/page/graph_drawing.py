"""Draw a graph of named boxes from top to bottom as SVG: the layers of a network, or its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 212, 46, 26, 26, 10
SIDE = 16
"""Distance between a box and an edge that passes it, in pixels."""


@dataclass(frozen=True)
class Box:
    """A box.

    Parameters
    ----------
    title, detail : str
        Its two lines.
    reads : tuple of int
        Boxes before it that lead to it.
    load : float, optional
        Share of the time that it is busy, 0 to 1, drawn as a bar.
    busiest : bool
        Whether it is the one that limits all.
    end : bool
        Whether it is an input or an output rather than a part.
    """

    title: str
    detail: str
    reads: tuple[int, ...] = ()
    load: float | None = None
    busiest: bool = False
    end: bool = False


def _ranks(boxes: Sequence[Box]) -> list[int]:
    """Return the row of each box: one more than the lowest of those that lead to it."""
    found: list[int] = []
    for box in boxes:
        found.append(max((found[k] + 1 for k in box.reads), default=0))
    return found


def _places(ranks: Sequence[int]) -> tuple[list[tuple[float, float]], float, float]:
    """Return the upper left corner of each box, and the width and height of the drawing."""
    rows: dict[int, list[int]] = {}
    for k, rank in enumerate(ranks):
        rows.setdefault(rank, []).append(k)
    most = max(map(len, rows.values()))
    whole = most * WIDTH + (most - 1) * GAP_X
    places = [(0.0, 0.0)] * len(ranks)
    for rank, members in rows.items():
        own = len(members) * WIDTH + (len(members) - 1) * GAP_X
        for at, k in enumerate(members):
            x = (whole - own) / 2 + at * (WIDTH + GAP_X)
            places[k] = (MARGIN + x, MARGIN + rank * (HEIGHT + GAP_Y))
    return places, whole + 2 * MARGIN, len(rows) * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN


def draw(boxes: Sequence[Box], name: str) -> str:
    """Return the drawing as an SVG element; names in it are escaped.

    Parameters
    ----------
    boxes : sequence of Box
        At least one, each after those that it reads.
    name : str
        What the drawing is of, for readers that do not see it.
    """
    ranks = _ranks(boxes)
    places, width, height = _places(ranks)
    tracks = 0
    edges = []
    for k, box in enumerate(boxes):
        for source in box.reads:
            far = ranks[k] - ranks[source] > 1
            tracks += far
            edges.append(_edge(places[source], places[k], tracks * SIDE if far else 0, width))
    whole = width + (tracks + 1) * SIDE if tracks else width
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole:g} {height:g}"'
        f' width="{whole:g}" height="{height:g}" role="img" aria-label="{escape(name)}">',
        *edges,
        *(_box(box, *place) for box, place in zip(boxes, places, strict=True)),
        "</svg>",
    ]
    return "".join(parts)


def _edge(
    source: tuple[float, float], sink: tuple[float, float], track: float, width: float
) -> str:
    """Return an edge; one with a track passes other boxes on the right of the drawing."""
    x0, y0 = source[0] + WIDTH / 2, source[1] + HEIGHT
    x1, y1 = sink[0] + WIDTH / 2, sink[1]
    if track:
        x0 += WIDTH / 4
        x1 += WIDTH / 4
        side = width + track - SIDE / 2
        down, up = y0 + GAP_Y / 2, y1 - GAP_Y / 2
        path = f"M{x0:g} {y0:g}V{down:g}H{side:g}V{up:g}H{x1:g}V{y1:g}"
    elif x0 == x1:
        path = f"M{x0:g} {y0:g}V{y1:g}"
    else:
        # A curve, because corners on a common line would hide which box leads where.
        middle = (y0 + y1) / 2
        path = f"M{x0:g} {y0:g}C{x0:g} {middle:g} {x1:g} {middle:g} {x1:g} {y1 - 3:g}V{y1:g}"
    tip = f"M{x1 - 4:g} {y1 - 7:g}H{x1 + 4:g}L{x1:g} {y1:g}Z"
    return f'<path class="edge" d="{path}"/><path class="tip" d="{tip}"/>'


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _box(box: Box, x: float, y: float) -> str:
    kind = "end" if box.end else "box busy" if box.busiest else "box"
    middle = x + WIDTH / 2
    parts = [
        f"<g><title>{escape(f'{box.title}: {box.detail}')}</title>"
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        f'<text x="{middle:g}" y="{y + 17:g}" text-anchor="middle">'
        f"{escape(_shorten(box.title, 28))}</text>",
        f'<text class="small" x="{middle:g}" y="{y + 31:g}" text-anchor="middle">'
        f"{escape(_shorten(box.detail, 38))}</text>",
    ]
    if box.load is not None:
        full = " full" if box.busiest else ""
        long = WIDTH - 16
        parts.append(
            f'<rect class="rail" x="{x + 8:g}" y="{y + 37:g}" width="{long}" height="4"/>'
            f'<rect class="load{full}" x="{x + 8:g}" y="{y + 37:g}"'
            f' width="{long * min(1.0, box.load):.1f}" height="4"/>'
        )
    return "".join((*parts, "</g>"))
