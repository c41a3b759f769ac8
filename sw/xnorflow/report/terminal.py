"""Text and tables for a terminal, for rich to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from xnorflow.folded_text import columns, folded

LABEL = 8
"""Columns of a label, such as "speed", before the text that it stands for."""


@dataclass(frozen=True)
class Prose:
    """Text that wraps between words, but not between a number and its unit or inside "8 x 8".

    A word that is longer than a line, such as a path, stays whole on a line of its own.

    Parameters
    ----------
    text : str
        Text as it is to be shown; nothing in it is markup. Spaces at its start indent all lines.
    lead : str
        What stands before it, in bold.
    label : bool
        Whether `lead` is a label, with the text in a column of its own.
    hang : int
        Columns by which the second and later lines are indented further.
    style : str
        Rich's style of the text.
    """

    text: str
    lead: str = ""
    label: bool = False
    hang: int = 0
    style: str = ""

    def lines(self, width: int) -> Iterator[str]:
        """Yield the lines for a terminal with so many columns."""
        lead = self.lead.ljust(LABEL - 1) + " " if self.label else self.lead
        # Names come from files: an escape sequence must not reach the terminal.
        text = _printable((lead + self.text).replace("\n", "\\n"))
        indent = LABEL if self.label else len(text) - len(text.lstrip(" ")) + self.hang
        yield from folded(text, width, indent)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines for rich."""
        for number, line in enumerate(self.lines(options.max_width)):
            text = Text(line, self.style, no_wrap=True, overflow="ignore", end="\n")
            if number == 0 and self.lead:
                text.stylize("bold", 0, len(self.lead))
            yield text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the fewest and the most columns that the text can use."""
        return Measurement(1, max(1, columns(self.lead) + columns(self.text)))


class PlainTable(Table):
    """Table without a frame, whose texts are shown as they are and whose title keeps numbers whole.

    Parameters
    ----------
    heading : str
        Title; empty for none.
    """

    def __init__(self, heading: str) -> None:
        self.heading = heading
        super().__init__(
            header_style="bold",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; texts in it are not read as markup."""
        shown = (Text(_printable(c)) if isinstance(c, str) else c for c in cells)
        super().add_row(*shown, **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title and the table for rich."""
        if self.heading:
            yield Prose(self.heading, style="bold")
        yield from super().__rich_console__(console, options)


def bare_table(
    title: str, names: Sequence[str], numbers: Sequence[str] = (), whole: Sequence[str] = ()
) -> PlainTable:
    """Return an empty table without a frame, which leaves the most room for its columns.

    Parameters
    ----------
    title : str
        Title, plain text; empty for none.
    names : sequence of str
        Heads of the columns.
    numbers : sequence of str
        Those of them that hold numbers, which are aligned to the right and not broken.
    whole : sequence of str
        Those of the others that are not broken as long as there are columns that can be.
    """
    table = PlainTable(title)
    for name in names:
        number = name in numbers
        table.add_column(
            Text(name),
            justify="right" if number else "left",
            no_wrap=number or name in whole,
            overflow="fold",
        )
    return table


def _printable(text: str) -> str:
    """Return a text without characters that a terminal would act on, but for ends of lines."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
