"""Amaranth platforms of board files: from their pins, or from the class that they name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from amaranth.build import Attrs, Clock, PinsN, Resource, Subsignal
from amaranth.build import Pins as AmaranthPins
from amaranth.vendor import (
    GowinPlatform,
    LatticeECP5Platform,
    LatticeICE40Platform,
    XilinxPlatform,
)

from xnorflow.devices.board_file import BoardFile, Pins
from xnorflow.devices.board_names import platform_class
from xnorflow.devices.part_names import PartName
from xnorflow.errors import BadInput
from xnorflow.inputs import blaming


def platform_maker(file: BoardFile, may_import: bool) -> Callable[[], Any]:
    """Return a function that makes a new Amaranth platform of a board file.

    Parameters
    ----------
    file : BoardFile
        The board, whose pins lead to a host.
    may_import : bool
        Whether a class outside amaranth_boards may be imported. The function raises BadInput if
        the file names one and this is not set, and ImportError if amaranth_boards is missing.
    """

    def make() -> Any:
        if file.platform:
            return _of_class(file, may_import)
        cls = _with_options(_vendor(file), file, _attributes(file))
        with blaming(f"the board {file.name} makes no platform"):
            return cls()

    return make


def without_pins(file: BoardFile) -> BoardFile:
    """Return a file with pins that stand for those that nextpnr chooses.

    The clock pin has 25 MHz, which every family's PLL takes.
    """
    names = (("pin", "any0"), ("rx", "any1"), ("tx", "any2"))
    return replace(file, clock=Pins(names[:1]), clock_mhz=25.0, uart=Pins(names[1:]))


def _of_class(file: BoardFile, may_import: bool) -> Any:
    if not may_import and not file.platform.startswith("amaranth_boards."):
        raise BadInput(
            f"the board {file.name} has the pins of {file.platform}, and to import it would run"
            " the code of that package. What would work: 'xnorflow build --import-platform', if you"
            " trust it"
        )
    cls = _with_options(platform_class(file.platform), file, {})
    with blaming(f"{file.platform} makes no platform"):
        platform = cls()
    if file.uart is not None:
        with blaming(f"the serial port of {file.name} does not go with {file.platform}"):
            platform.add_resources([_uart(file.uart)])
    if ("uart", 0) not in platform.resources:
        raise BadInput(
            f"{file.platform} has no serial port ('uart' 0). What would work: a board file with"
            f" [platform] class = '{file.platform}' and the pins of one in [uart]"
        )
    if (platform.default_clk, 0) not in platform.resources:
        raise BadInput(
            f"{file.platform} has no clock pin but {platform.default_clk}. What would work: a board"
            " file with the pins in [clock] and [uart]"
        )
    return platform


def _with_options(base: type, file: BoardFile, attributes: dict[str, Any]) -> type:
    """Return a class of platforms that adds the file's options of the bitstream."""
    options = {}
    if file.compress:
        # ecppack compresses the frames; the FPGA's loader expands them.
        options["ecppack_opts"] = "--compress"
    if file.spi_as_gpio:
        options["gowin_pack_opts"] = "--sspi_as_gpio --mspi_as_gpio"
    attributes = {"pll_at_pad": file.pll_at_pad} | attributes

    def toolchain_prepare(self: Any, fragment: Any, name: str, **overrides: Any) -> Any:
        return super(cls, self).toolchain_prepare(fragment, name, **options | overrides)

    cls: Any = type("BoardPlatform", (base,), attributes | {"toolchain_prepare": toolchain_prepare})
    return cls


def _vendor(file: BoardFile) -> type:
    match file.part.family:
        case "ecp5":
            found = LatticeECP5Platform
        case "ice40-ultraplus" | "ice40-hx" | "ice40-lp":
            found = LatticeICE40Platform
        case "gw1nr" | "gw2ar":
            found = GowinPlatform
        case "xilinx-7" | "xilinx-ultrascale" | "xilinx-ultrascale-plus":
            found = XilinxPlatform
        case other:
            raise TypeError(f"no platform for FPGAs of the family {other}")
    return found


def die_of(file: BoardFile) -> str:
    """Return Gowin's name of a part's die, "GW1NR-9C", as the file says it or for the C die.

    Parts of speed grade C hold the die C, which open tools know.
    """
    return file.die or f"{file.part.device}C"


def _attributes(file: BoardFile) -> dict[str, Any]:
    """Return the attributes of the platform's class."""
    assert file.clock is not None
    part, clock = file.part, f"clk{file.clock_mhz:g}".replace(".", "_")
    resources = [
        Resource(
            clock,
            0,
            AmaranthPins(file.clock["pin"], dir="i"),
            Clock(file.clock_mhz * 1e6),
            _attrs(file.clock),
        )
    ]
    if file.uart is not None:
        resources.append(_uart(file.uart))
    if file.stream is not None:
        resources.append(_stream(file.stream))
    found = {"default_clk": clock, "resources": resources, "connectors": []}
    if file.reset is not None:
        named = PinsN if file.reset.active_low else AmaranthPins
        resources.append(Resource("rst", 0, named(file.reset["pin"], dir="i"), _attrs(file.reset)))
        found["default_rst"] = "rst"
    if file.leds is not None:
        named = PinsN if file.leds.active_low else AmaranthPins
        resources.append(
            Resource("status_led", 0, named(file.leds["0"], dir="o"), _attrs(file.leds))
        )
    if file.flash is not None:
        resources.append(_flash(file.flash))
    return found | _names(file, part)


def _names(file: BoardFile, part: PartName) -> dict[str, str]:
    """Return the attributes with which Amaranth names the part."""
    if part.family.startswith("gw"):
        return {"part": part.text, "family": die_of(file)}
    device = part.device
    if part.family.startswith("xilinx"):
        # The temperature grade stands between the die and the package.
        device = part.text[: part.text.index(part.package)].rstrip("-")
    found = {"device": device, "package": part.package}
    return found if part.family.startswith("ice40") else found | {"speed": part.speed}


def _attrs(pins: Pins) -> Attrs:
    return Attrs(**dict(pins.io))


def _uart(uart: Pins) -> Resource:
    return Resource(
        "uart",
        0,
        Subsignal("rx", AmaranthPins(uart["rx"], dir="i")),
        Subsignal("tx", AmaranthPins(uart["tx"], dir="o")),
        _attrs(uart),
    )


def _stream(stream: Pins) -> Resource:
    """Return the byte streams, bit 0 first, with the clock that they are synchronous to."""

    def pins(name: str, direction: str) -> Subsignal:
        names = [pin for key, pin in stream.pins if key.rstrip("01234567") == name]
        return Subsignal(name, AmaranthPins(" ".join(names), dir=direction))

    ins = [pins(name, "i") for name in ("rx_data", "rx_valid", "tx_ready")]
    outs = [pins(name, "o") for name in ("clk", "rx_ready", "tx_data", "tx_valid")]
    return Resource("byte_stream", 0, *ins, *outs, _attrs(stream))


def _flash(flash: Pins) -> Resource:
    return Resource(
        "spi_flash_1x",
        0,
        Subsignal("cs", PinsN(flash["cs"], dir="o")),
        Subsignal("clk", AmaranthPins(flash["clk"], dir="o")),
        Subsignal("copi", AmaranthPins(flash["copi"], dir="o")),
        Subsignal("cipo", AmaranthPins(flash["cipo"], dir="i")),
        _attrs(flash),
    )
