"""The points (network, device, target, clock) of a sweep, by the cost tables alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import ceil, inf
from typing import Any

import numpy as np

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for, fewest_lanes
from xnorflow.design.clock import Clock
from xnorflow.devices import clocks as clock_limits
from xnorflow.devices.tables import Fpga, fpga
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.folding import narrowest, stream_lanes
from xnorflow.folding.board_fit import BoardFit
from xnorflow.folding.cheapest import FoldingChoice
from xnorflow.folding.lookup_choice import with_cheaper_layers
from xnorflow.plan.layer_rules import Part, reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources.budget import Budget
from xnorflow.resources.usage import Resources
from xnorflow.sweeps.code_version import check_code, code_version
from xnorflow.sweeps.dispatch import PointBatch, Request
from xnorflow.sweeps.parcels import board_named, board_text, digest, unpacked_network
from xnorflow.sweeps.sweep_rows import RowKind

FITS, TIGHT, LARGE = "fits", "tight", "too large"
"""The device has room for the folding; only without the usual headroom; or has no room."""
UNREACHED, TOO_FAST, UNSUPPORTED = "out of reach", "clock out of reach", "unsupported"
"""No folding is so fast; no design of the FPGA family has such a clock; no hardware for a layer."""
AT_ONCE = 500
"""Most targets of a batch, each for all clocks."""

_POINT = {
    "network": "string",
    "network_digest": "string",
    "board": "string",
    "board_digest": "string",
    "cycles": "int64",
    "clock_mhz": "float64",
    "code": "string",
}
_TAKES = {
    "status": "string",
    "why": "string",
    "ii": "int64",
    "fps": "float64",
    "lut": "int64",
    "ff": "int64",
    "bram": "int64",
    "spram": "int64",
    "dsp": "int64",
    "lut_share": "float64",
    "ff_share": "float64",
    "bram_share": "float64",
    "folding": "string",
}
FOLDINGS = RowKind(
    "points", _POINT, _TAKES, ("network", "network_digest", "board", "clock_mhz", "cycles")
)
"""Rows of foldings by the cost tables: interval of the busiest part, and estimated resources."""


@dataclass(frozen=True)
class Target:
    """A device that a network is folded for.

    Parameters
    ----------
    net : IntegerNetwork
        The network.
    parcel : str
        Name of its file among the parcels.
    device : Fpga
        The FPGA.
    board : str
        What names the board on another machine.
    """

    net: ir.IntegerNetwork
    parcel: str
    device: Fpga
    board: str

    @classmethod
    def of(cls, net: ir.IntegerNetwork, parcel: str, board: str) -> Target:
        """Return the target for a board as a user names it."""
        return cls(net, parcel, fpga(board), board_text(board))

    def point(self, cycles: int, clock: float) -> dict[str, Any]:
        """Return the columns that say which point is meant."""
        return {
            "network": self.net.name,
            "network_digest": self.net.digest,
            "board": self.device.board,
            "board_digest": digest(self.board.encode()),
            "cycles": cycles,
            "clock_mhz": clock,
            "code": code_version(),
        }


@dataclass
class Wanted:
    """The points of a sweep for one target.

    Parameters
    ----------
    target : Target
        Network and device.
    clocks : mapping of int to list of float
        Clocks in MHz of each target in cycles per frame.
    """

    target: Target
    clocks: dict[int, list[float]] = field(default_factory=dict)

    def points(self) -> list[dict[str, Any]]:
        """Return all points."""
        return [self.target.point(c, mhz) for c, each in self.clocks.items() for mhz in each]

    def batches(self, done: set[str]) -> list[PointBatch]:
        """Return batches of the points that are not done."""

        def missing(cycles: int, mhz: float) -> bool:
            return FOLDINGS.key(self.target.point(cycles, mhz)) not in done

        left = {c: [mhz for mhz in each if missing(c, mhz)] for c, each in self.clocks.items()}
        open_ = [(cycles, each) for cycles, each in left.items() if each]
        # Shares of about the same size, so that no batch is a small rest.
        number = ceil(len(open_) / AT_ONCE)
        return [self._batch(open_[i::number]) for i in range(number)]

    def _batch(self, targets: Sequence[tuple[int, list[float]]]) -> PointBatch:
        request = {
            "code": code_version(),
            "network_digest": self.target.net.digest,
            "board": self.target.board,
            "targets": [[cycles, *each] for cycles, each in targets],
        }
        name = digest(json.dumps(request).encode())
        return PointBatch(
            f"foldings-{name}",
            sum(len(each) for _, each in targets),
            evaluate,
            request,
            (self.target.parcel,),
        )


def spread(net: ir.IntegerNetwork, number: int) -> list[int]:
    """Return targets in cycles per frame from the fastest folding to the slowest.

    Parameters
    ----------
    net : IntegerNetwork
        Network to fold.
    number : int
        Number of targets, evenly spaced on a logarithmic scale. There are fewer if so many whole
        numbers do not lie between the ends.
    """
    parts = reductions(net)
    frame, group = stream_lanes.input_groups(net)
    begin = max(frame // group, *(_fewest_cycles(part) for part in parts))
    end = max(begin, *(part.cycles(part.smallest_fold) for part in parts))
    found = np.geomspace(begin, end, max(2, number)).round().astype(int)
    return [int(n) for n in np.unique(np.clip(found, begin, end))]


def _fewest_cycles(part: Part) -> int:
    return min(part.cycles(fold) for fold in narrowest.foldings(part))


def folding_text(parts: Sequence[Part], folds: Sequence[Fold]) -> str:
    """Return a folding as the text of a folding file."""
    pairs = zip(parts, folds, strict=True)
    layers = {p.name: {"pe": f.pe, "simd": f.simd, "pixels": f.pixels} for p, f in pairs}
    return json.dumps({"layers": layers})


def folding_of(parts: Sequence[Part], text: str) -> tuple[Fold, ...]:
    """Return the folding of a text that `folding_text` wrote."""
    layers: Mapping[str, Mapping[str, int]] = json.loads(text)["layers"]
    found = (layers[part.name] for part in parts)
    return tuple(Fold(e["pe"], e["simd"], e["pixels"]) for e in found)


class Tables:
    """The cost tables of a network on a board, and what follows from them for all targets.

    Parameters
    ----------
    fit : BoardFit
        The search for foldings, which has the tables.

    Attributes
    ----------
    groups : (int, int)
        Samples per frame and per group of the input stream.
    """

    def __init__(self, fit: BoardFit) -> None:
        self.fit = fit
        self.groups = stream_lanes.input_groups(fit.net)

    @cached_property
    def _fastest(self) -> dict[str, float]:
        """The fastest target that fits, with and without headroom; infinite if none does.

        To find that a target does not fit takes a hundred times as long as to find a folding, so
        it is not tried for each of them.
        """
        budgets = {FITS: self.fit.budget, TIGHT: self.fit.whole}
        found = {status: self.fit.search.fastest_choice(of) for status, of in budgets.items()}
        return {status: choice.cycles if choice else inf for status, choice in found.items()}

    def choice(self, cycles: int) -> tuple[FoldingChoice | None, str]:
        """Return the smallest folding for a target that the device has room for, or else any."""
        budgets = {FITS: self.fit.budget, TIGHT: self.fit.whole}
        for status, budget in budgets.items():
            if cycles < self._fastest[status]:
                continue
            if (found := self.fit.search.within(cycles, budget)) is not None:
                return found, status
        found = self.fit.search.within(cycles, Budget(inf, inf, inf, self.fit.budget.ram))
        return found, UNREACHED if found is None else LARGE


@lru_cache(maxsize=2)
def tables_of(board: str, network: bytes) -> Tables:
    """Return the tables for a network on a board; they take seconds, so they are kept.

    Parameters
    ----------
    board : str
        What `board_text` said of the board.
    network : bytes
        File of the network.
    """
    net, named = unpacked_network(network), board_named(board)
    where = clock_for(named, None)
    net = with_cheaper_layers(
        net,
        fpga(named).family,
        lambda n: fewest_lanes(reductions(n), assembler(n, named, where), None).shape,
    )
    return Tables(BoardFit(net, named, where.mhz, assembler(net, named, where)))


def evaluate(request: Request, parcels: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Return the rows of a batch, on a worker."""
    check_code(request["code"])
    board = request["board"]
    tables = tables_of(board, parcels[0])
    fit = tables.fit
    # Lookups may have become products in the fit's network; rows are of the one that was asked for.
    target = Target(fit.net, "", fit.device, board)
    rows = []
    for cycles, *clocks in request["targets"]:
        found = _folded(tables, cycles)
        for mhz in clocks:
            point = target.point(cycles, mhz) | {"network_digest": request["network_digest"]}
            rows.append(point | at_clock(found, fit.device, mhz))
    return rows


def at_clock(found: Mapping[str, Any], device: Fpga, mhz: float) -> dict[str, Any]:
    """Return the result of a folding at a clock."""
    try:
        doubt = clock_limits.remark(device.family, mhz)
    except BadInput as e:
        return {"status": TOO_FAST, "why": str(e)}
    if found.get("ii") is None:
        return dict(found)
    why = "; ".join(filter(None, (found["why"], f"clock {doubt}" if doubt else "")))
    return {**found, "why": why, "fps": mhz * 1e6 / found["ii"]}


def _folded(tables: Tables, cycles: int) -> dict[str, Any]:
    """Return what the tables say of the smallest folding for a target."""
    fit = tables.fit
    try:
        search = fit.search
    except UnsupportedModel as e:
        return {"status": UNSUPPORTED, "why": str(e)}
    choice, status = tables.choice(cycles)
    if choice is None:
        return {"status": status, "why": search.out_of_reach(cycles)}
    engines = max(p.cycles(f) for p, f in zip(search.parts, choice.folds, strict=True))
    frame, group = tables.groups
    lanes = stream_lanes.input_lanes(group, frame, choice.folds[0], cycles)
    stream = frame // group * ceil(group / lanes)
    exceeded = fit.whole.exceeded(choice.takes)
    why = f"it takes about {', '.join(exceeded)}" if exceeded else ""
    return {
        **taken(choice.takes, fit.device),
        "status": status,
        "why": why,
        "ii": max(engines, stream),
        "folding": folding_text(search.parts, choice.folds),
    }


def taken(takes: Resources, device: Fpga) -> dict[str, Any]:
    """Return the columns of estimated resources, and their shares of the device in percent."""
    used = {
        "lut": (round(float(takes.luts)), device.luts),
        "ff": (round(float(takes.ffs)), device.ffs),
        "bram": (int(takes.ram_blocks), device.ram_blocks),
    }
    return {
        **{name: number for name, (number, _) in used.items()},
        "spram": takes.sprams,
        "dsp": takes.dsps,
        **{f"{name}_share": round(100 * n / of.use(), 2) for name, (n, of) in used.items()},
    }


def clocks_of(board: str, clocks: Sequence[float]) -> list[float]:
    """Return the clocks in MHz of a board in a sweep: those given, or its family's assumed one.

    Raises
    ------
    BadInput
        If one is out of range for any FPGA.
    """
    if not clocks:
        return [clock_for(board, None).mhz]
    return sorted({Clock.given(clock).mhz for clock in clocks})
