"""nextpnr's routers, neither of which gives up by itself where it finds no way.

Router 2 knows no limit of its iterations (https://github.com/YosysHQ/nextpnr/pull/1737), router 1
none of its rip-ups. Where the one goes round in circles, the other often finds a way.
"""

from __future__ import annotations

import re

ROUTERS = ("router2", "router1")
"""In the order in which they are tried: the first copes better with dense carry chains."""
PATIENCE = 200
"""Lines of progress, an iteration or a thousand arcs each, without progress."""

_ITERATION = re.compile(r"\biter=\d+ wires=\d+ overused=(\d+)(?:.* tmgfail=(\d+))?")
_ARCS = re.compile(r"^Info: +\d+ \|(?: +\d+){2} \|(?: +\d+){2} +\| +(\d+)\|")


class Impasse(Exception):
    """A router goes round in circles."""


def remaining(line: str) -> int | None:
    """Give what a router still has to mend, if a line of its output tells.

    Examples
    --------
    >>> remaining("Info:     iter=7 wires=11178 overused=4 overuse=5 tmgfail=2 archfail=NA")
    6
    >>> remaining("Info:       2000 |      117       1685 |   82   812 |      1922|       0.1 0.4|")
    1922
    """
    if found := _ITERATION.search(line):
        return sum(int(number or 0) for number in found.groups())
    found = _ARCS.match(line)
    return int(found[1]) if found else None


class Watch:
    """Reads a router's output line by line."""

    def __init__(self) -> None:
        """Begin with nothing routed."""
        self.best: int | None = None
        self.waited = 0

    def __call__(self, line: str) -> None:
        """Raise `Impasse` if there has been no progress for too long."""
        left = remaining(line)
        if left is None:
            return
        if self.best is None or left < self.best:
            self.best, self.waited = left, 0
            return
        self.waited += 1
        if self.waited >= PATIENCE:
            raise Impasse(f"{self.best:,} conflicts were left, for {PATIENCE} lines of progress")
