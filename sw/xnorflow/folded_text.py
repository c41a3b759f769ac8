"""Break text into lines, but never inside a number or between a number and its unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import combining, east_asian_width

_NUMBER = re.compile(r"[(\[<~\u00b1+-]*\d[\d,.]*(?:/\d+)?")
_PREFIXES = ("k", "M", "G", "T")


def columns(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


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
        whole = columns(atom) <= width - hang
        for word in (atom,) if whole else atom.split(" "):
            if not empty and columns(line) + 1 + columns(word) > width:
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
