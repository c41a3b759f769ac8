"""A canvas of rectangles, lines and words that is written as SVG, the same bytes on any machine."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

INK, PALE, GREY = "#1f2430", "#e6e9ef", "#8a93a3"
BLUE, ORANGE, GREEN, RED = "#2f6fb3", "#d9822b", "#3a8f5c", "#b8433a"
"""Colours that differ in lightness too, so that a print without colour can be read."""


class Canvas:
    """A picture under construction; coordinates are pixels from the top left.

    Parameters
    ----------
    width, height : float
        Size in pixels.
    title : str
        What the picture shows, for readers who do not see it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "none",
        line: str = INK,
        round: float = 0,
        thick: float = 1,
    ) -> None:
        """Draw a rectangle."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round:g}"'
            f' fill="{fill}" stroke="{line}" stroke-width="{thick:g}"/>'
        )

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        colour: str = INK,
        thick: float = 1,
        dashed: bool = False,
        arrow: bool = False,
    ) -> None:
        """Draw a line, with an arrow at its end if `arrow` is set."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}"'
            f' stroke-width="{thick:g}"{dash}{end}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: object,
        *,
        size: float = 13,
        anchor: str = "middle",
        colour: str = INK,
        bold: bool = False,
        fixed: bool = False,
        halo: str = "",
    ) -> None:
        """Write words, whose baseline is at `y`; `anchor` is start, middle or end.

        A `halo` is a colour around the letters, over lines that would strike them through.
        """
        weight = ' font-weight="bold"' if bold else ""
        family = ' font-family="monospace"' if fixed else ""
        if halo:
            around = f' stroke="{halo}" stroke-width="5" stroke-linejoin="round"'
            self.parts.append(
                f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}"'
                f' fill="{halo}"{weight}{family}{around} aria-hidden="true">'
                f"{escape(str(words))}</text>"
            )
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}"'
            f' fill="{colour}"{weight}{family}>{escape(str(words))}</text>'
        )

    def svg(self) -> str:
        """Return the picture as SVG."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}"'
            f' height="{self.height:g}" viewBox="0 0 {self.width:g} {self.height:g}"'
            ' font-family="sans-serif" role="img">'
        )
        arrow = (
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
            f' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker>'
            "</defs>"
        )
        sheet = f'<rect width="{self.width:g}" height="{self.height:g}" fill="#fff"/>'
        title = f"<title>{escape(self.title)}</title>"
        return "\n".join([head, title, arrow, sheet, *self.parts, "</svg>", ""])

    def write(self, path: Path) -> None:
        """Write the picture to a file."""
        path.write_text(self.svg(), encoding="utf-8")
