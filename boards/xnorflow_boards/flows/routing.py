"""A watch over nextpnr's routers, which never give up by themselves while wires conflict.

Router 2 has no limit on its iterations then (https://github.com/YosysHQ/nextpnr/pull/1737), and
router 1 none on its rip-ups. Where one of them goes round in circles, the other often finds a
route.
"""

from __future__ import annotations

import re

from xnorflow_boards.flows.process import Stop

ROUTERS = ("router2", "router1")
"""nextpnr's routers in the order in which they are tried; the first copes better with dense carry
chains."""
PATIENCE = 200
"""Lines of progress (an iteration, or a thousand arcs, each) after which a router is stopped if it
has not reduced its conflicts."""

_ITERATION = re.compile(r"\biter=\d+ wires=\d+ .*overused=")
_OVERUSED = re.compile(r"\boverused=(\d+)")
_ARCS = re.compile(r"^Info: +\d+ \|(?: +\d+){2} \|(?: +\d+){2} *\| +(\d+)\|")
_ANEW = re.compile(r"ripped up due to negative slack|Running router1|Setting up routing queue")
STARTED = re.compile(r"^Info: (?:Routing|Running main router|Setting up routing)", re.MULTILINE)
"""Matches in a log as soon as nextpnr has begun to route."""


class Impasse(Exception):
    """Raised when no router finds a route; its text says why."""


def remaining(line: str) -> int | None:
    """Read the number of conflicting wires, or of arcs not yet routed, from a line of a router.

    None if the line does not state it.

    Examples
    --------
    >>> remaining("Info:     iter=7 wires=11178 overused=4 overuse=5 tmgfail=2 archfail=NA")
    4
    >>> remaining("Info:       2000 |      117       1685 |   82   812 |      1922|       0.1 0.4|")
    1922
    """
    if _ITERATION.search(line):
        return sum(map(int, _OVERUSED.findall(line)))
    found = _ARCS.match(line)
    return int(found[1]) if found else None


class Watch:
    """Watches a router's output line by line, and stops it when it makes no progress."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self.best: int | None = None
        self.waited = 0

    def __call__(self, line: str) -> None:
        """Raise `Stop` if there has been no progress for too long.

        Once everything is routed, slow routes may be ripped up and routed anew. The count then
        begins again, and nextpnr ends that phase by itself.
        """
        left = remaining(line)
        if left == 0 or _ANEW.search(line):
            self._restart()
        elif left is not None and (self.best is None or left < self.best):
            self.best, self.waited = left, 0
        elif left is not None:
            self.waited += 1
            if self.waited >= PATIENCE:
                raise Stop(f"{self.best:,} conflicts were left, for {PATIENCE} lines of progress")
