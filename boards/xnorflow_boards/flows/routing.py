"""nextpnr's routers, neither of which gives up by itself where wires stay taken twice.

Router 2 knows no limit of its iterations then (https://github.com/YosysHQ/nextpnr/pull/1737),
router 1 none of its rip-ups. Where one goes round in circles, the other often finds a way.
"""

from __future__ import annotations

import re

from xnorflow_boards.flows.process import Stop

ROUTERS = ("router2", "router1")
"""In the order in which they are tried: the first copes better with dense carry chains."""
PATIENCE = 200
"""Lines of progress, an iteration or a thousand arcs each, without progress."""

_ITERATION = re.compile(r"\biter=\d+ wires=\d+ .*overused=")
_OVERUSED = re.compile(r"\boverused=(\d+)")
_ARCS = re.compile(r"^Info: +\d+ \|(?: +\d+){2} \|(?: +\d+){2} *\| +(\d+)\|")
_ANEW = re.compile(r"ripped up due to negative slack|Running router1|Setting up routing queue")
STARTED = re.compile(r"^Info: (?:Routing|Running main router|Setting up routing)", re.MULTILINE)
"""What is in a log as soon as there is something to route."""


class Impasse(Exception):
    """No router found a way."""


def remaining(line: str) -> int | None:
    """Give the wires that are taken twice or the arcs not routed, if a router's line tells.

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
    """Reads a router's output line by line."""

    def __init__(self) -> None:
        """Begin with nothing routed."""
        self._restart()

    def _restart(self) -> None:
        self.best: int | None = None
        self.waited = 0

    def __call__(self, line: str) -> None:
        """Raise `Stop` if there has been no progress for too long.

        Once all is routed, slow routes may be ripped up and routed anew; nextpnr ends that itself.
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
