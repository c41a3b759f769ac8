"""What the prompt and a notebook show of an object: a title, facts and a table.

Names come from files that may be hostile: control characters are escaped in text, and everything is
escaped in HTML, which loads nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from html import escape

from xnorflow.folded_text import folded

MOST_FACTS = 12
"""Most facts that text shows."""
MOST_ROWS = 100
"""Most rows of a table that HTML shows."""
COLUMNS = 88
"""Columns of text."""
MOST_LETTERS = 300
"""Most letters of a fact."""
_CELL = "text-align:left;padding:1px 12px 1px 0;vertical-align:top"


@dataclass(frozen=True)
class Card:
    """What is shown of an object.

    Parameters
    ----------
    title : str
        What it is, in a few words.
    facts : tuple of (str, str)
        Labels and what they stand for.
    columns : tuple of str
        Heads of the table, which only HTML shows.
    rows : tuple of tuple of str
        Its rows.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def text(self) -> str:
        """Return it as a few lines of text, without the table."""
        facts = self.facts[:MOST_FACTS]
        width = max((len(label) for label, _ in facts), default=0)
        lines = [printable(self.title)]
        for label, said in facts:
            line = f"  {printable(label):{width}}  {printable(said)}"
            lines += folded(line, COLUMNS, width + 4)
        if len(self.facts) > MOST_FACTS:
            lines.append(f"  ... and {len(self.facts) - MOST_FACTS} more")
        return "\n".join(lines)

    def html(self) -> str:
        """Return it as HTML with everything escaped, in the colours of the page around it."""
        facts = "".join(
            f'<tr><th scope="row" style="{_CELL}">{_escaped(label)}</th>'
            f'<td style="{_CELL}">{_escaped(said)}</td></tr>'
            for label, said in self.facts
        )
        parts = [f"<p><strong>{_escaped(self.title)}</strong></p>"]
        if facts:
            parts.append(f"<table>{facts}</table>")
        if self.rows:
            heads = "".join(
                f'<th scope="col" style="{_CELL}">{_escaped(head)}</th>' for head in self.columns
            )
            body = "".join(
                "<tr>"
                + "".join(f'<td style="{_CELL}">{_escaped(cell)}</td>' for cell in row)
                + "</tr>"
                for row in self.rows[:MOST_ROWS]
            )
            parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>")
        if len(self.rows) > MOST_ROWS:
            parts.append(f"<p>... and {len(self.rows) - MOST_ROWS} more</p>")
        return f"<div>{''.join(parts)}</div>"


class Shown(ABC):
    """Base of classes whose objects the prompt and notebooks show by a card."""

    @abstractmethod
    def card(self) -> Card:
        """Return what is shown of the object."""

    def __repr__(self) -> str:
        """Return a few lines about the object."""
        try:
            return self.card().text()
        except Exception:
            # A debugger shows objects that are not complete, and must not fail.
            return object.__repr__(self)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return self.card().html()


def printable(text: str) -> str:
    """Return a text of limited length in one line, whatever characters it has."""
    text = text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _escaped(text: str) -> str:
    return escape(printable(text))
