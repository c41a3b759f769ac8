"""Typed reading of TOML that may be hostile: every fault names the key and what would work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from xnorflow.devices.near_names import did_you_mean
from xnorflow.errors import BadInput

MAX_TEXT = 200
"""Most characters of a text."""
WORD = re.compile(r"[A-Za-z0-9_.+/-]{1,40}")
"""Words that become part of constraint files and command lines: pins, attributes, names."""


class Fields:
    """A table of a TOML file, whose keys are taken one by one.

    Parameters
    ----------
    content : dict
        The table as `tomllib` read it.
    where : str
        Name of the file, for messages.
    path : str
        Name of the table within the file with a dot behind it; empty for the file itself.
    """

    def __init__(self, content: dict[str, Any], where: str, path: str = "") -> None:
        self.content, self.where, self.path = content, where, path

    def wrong(self, key: str, what: str) -> BadInput:
        """Return the error for a key: `what` says what is wrong and what would work."""
        return BadInput(f"{self.where}: {self.path}{key} {what}")

    def known(self, *keys: str) -> None:
        """Check that the table has no other keys.

        Raises
        ------
        BadInput
            If it has; the message names the nearest and all known ones.
        """
        for key in self.content:
            if key not in keys:
                shown = key if key.isprintable() and len(key) <= 40 else repr(key[:40])
                raise self.wrong(
                    shown, f"is no key; known are {', '.join(keys)}{did_you_mean(key, keys)}"
                )

    def _take(self, key: str, kinds: tuple[type, ...], what: str, needed: bool) -> Any:
        if key not in self.content:
            if needed:
                raise self.wrong(key, f"is missing; it has to be {what}")
            return None
        value = self.content[key]
        # A bool is an int to Python, but not to the person who wrote the file.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(key, f"has to be {what}, not {_shown(value)}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text of one line; without a default it has to be there."""
        value = self._take(key, (str,), "a text in quotes", default is None)
        if value is None:
            return default or ""
        if len(value) > MAX_TEXT or not value.isprintable():
            raise self.wrong(key, f"has to be one printable line of at most {MAX_TEXT} characters")
        return str(value)

    def word(self, key: str, example: str, default: str | None = None) -> str:
        """Return a text of letters, digits and ``_.+/-``; without a default it has to be there."""
        value = self._take(key, (str,), f"a name such as {example!r}", default is None)
        if value is None:
            return default or ""
        return self._word(key, value, example)

    def _word(self, key: str, value: str, example: str) -> str:
        if not WORD.fullmatch(value):
            raise self.wrong(
                key,
                f"has to be a name of letters, digits and _.+/- such as {example!r}, not"
                f" {_shown(value)}",
            )
        return value

    def words(self, key: str, example: str, most: int) -> tuple[str, ...]:
        """Return a list of 1 to `most` words; empty if the key is not there."""
        what = f"a list of names such as [{example!r}]"
        value = self._take(key, (list,), what, False)
        if value is None:
            return ()
        if not 1 <= len(value) <= most:
            raise self.wrong(key, f"has to have 1 to {most} names, not {len(value)}")
        for item in value:
            if not isinstance(item, str):
                raise self.wrong(key, f"has to be {what}; it has {_shown(item)}")
        return tuple(self._word(key, item, example) for item in value)

    def flag(self, key: str) -> bool:
        """Return true or false; false if the key is not there."""
        return bool(self._take(key, (bool,), "true or false", False))

    def number(self, key: str, least: float, most: float) -> float:
        """Return a number of a range, which has to be there."""
        what = f"a number from {least:g} to {most:g}"
        value = self._take(key, (int, float), what, True)
        if not least <= value <= most:
            raise self.wrong(key, f"has to be {what}, not {_shown(value)}")
        return float(value)

    def whole(self, key: str, least: int, most: int) -> int | None:
        """Return a whole number of a range; None if the key is not there."""
        what = f"a whole number from {least} to {most:,}"
        value = self._take(key, (int,), what, False)
        if value is not None and not least <= value <= most:
            raise self.wrong(key, f"has to be {what}, not {_shown(value)}")
        return value

    def table(self, key: str, *keys: str) -> Fields | None:
        """Return a table of the given keys; None if it is not there."""
        value = self._take(key, (dict,), f"a table, [{self.path}{key}]", False)
        if value is None:
            return None
        found = Fields(value, self.where, f"{self.path}{key}.")
        found.known(*keys)
        return found

    def attributes(self, key: str) -> tuple[tuple[str, str | int], ...]:
        """Return a table of attributes with words or whole numbers as values."""
        value = self._take(key, (dict,), "a table such as {IO_TYPE = 'LVCMOS33'}", False)
        found: list[tuple[str, str | int]] = []
        for name, said in (value or {}).items():
            path = f"{key}.{name if WORD.fullmatch(name) else repr(name[:40])}"
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,39}", name):
                raise self.wrong(path, "is not the name of an attribute such as IO_TYPE")
            if type(said) is int and 0 <= said <= 1000:
                found.append((name, said))
            elif isinstance(said, str):
                found.append((name, self._word(path, said, "LVCMOS33")))
            else:
                raise self.wrong(
                    path, f"has to be a name or a whole number up to 1,000, not {_shown(said)}"
                )
        return tuple(found)


def _shown(value: object) -> str:
    """Return a value as a message can show it."""
    # repr of a huge integer raises an error of its own.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return "a number beyond 64 bits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def no_pin_twice(pins: Iterable[tuple[str, str]], wrong: Callable[[str, str], BadInput]) -> None:
    """Check that pins differ.

    Parameters
    ----------
    pins : iterable of (str, str)
        Key and pin of each.
    wrong : callable
        Returns the error for a key and a text about it.

    Raises
    ------
    BadInput
        If a pin stands twice; the message names both keys.
    """
    seen: dict[str, str] = {}
    for key, pin in pins:
        plain = pin.upper()
        if plain in seen:
            other = "the same list" if seen[plain] == key else seen[plain]
            raise wrong(key, f"is the pin {pin}, which {other} has, too; each needs its own")
        seen[plain] = key
