"""Text and tables for a terminal, in which no line ends inside a number or before its unit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

LABEL = 8
"""Columns of a label, such as "speed", before the text that it stands for."""
_NUMBER = re.compile(r"[(\[<~±+-]*\d[\d,.]*(?:/\d+)?")
_PREFIXES = ("k", "M", "G", "T")


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
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in lead + self.text)
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
        return Measurement(1, max(1, cell_len(self.lead) + cell_len(self.text)))


def folded(text: str, width: int, hang: int = 0) -> Iterator[str]:
    """Yield the lines of a text.

    Parameters
    ----------
    text : str
        One paragraph. Spaces at its start are kept.
    width : int
        Columns of a line.
    hang : int
        Columns by which the second and later lines are indented.
    """
    bare = text.lstrip(" ")
    line, empty = text[: len(text) - len(bare)], True
    for atom in _atoms(bare):
        # What cannot stand together on any line is taken apart.
        whole = cell_len(atom) <= width - hang
        for word in (atom,) if whole else atom.split(" "):
            if not empty and cell_len(line) + 1 + cell_len(word) > width:
                yield line.rstrip(" ")
                line, empty = " " * hang, True
            line, empty = f"{line}{'' if empty else ' '}{word}", False
    yield line.rstrip(" ")


def _atoms(text: str) -> Iterator[str]:
    """Yield the pieces of a text that have to stay on one line."""
    words = text.split(" ")
    atom, counted = words[0], _is_number(words[0])
    for before, word in zip(words, words[1:], strict=False):
        unit = _is_number(before) and not _is_number(word)
        joined = counted and (before == "x" or before in _PREFIXES)
        if unit or joined or not word:
            atom += f" {word}"
        else:
            yield atom
            atom = word
        counted = _is_number(word) or (counted and (word == "x" or word in _PREFIXES))
    yield atom


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None


def bare_table(title: str, names: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    """Return an empty table without a frame, which leaves the most room for its columns.

    Parameters
    ----------
    title : str
        Title, plain text; empty for none.
    names : sequence of str
        Heads of the columns.
    numbers : sequence of str
        Those of them that hold numbers, which are aligned to the right and not broken.
    """
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for name in names:
        number = name in numbers
        table.add_column(
            name, justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    return table
