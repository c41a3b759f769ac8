"""Devices and their published figures, each with its source and the date it was looked up.

The data live in ``fpgas.json`` and ``gpus.json`` beside this file. A figure there is
``[value, source]``; a source says how far it can be trusted. A figure from memory is marked
``unverified`` and `Datum.use` refuses it, so no result can rest on one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

from xnorflow.devices.figure import Figure, Origin
from xnorflow.errors import BadInput
from xnorflow_hw.spec.kinds import Fabric

Status = Literal["vendor", "tool", "third-party", "derived", "assumed", "unverified"]
STATUS_TEXT: dict[Status, str] = {
    "vendor": "the vendor's document was read",
    "tool": "a vendor's or open tool reports it for this part",
    "third-party": "a third party quotes the vendor",
    "derived": "computed from published figures",
    "assumed": "assumed, to be replaced by the user",
    "unverified": "no source found; not used in any result",
}


@dataclass(frozen=True)
class Source:
    """Where a figure comes from.

    Parameters
    ----------
    key : str
        Short name within its data file.
    document, url : str
        Document with table or page; address, empty where there is none.
    looked_up : str
        Date, ISO 8601.
    status : str
        How far it can be trusted, see `STATUS_TEXT`.
    """

    key: str
    document: str
    url: str
    looked_up: str
    status: Status


@dataclass(frozen=True)
class Datum:
    """A figure of a device with its source."""

    value: float
    source: Source

    @property
    def usable(self) -> bool:
        """Whether a result may rest on it."""
        return self.source.status != "unverified"

    def use(self) -> float:
        """Give the value; BadInput if it has no source."""
        if not self.usable:
            raise BadInput(
                f"a device figure of {self.value:g} has no source "
                f"({self.source.document}), so no result may use it"
            )
        return self.value

    def figure(self, unit: str) -> Figure:
        """Give it as a `Figure`: published unless it was derived or assumed."""
        weak = self.source.status in ("derived", "assumed")
        return Figure(
            self.use(), unit, Origin.ESTIMATED if weak else Origin.PUBLISHED, self.source.document
        )


@dataclass(frozen=True)
class Family:
    """What the parts of an FPGA family have in common.

    Parameters
    ----------
    name, vendor : str
        Family and its maker.
    lut_inputs : int
        4 or 6.
    coefficients : str
        Whose coefficients of `xnorflow.resources.coefficients` the resource model takes.
    fabric : Fabric
        Fabric whose primitives arithmetic is placed with; "generic" where none are.
    ram_registers : bool
        Whether a RAM block ends in a register of its own, which hides whether it is addressed.
    ram_zeroes : bool
        Whether a RAM block that is not addressed gives zeros by itself.
    ram : str
        Name of a RAM block.
    ram_shapes : tuple of (int, int)
        Native depth x width of a RAM block, read and write on separate ports.
    ram_source : Source
        Where the shapes come from.
    lutram_shapes : tuple of (int, int)
        Native depth x width of a memory of LUTs with one write and one read port; none where LUTs
        cannot be memory.
    lutram_luts : Datum
        LUTs of such a memory.
    block_luts : Datum
        LUTs that a block is worth while there are enough of both.
    clock_mhz : Datum
        Assumed clock in MHz.
    ram_pair_shapes : tuple of (int, int)
        Shapes of two RAM blocks joined to one, where the family has that.
    spram_shape : (int, int), optional
        Depth x width of a large single-port RAM without initial contents, where the family has one.
    spram_source : Source, optional
        Where that comes from.
    spram_luts : Datum, optional
        LUTs that it is worth while there are enough of both.
    """

    name: str
    vendor: str
    lut_inputs: int
    coefficients: str
    fabric: Fabric
    ram_registers: bool
    ram_zeroes: bool
    ram: str
    ram_shapes: tuple[tuple[int, int], ...]
    ram_source: Source
    lutram_shapes: tuple[tuple[int, int], ...]
    lutram_luts: Datum
    block_luts: Datum
    clock_mhz: Datum
    ram_pair_shapes: tuple[tuple[int, int], ...] = ()
    spram_shape: tuple[int, int] | None = None
    spram_source: Source | None = None
    spram_luts: Datum | None = None


@dataclass(frozen=True)
class Fpga:
    """A board's FPGA.

    Parameters
    ----------
    board, part : str
        Names as in the command line and the data sheet.
    family : Family
        Its family.
    luts, ffs, ram_blocks, dsps : Datum
        How many there are; RAM blocks are those of ``family.ram``.
    power_w : Datum, optional
        Published board power in W.
    sprams : Datum, optional
        How many RAMs of ``family.spram_shape`` there are, if any.
    """

    board: str
    part: str
    family: Family
    luts: Datum
    ffs: Datum
    ram_blocks: Datum
    dsps: Datum
    power_w: Datum | None = None
    sprams: Datum | None = None

    @property
    def spram_number(self) -> int:
        """Number of RAMs of ``family.spram_shape``."""
        return 0 if self.sprams is None else int(self.sprams.use())


@dataclass(frozen=True)
class Gpu:
    """A GPU and its peak rates, 2 operations per multiply-accumulate.

    Parameters
    ----------
    name, title, architecture : str
        Command-line name, full name, architecture.
    b1_k : int
        Reduction depth that a 1-bit tensor instruction works on, in bits.
    sms, clock_mhz : Datum
        Multiprocessors; clock of the peak rates in MHz.
    tops : mapping of str to Datum
        Dense peak rates in 1e12 operations per second for fp32, fp16, int8, b1.
    popc_per_clock_sm : Datum
        32-bit population counts per clock and multiprocessor.
    bandwidth_gbs, power_w : Datum
        Memory bandwidth in 1e9 bytes per second; board power in W.
    """

    name: str
    title: str
    architecture: str
    b1_k: int
    sms: Datum
    clock_mhz: Datum
    tops: Mapping[str, Datum]
    popc_per_clock_sm: Datum
    bandwidth_gbs: Datum
    power_w: Datum


@cache
def _read(name: str) -> tuple[dict[str, Any], dict[str, Source]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    data = cast("dict[str, Any]", json.loads(text))
    sources = {}
    for key, entry in data["sources"].items():
        if entry["status"] not in get_args(Status):
            raise BadInput(f"{name}: source {key!r} has the unknown status {entry['status']!r}")
        sources[key] = Source(key, **entry)
    return data, sources


def _datum(pair: list[Any], sources: dict[str, Source]) -> Datum:
    value, source = pair
    return Datum(value, sources[source])


def _spram(
    family: dict[str, Any], sources: dict[str, Source]
) -> tuple[tuple[int, int] | None, Source | None, Datum | None]:
    """Give shape, source and worth of a family's large single-port RAM, if it has one."""
    if "spram_shape" not in family:
        return None, None, None
    depth, width = family["spram_shape"]
    worth = _datum(family["spram_luts"], sources)
    return (depth, width), sources[family["spram_source"]], worth


@cache
def fpgas() -> Mapping[str, Fpga]:
    """Give every known board's FPGA by board name."""
    data, sources = _read("fpgas.json")
    families = {}
    for name, f in data["families"].items():
        families[name] = Family(
            name,
            f["vendor"],
            f["lut_inputs"],
            f["coefficients"],
            f["fabric"],
            f["ram_registers"],
            f["ram_zeroes"],
            f["ram"],
            tuple((d, w) for d, w in f["ram_shapes"]),
            sources[f["ram_source"]],
            tuple((d, w) for d, w in f["lutram_shapes"]),
            _datum(f["lutram_luts"], sources),
            _datum(f["block_luts"], sources),
            _datum(f["clock_mhz"], sources),
            tuple((d, w) for d, w in f.get("ram_pair_shapes", ())),
            *_spram(f, sources),
        )
    boards = {}
    for board, entry in data["boards"].items():
        part = data["parts"][entry["part"]]
        luts, ffs, blocks, dsps = (
            _datum(part[k], sources) for k in ("luts", "ffs", "ram_blocks", "dsps")
        )
        power = _datum(entry["power_w"], sources) if "power_w" in entry else None
        sprams = _datum(part["sprams"], sources) if "sprams" in part else None
        boards[board] = Fpga(
            board, entry["part"], families[part["family"]], luts, ffs, blocks, dsps, power, sprams
        )
    return boards


@cache
def gpus() -> Mapping[str, Gpu]:
    """Give every known GPU by name."""
    data, sources = _read("gpus.json")
    found = {}
    for name, g in data["gpus"].items():
        d = {k: _datum(v, sources) for k, v in g.items() if isinstance(v, list)}
        tops = {k: d[f"{k}_tops"] for k in ("fp32", "fp16", "int8", "b1")}
        found[name] = Gpu(
            name,
            g["title"],
            g["architecture"],
            g["b1_k"],
            d["sms"],
            d["clock_mhz"],
            tops,
            d["popc_per_clock_sm"],
            d["bandwidth_gbs"],
            d["power_w"],
        )
    return found


def fpga(board: str) -> Fpga:
    """Give a board's FPGA; BadInput names the known ones."""
    if board not in fpgas():
        raise BadInput(f"unknown FPGA board {board!r}; known are {', '.join(fpgas())}")
    return fpgas()[board]


def gpu(name: str) -> Gpu:
    """Give a GPU; BadInput names the known ones."""
    if name not in gpus():
        raise BadInput(f"unknown GPU {name!r}; known are {', '.join(gpus())}")
    return gpus()[name]
