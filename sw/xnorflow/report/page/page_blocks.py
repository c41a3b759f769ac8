"""The blocks that a report is made of: facts, tables, charts, pictures, images, notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xnorflow.devices.figure import Figure, Origin

KIND_TEXT = {
    Origin.ESTIMATED: "computed by a model",
    Origin.PUBLISHED: "from a document",
    Origin.SIMULATED: "the Verilog, cycle by cycle",
    Origin.PLACED: "after place and route",
    Origin.MEASURED: "on the device",
}
"""What each kind of figure means."""
_MICRO = re.compile(r"(?<= )u(?=[sJ]\b)")
_NUMBER = re.compile(r"(\d[\d,.]*( of \d[\d,]*)?( \*)?)?")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text : str
        What it shows; "" leaves it empty.
    kind : Origin, optional
        How its figure is known; None for words.
    tip : str
        Formula, tool or document that the figure comes from.
    share : float, optional
        Percentage of what there is, shown as a bar below the text.
    alarm : bool
        Whether something is wrong with it.
    """

    text: str
    kind: Origin | None = None
    tip: str = ""
    share: float | None = None
    alarm: bool = False


def figure_cell(figure: Figure | None, share: Figure | None = None) -> Cell:
    """Return the cell of a figure and, if given, of its share of the device in percent."""
    if figure is None:
        return Cell("")
    words = str(figure)
    for unit in (" frames/s", " cycles", "/frame"):
        words = words.removesuffix(unit)
    words = _MICRO.sub("µ", words)
    if figure.error == "upper bound":
        words = f"< {words}"
    tip = figure.how + (f" ({figure.error})" if figure.error else "")
    percent = None if share is None else share.value
    return Cell(words, figure.kind, tip, percent, percent is not None and percent > 100)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the singular if it is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Table:
    """A table whose columns show how their figures are known.

    Parameters
    ----------
    heads : sequence of str
        Names of the columns.
    rows : sequence of sequence of Cell
        Rows of as many cells.
    caption : str
        What the table shows.
    strong : frozenset of int
        Rows that stand out.
    """

    template: ClassVar[str] = "table"
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    strong: frozenset[int] = frozenset()

    @property
    def kinds(self) -> list[Origin | None]:
        """The kind of most figures of each column, None for columns of words."""
        found: list[Origin | None] = []
        for column in range(len(self.heads)):
            count = Counter(row[column].kind for row in self.rows if row[column].kind is not None)
            found.append(count.most_common(1)[0][0] if count else None)
        return found

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds nothing but numbers."""
        return [
            any(row[column].text for row in self.rows)
            and all(_NUMBER.fullmatch(row[column].text) for row in self.rows)
            for column in range(len(self.heads))
        ]


@dataclass(frozen=True)
class Chart:
    """A chart of the charting library.

    Parameters
    ----------
    name : str
        Identifier within the page.
    title, caption : str
        What it shows; the caption is its description in words.
    data : sequence of mapping
        Traces.
    layout : mapping
        Axes and shapes. Colours named ``var(--x)`` are those of the style sheet.
    height : int
        Pixels.
    """

    template: ClassVar[str] = "chart"
    name: str
    title: str
    caption: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 320


@dataclass(frozen=True)
class Drawing:
    """A drawing in SVG, which has been made by this package and is trusted."""

    template: ClassVar[str] = "drawing"
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Image:
    """An image of the data with its labels.

    Parameters
    ----------
    uri : str
        The image as a data URI.
    label : str
        Label that the network gave.
    truth : str
        True label; empty if it is not known.
    """

    uri: str
    label: str
    truth: str = ""

    @property
    def right(self) -> bool | None:
        """Whether the label is right; None if that is not known."""
        return self.label == self.truth if self.truth else None


@dataclass(frozen=True)
class Gallery:
    """Images side by side."""

    template: ClassVar[str] = "gallery"
    images: Sequence[Image]
    caption: str


@dataclass(frozen=True)
class Notes:
    """A list of sentences."""

    template: ClassVar[str] = "notes"
    items: Sequence[str]


@dataclass(frozen=True)
class SourceLine:
    """A line of the list of sources."""

    figure: str
    document: str
    url: str
    looked_up: str
    status: str


@dataclass(frozen=True)
class Sources:
    """Sources of figures, with links where there is an address."""

    template: ClassVar[str] = "sources"
    items: Sequence[SourceLine]


Block = Table | Chart | Drawing | Gallery | Notes | Sources


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Parameters
    ----------
    name, title : str
        Identifier within the page, and heading.
    blocks : sequence of Block
        Content.
    folded : bool
        Whether it is shut until the reader opens it.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    folded: bool = False


@dataclass(frozen=True)
class Fact:
    """A line of the verdict.

    Parameters
    ----------
    name, value : str
        What it is about, and what was found.
    detail : str
        A remark below.
    good : bool, optional
        Whether it is as it should be; None if that does not apply.
    kind : Origin, optional
        How the value is known.
    """

    name: str
    value: str
    detail: str = ""
    good: bool | None = None
    kind: Origin | None = None


@dataclass(frozen=True)
class Report:
    """A report.

    Parameters
    ----------
    title, lead : str
        Heading and a sentence below it.
    verdict : sequence of Fact
        What a reader wants to know first.
    sections : sequence of Section
        The rest.
    origin : mapping of str to str
        Digests, command, versions and date, by name.
    """

    title: str
    lead: str
    verdict: Sequence[Fact]
    sections: Sequence[Section]
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def charts(self) -> list[Chart]:
        """All charts."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Chart)]

    @property
    def kinds(self) -> list[Origin]:
        """The kinds of figures that occur."""
        found = {fact.kind for fact in self.verdict}
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Table):
                    found |= {cell.kind for row in block.rows for cell in row}
        return [kind for kind in Origin if kind in found]
