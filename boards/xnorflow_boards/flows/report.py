"""What Yosys and nextpnr report, read from their logs and JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_USED = re.compile(r"^Info:\s+(\S+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)

Cells = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Usage:
    """Resources of an FPGA, each as (used, available).

    Parameters
    ----------
    lut : (int, int)
        LUTs, and whatever else takes the place of one.
    ff : (int, int)
        Flip-flops.
    bram : (int, int)
        Block RAMs.
    dsp : (int, int)
        Multipliers.
    spram : (int, int), optional
        Large single-port RAMs, where the FPGA has any.
    """

    lut: tuple[int, int]
    ff: tuple[int, int]
    bram: tuple[int, int]
    dsp: tuple[int, int]
    spram: tuple[int, int] | None = None

    def summary(self) -> dict[str, dict[str, int]]:
        """Return the field ``resources`` of ``build.json``."""
        return {
            name: {"used": pair[0], "available": pair[1]}
            for name, pair in vars(self).items()
            if pair is not None
        }


def cells_of_log(log: str) -> dict[str, tuple[int, int]]:
    """Read the used and available cells from nextpnr's device utilisation table.

    The table is printed after packing, so it is there even if placement fails.
    """
    return {name: (int(used), int(available)) for name, used, available in _USED.findall(log)}


def overfull(cells: Cells) -> list[str]:
    """Return a phrase for each kind of cell of which there are not enough."""
    return [
        f"{name} {used:,} of {available:,}"
        for name, (used, available) in cells.items()
        if used > available
    ]


def fmax(report: Mapping[str, Any]) -> float:
    """Read the highest frequency in MHz from nextpnr's JSON report.

    The design has a single clock; if nextpnr lists it under several names, the slowest counts.

    Raises
    ------
    ValueError
        If the report has no clock.
    """
    achieved = [float(clock["achieved"]) for clock in report.get("fmax", {}).values()]
    if not achieved:
        raise ValueError("nextpnr reports no clock")
    return min(achieved)


@dataclass(frozen=True)
class SlowPath:
    """The path that limits the clock.

    Parameters
    ----------
    start, end : str
        Names of the cells at its ends.
    logic_ns, routing_ns : float
        Delay in logic and in wires, in nanoseconds.
    """

    start: str
    end: str
    logic_ns: float
    routing_ns: float

    def summary(self) -> dict[str, Any]:
        """Return the field ``slowest_path`` of ``build.json``."""
        return {
            "from": self.start,
            "to": self.end,
            "logic_ns": round(self.logic_ns, 2),
            "routing_ns": round(self.routing_ns, 2),
        }


def slowest_path(report: Mapping[str, Any]) -> SlowPath | None:
    """Read the slowest path from clock to clock from nextpnr's JSON report; None if it has none."""
    found: list[SlowPath] = []
    for entry in report.get("critical_paths", []):
        path = entry["path"]
        if "<async>" in (entry["from"], entry["to"]) or not path:
            continue
        routing = sum(float(part["delay"]) for part in path if part["type"] == "routing")
        total = sum(float(part["delay"]) for part in path)
        ends = [part[end]["cell"] for part, end in ((path[0], "from"), (path[-1], "to"))]
        found.append(SlowPath(ends[0], ends[1], total - routing, routing))
    return max(found, key=lambda path: path.logic_ns + path.routing_ns, default=None)


def netlist_cells(statistics: str) -> dict[str, dict[str, int]]:
    """Read every module's number of cells by type from the output of Yosys's ``stat -json``."""
    content = json.loads(statistics[statistics.index("{") :])
    return {
        name.lstrip("\\"): dict(sorted(module["num_cells_by_type"].items()))
        for name, module in content["modules"].items()
    }
