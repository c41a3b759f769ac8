"""Devices and their published figures, each with its source and the date it was looked up.

The data are in ``fpgas.json`` and ``gpus.json`` beside this file. A figure there is
``[value, source]``, and a source says how far it can be trusted. A figure without a source is
marked ``unverified``; `Datum.use` refuses it, so no result can rest on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, Literal, get_args

from xnorflow.devices.board_file import BoardFile
from xnorflow.devices.board_names import PARTS, SHIPPED, described, plugged_in, shipped
from xnorflow.devices.device_data import content
from xnorflow.devices.figure import Figure, Origin
from xnorflow.devices.near_names import did_you_mean, same_but_case
from xnorflow.devices.part_names import known_parts
from xnorflow.errors import BadInput
from xnorflow_hw.spec.kinds import Fabric

Status = Literal["vendor", "tool", "third-party", "derived", "assumed", "stated", "unverified"]
STATUS_TEXT: dict[Status, str] = {
    "vendor": "the vendor's document was read",
    "tool": "a vendor's or open tool reports it for this part",
    "third-party": "a third party quotes the vendor",
    "derived": "computed from published figures",
    "assumed": "assumed, to be replaced by the user",
    "stated": "stated in the user's file, not checked",
    "unverified": "no source found; not used in any result",
}


@dataclass(frozen=True)
class Source:
    """Source of a figure.

    Parameters
    ----------
    key : str
        Short name of the source within its data file.
    document : str
        Document, with table or page.
    url : str
        Address of the document; empty if there is none.
    looked_up : str
        Date on which the document was read, ISO 8601.
    status : str
        How far the source can be trusted, see `STATUS_TEXT`.
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
        """Whether a result may rest on the figure."""
        return self.source.status != "unverified"

    def use(self) -> float:
        """Return the value.

        Raises
        ------
        BadInput
            If the figure has no source.
        """
        if not self.usable:
            raise BadInput(
                f"a device figure of {self.value:g} in the tables has no source"
                f" ({self.source.document}), so no result may use it"
            )
        return self.value

    def figure(self, unit: str) -> Figure:
        """Return the value as a `Figure` in `unit`: published, or estimated where it is not.

        Raises
        ------
        BadInput
            If the figure has no source.
        """
        weak = self.source.status in ("derived", "assumed", "stated")
        return Figure(
            self.use(), unit, Origin.ESTIMATED if weak else Origin.PUBLISHED, self.source.document
        )


@dataclass(frozen=True)
class Dsp:
    """Which products of a code and a weight become DSP blocks on a family, and how many.

    Codes are unsigned and weights signed.

    Parameters
    ----------
    operands : (int, int)
        Bits of the widest operands of a block.
    source : Source
        Source of the numbers.
    signed : bool
        Whether both operands are signed, so that a code takes one bit more.
    halves : int
        Bits up to which both operands take half a block; 0 if there are no halves.
    narrowest : int
        Fewest bits of an operand for which tools take a block.
    least : int
        Fewest bits of both operands together.
    """

    operands: tuple[int, int]
    source: Source
    signed: bool = False
    halves: int = 0
    narrowest: int = 1
    least: int = 0

    def blocks(self, code_bits: int, weight_bits: int) -> float:
        """Return the blocks of a product, a whole or a half; 0 if it becomes logic."""
        code = code_bits + self.signed
        if min(code, weight_bits) < self.narrowest or code_bits + weight_bits < self.least:
            return 0.0
        if max(code, weight_bits) <= self.halves:
            return 0.5
        a, b = self.operands
        return float(
            min(ceil(x / a) * ceil(y / b) for x, y in ((code, weight_bits), (weight_bits, code)))
        )


@dataclass(frozen=True)
class Family:
    """Properties that all parts of an FPGA family share.

    Parameters
    ----------
    name, vendor : str
        Family and its maker.
    lut_inputs : int
        Inputs of a LUT, 4 or 6.
    coefficients : str
        Name of the coefficients in `xnorflow.resources.coefficients` that the resource model uses.
    fabric : Fabric
        Fabric whose primitives arithmetic uses; "generic" if it uses none.
    ram_registers : bool
        Whether a block of RAM has an output register of its own.
    ram_zeroes : bool
        Whether the output of a block of RAM that is not addressed is zero.
    ram : str
        Name of a block of RAM.
    ram_shapes : tuple of (int, int)
        Native depths and widths of a block of RAM that reads and writes on separate ports.
    ram_source : Source
        Source of the shapes.
    lutram_shapes : tuple of (int, int)
        Native depths and widths of a memory of LUTs with one write and one read port; empty if LUTs
        cannot be memory.
    lutram_luts : Datum
        LUTs of such a memory.
    block_luts : Datum
        LUTs that a block of RAM is worth as long as neither is scarce.
    clock_mhz : Datum
        Assumed clock in MHz.
    ram_pair_shapes : tuple of (int, int)
        Depths and widths of two blocks of RAM that the device joins; empty if it joins none.
    spram_shape : (int, int), optional
        Depth and width of an SPRAM, a large single-port RAM without initial contents, if the family
        has any.
    spram_source : Source, optional
        Source of that shape.
    spram_luts : Datum, optional
        LUTs that an SPRAM is worth as long as neither is scarce.
    dsp : Dsp, optional
        DSP blocks that products of codes and weights take, if the family has any.
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
    dsp: Dsp | None = None

    def __hash__(self) -> int:
        """Return a hash of the name alone: a search looks up very many things by family."""
        return hash(self.name)


@dataclass(frozen=True)
class Fpga:
    """FPGA of a board.

    Parameters
    ----------
    board, part : str
        Name of the board on the command line, and of the part in its data sheet.
    family : Family
        Family of the part.
    luts, ffs, ram_blocks, dsps : Datum
        Number of LUTs, flip-flops, blocks of RAM and DSP blocks.
    power_w : Datum, optional
        Published power of the board in W.
    power_error : str
        What is known of the error of that power, in words.
    sprams : Datum, optional
        Number of SPRAMs, if the part has any.
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
    power_error: str = ""

    @property
    def dsp_number(self) -> int:
        """Number of DSP blocks that arrays may take; 0 if there are none, or none with a source."""
        return int(self.dsps.use()) if self.family.dsp is not None and self.dsps.usable else 0

    @property
    def spram_number(self) -> int:
        """Number of SPRAMs, 0 if the part has none."""
        return 0 if self.sprams is None else int(self.sprams.use())


@dataclass(frozen=True)
class Gpu:
    """A GPU and its peak rates, counting 2 operations per multiply-accumulate.

    Parameters
    ----------
    name, title, architecture : str
        Name on the command line, full name, and architecture.
    b1_k : int
        Depth in bits of the sums that a 1-bit tensor instruction computes.
    sms : Datum
        Number of multiprocessors.
    clock_mhz : Datum
        Clock in MHz at which the peak rates hold.
    tops : mapping of str to Datum
        Dense peak rates in 1e12 operations per second for "fp32", "fp16", "int8" and "b1".
    popc_per_clock_sm : Datum
        32-bit population counts per clock and multiprocessor.
    bandwidth_gbs : Datum
        Memory bandwidth in 1e9 bytes per second.
    power_w : Datum
        Power of the board in W.
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
def sourced(name: str) -> tuple[dict[str, Any], dict[str, Source]]:
    """Return the content of a data file of this room, and its sources by their keys.

    Raises
    ------
    BadInput
        If a source has an unknown status.
    """
    data = content(name)
    sources = {}
    for key, entry in data["sources"].items():
        if entry["status"] not in get_args(Status):
            raise BadInput(f"{name}: source {key!r} has the unknown status {entry['status']!r}")
        sources[key] = Source(key, **entry)
    return data, sources


def datum(pair: Sequence[Any], sources: Mapping[str, Source]) -> Datum:
    """Return the figure that a data file has as ``[value, key of the source]``."""
    value, source = pair
    return Datum(value, sources[source])


def _spram(
    family: dict[str, Any], sources: dict[str, Source]
) -> tuple[tuple[int, int] | None, Source | None, Datum | None]:
    """Return shape, source and worth in LUTs of a family's SPRAM; all None if it has none."""
    if "spram_shape" not in family:
        return None, None, None
    depth, width = family["spram_shape"]
    worth = datum(family["spram_luts"], sources)
    return (depth, width), sources[family["spram_source"]], worth


def _dsp(found: dict[str, Any] | None, sources: dict[str, Source]) -> Dsp | None:
    """Return a family's DSP blocks, None if it has none."""
    if found is None:
        return None
    (a, b), source = found["operands"], sources[found["source"]]
    rest = {key: v for key, v in found.items() if key not in ("operands", "source")}
    return Dsp((a, b), source, **rest)


@cache
def families() -> Mapping[str, Family]:
    """Read the known FPGA families, by name."""
    data, sources = sourced("fpgas.json")
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
            datum(f["lutram_luts"], sources),
            datum(f["block_luts"], sources),
            datum(f["clock_mhz"], sources),
            tuple((d, w) for d, w in f.get("ram_pair_shapes", ())),
            *_spram(f, sources),
            _dsp(f.get("dsp"), sources),
        )
    return families


@cache
def fpgas() -> Mapping[str, Fpga]:
    """Read the FPGAs of the shipped boards, by the board's name."""
    return {name: _device(shipped(name)) for name in SHIPPED}


@cache
def _device(board: BoardFile) -> Fpga:
    """Return the FPGA of a board file: what the tables have, and what the file states instead.

    Raises
    ------
    BadInput
        If the tables do not have the part and the file does not state its capacities.
    """
    data, sources = sourced("fpgas.json")
    part = board.part
    known: dict[str, Datum] = {
        name: datum(figure, sources)
        for name, figure in data["parts"].get(part.key, {}).items()
        if isinstance(figure, list)
    }
    if not known and (plugged := plugged_in(PARTS, part.key)) is not None:
        known = _stated(plugged)
    known |= _stated(board)
    lacking = [name for name in ("luts", "ffs", "ram_blocks") if name not in known]
    if lacking:
        raise BadInput(
            f"the capacities of {part.text} are not known. What would work: {', '.join(lacking)} in"
            f" [capacities] of a board file, or one of the known parts {', '.join(known_parts())}"
            f"{did_you_mean(part.device, known_parts())}"
        )
    if board.clock is not None and board.flash is None:
        # What SPRAMs hold is loaded from the flash.
        known.pop("sprams", None)
    return Fpga(
        board.name,
        part.key,
        families()[part.family],
        known["luts"],
        known["ffs"],
        known["ram_blocks"],
        known.get("dsps", Datum(0, _statement(board))),
        datum(power[:2], sources) if (power := data["power_w"].get(board.name)) else None,
        known.get("sprams"),
        power[2] if power else "",
    )


def _stated(board: BoardFile) -> dict[str, Datum]:
    """Return the capacities that a board file states."""
    return {name: Datum(value, _statement(board)) for name, value in board.capacities}


def _statement(board: BoardFile) -> Source:
    document = board.source or f"the file of the board {board.name}"
    return Source(f"{board.name} capacities", document, "", "", "stated")


@cache
def gpus() -> Mapping[str, Gpu]:
    """Read all known GPUs, by name."""
    data, sources = sourced("gpus.json")
    found = {}
    for name, g in data["gpus"].items():
        d = {k: datum(v, sources) for k, v in g.items() if isinstance(v, list)}
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
    """Return the FPGA of a board.

    Parameters
    ----------
    board : str
        The board as `xnorflow.devices.board_names.described` takes it: a name, a board file, a
        platform's class or a part.

    Raises
    ------
    BadInput
        If there is no such board, or too little is known of its FPGA; the message says what would
        work.
    """
    return _device(described(board))


def gpu(name: str) -> Gpu:
    """Return a GPU.

    Raises
    ------
    BadInput
        If there is no such GPU; the message lists the known ones.
    """
    known = same_but_case(name, gpus())
    if known is None:
        raise BadInput(
            f"unknown GPU {name!r}; known are {', '.join(gpus())}{did_you_mean(name, gpus())}"
        )
    return gpus()[known]
