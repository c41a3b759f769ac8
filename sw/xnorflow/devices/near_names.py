"""Names that a person may have meant: for messages about a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def same_but_case(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is a name in any case, or None."""
    return next((k for k in known if k.casefold() == name.casefold()), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that names the nearest known name; empty if none is near."""
    plain = {k.casefold(): k for k in known}
    near = get_close_matches(name.casefold()[:100], plain, n=1, cutoff=0.6)
    return f"; did you mean {plain[near[0]]!r}?" if near else ""
