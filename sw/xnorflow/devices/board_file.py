"""Board files: TOML that says what a board's FPGA is and which of its pins lead where.

The schema is in ``docs/boards.md``. A file is data alone: reading it imports and runs nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xnorflow.devices.near_names import did_you_mean
from xnorflow.devices.part_names import FAMILIES, PartName
from xnorflow.devices.toml_fields import Fields, no_pin_twice
from xnorflow.errors import BadInput
from xnorflow.inputs import blaming, opened

MAX_BYTES = 1 << 16
"""Most bytes of a board file."""
MAX_COUNT = 10**8
"""Most LUTs, flip-flops, blocks or DSPs of an FPGA."""
CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""How the class of an Amaranth platform is named: module:Class."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
"""Names of boards."""
COUNTS = {"luts": 1, "ffs": 1, "ram_blocks": 1, "dsps": 0, "sprams": 0}
"""What an FPGA has a number of, and the least that is possible."""
_KEYS = (
    *(
        "name",
        "title",
        "url",
        "part",
        "family",
        "die",
        "host",
        "io",
        "clock",
        "uart",
        "stream",
        "reset",
    ),
    *("leds", "flash", "loader", "bitstream", "capacities", "platform"),
)
STREAM_WORDS = ("clk", "rx_valid", "rx_ready", "tx_valid", "tx_ready")
STREAM_BYTES = ("rx_data", "tx_data")
"""Pins of the byte streams to and from the host: single ones, and eight each."""
_OPTIONS = {"compress": "ecp5", "spi_as_gpio": "gw", "pll_at_pad": "ice40"}
"""Options of the bitstream, and how the names of the families begin that have them."""

Attributes = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Pins:
    """Pins of one purpose.

    Parameters
    ----------
    pins : tuple of (str, str)
        Name of each within its table, such as "rx", and the pin.
    io : tuple of (str, str or int)
        Attributes of the pins, such as ("IO_TYPE", "LVCMOS33").
    active_low : bool
        Whether low means that it is pressed or lit.
    """

    pins: tuple[tuple[str, str], ...]
    io: Attributes = ()
    active_low: bool = False

    def __getitem__(self, name: str) -> str:
        """Return the pin of a name."""
        return dict(self.pins)[name]


@dataclass(frozen=True)
class Loader:
    """How openFPGALoader reaches a board.

    Parameters
    ----------
    board, cable : str
        The loader's name of the board or of the cable; empty if it is not named.
    dfu : bool
        Whether the board is loaded over USB DFU.
    """

    board: str = ""
    cable: str = ""
    dfu: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of openFPGALoader."""
        said = (("-b", self.board), ("-c", self.cable))
        return (
            *(word for flag, name in said if name for word in (flag, name)),
            *["--dfu"] * self.dfu,
        )


@dataclass(frozen=True)
class BoardFile:
    """What a board file says.

    Parameters
    ----------
    name, title, url : str
        Name, the maker's name, and address of the documentation.
    part : PartName
        The FPGA.
    die : str
        Gowin's name of the die, such as "GW1NR-9C"; empty if it follows from the part.
    host : str
        How frames reach the board.
    clock, uart, stream, reset, leds, flash : Pins, optional
        Pins of each; None where there are none.
    clock_mhz : float
        Frequency of the clock pin in MHz; 0 without one.
    loader : Loader
        How it is loaded.
    compress, spi_as_gpio, pll_at_pad : bool
        Options of the bitstream: whether it is compressed (ECP5), whether the pins of the
        configuration port are free for the design (Gowin), and whether the clock pin is the pad of
        a PLL (iCE40).
    capacities : tuple of (str, int)
        Numbers of `COUNTS` that the file states.
    source : str
        Where these numbers come from.
    platform : str
        Amaranth platform with the pins, module:Class; empty if the file has them.
    text : str
        The file itself.
    """

    name: str
    part: PartName
    title: str = ""
    url: str = ""
    die: str = ""
    host: str = ""
    clock: Pins | None = None
    clock_mhz: float = 0.0
    uart: Pins | None = None
    stream: Pins | None = None
    reset: Pins | None = None
    leds: Pins | None = None
    flash: Pins | None = None
    loader: Loader = field(default_factory=Loader)
    compress: bool = False
    spi_as_gpio: bool = False
    pll_at_pad: bool = False
    capacities: tuple[tuple[str, int], ...] = ()
    source: str = ""
    platform: str = ""
    text: str = ""

    @property
    def linked(self) -> bool:
        """Whether pins lead to a host."""
        return self.uart is not None or self.stream is not None or bool(self.platform)

    @classmethod
    def read(cls, path: Path) -> BoardFile:
        """Read a board file.

        Raises
        ------
        BadInput
            If there is no such file, or it says what cannot be; the message names the key.
        """
        if not path.exists():
            raise BadInput(
                f"there is no board file {path}; 'xnorflow boards --show ulx3s-25f' prints one to"
                " begin with"
            )
        with blaming(f"{path} is no board file"), opened(path, MAX_BYTES) as file:
            text = file.read().decode()
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, where: str) -> BoardFile:
        """Read the text of a board file; `where` names it in messages.

        Raises
        ------
        BadInput
            If it says what cannot be; the message names the key.
        """
        with blaming(f"{where} is no board file"):
            content = tomllib.loads(text)
        return _Reader(Fields(content, where), text).board()

    def pins(self) -> Iterator[tuple[str, str]]:
        """Yield the key and the pin of each pin."""
        for table in ("clock", "uart", "stream", "reset", "leds", "flash"):
            found: Pins | None = getattr(self, table)
            for name, pin in found.pins if found else ():
                yield f"{table}.{'pins' if table == 'leds' else name.rstrip('01234567')}", pin


class _Reader:
    """Reads one file; its methods each read a table of it."""

    def __init__(self, fields: Fields, text: str) -> None:
        self.fields, self.text = fields, text

    def board(self) -> BoardFile:
        """Return what the file says."""
        fields = self.fields
        fields.known(*_KEYS)
        self.io = fields.attributes("io")
        name = fields.word("name", "my-board")
        if not NAME.fullmatch(name):
            raise fields.wrong("name", f"has to be a name such as 'my-board', not {name!r}")
        clock, mhz = self._clock()
        capacities, source = self._capacities()
        compress, as_gpio, at_pad = self._bitstream()
        found = BoardFile(
            name=name,
            title=fields.text("title", name),
            url=fields.text("url", ""),
            part=self._part(),
            die=fields.word("die", "GW1NR-9C", ""),
            host=fields.text("host", "serial port" if "uart" in fields.content else ""),
            clock=clock,
            clock_mhz=mhz,
            uart=self._pins("uart", "rx", "tx"),
            stream=self._stream(),
            reset=self._pins("reset", "pin", low=True),
            leds=self._leds(),
            flash=self._pins("flash", "cs", "clk", "copi", "cipo"),
            loader=self._loader(),
            compress=compress,
            spi_as_gpio=as_gpio,
            pll_at_pad=at_pad,
            capacities=capacities,
            source=source,
            platform=self._platform(),
            text=self.text,
        )
        self._agree(found)
        return found

    def _part(self) -> PartName:
        fields = self.fields
        said, family = fields.text("part"), fields.word("family", "ecp5", "")
        if family and family not in FAMILIES:
            raise fields.wrong(
                "family",
                f"is {family!r}, of which nothing is known; known are {', '.join(FAMILIES)}"
                f"{did_you_mean(family, FAMILIES)}",
            )
        if family and PartName.read(said) is None:
            # A part that only its maker's tools know, with what the file says of it.
            return PartName(fields.word("part", "xc7k70tfbg484-1"), family, said.lower())
        try:
            part = PartName.of(said)
        except BadInput as e:
            raise fields.wrong("part", f"cannot be: {e}") from e
        if family and part.family != family:
            raise fields.wrong(
                "family", f"is {family!r}, but {part.text} is of the family {part.family!r}"
            )
        return part

    def _clock(self) -> tuple[Pins | None, float]:
        clock = self.fields.table("clock", "pin", "mhz", "io")
        if clock is None:
            return None, 0.0
        pins = Pins((("pin", clock.word("pin", "G2")),), self._attributes(clock))
        return pins, clock.number("mhz", 0.001, 1000)

    def _pins(self, table: str, *names: str, low: bool = False) -> Pins | None:
        found = self.fields.table(table, *names, *["active_low"] * low, "io")
        if found is None:
            return None
        pins = tuple((name, found.word(name, "M1")) for name in names)
        return Pins(pins, self._attributes(found), low and found.flag("active_low"))

    def _stream(self) -> Pins | None:
        stream = self.fields.table("stream", *STREAM_WORDS, *STREAM_BYTES, "io")
        if stream is None:
            return None
        pins = [(name, stream.word(name, "M1")) for name in STREAM_WORDS]
        for name in STREAM_BYTES:
            found = stream.words(name, "M1", 8)
            if len(found) != 8:
                raise stream.wrong(
                    name, f"has to be a list of 8 pins, bit 0 first, not {len(found)}"
                )
            pins += [(f"{name}{bit}", pin) for bit, pin in enumerate(found)]
        return Pins(tuple(pins), self._attributes(stream))

    def _leds(self) -> Pins | None:
        leds = self.fields.table("leds", "pins", "active_low", "io")
        if leds is None:
            return None
        pins = leds.words("pins", "B2", 64)
        if not pins:
            raise leds.wrong("pins", "is missing; it has to be a list of pins such as ['B2']")
        named = tuple((str(i), pin) for i, pin in enumerate(pins))
        return Pins(named, self._attributes(leds), leds.flag("active_low"))

    def _attributes(self, table: Fields) -> Attributes:
        """Return the attributes of a table's pins: its own ``io``, or that of the file."""
        return table.attributes("io") if "io" in table.content else self.io

    def _loader(self) -> Loader:
        loader = self.fields.table("loader", "board", "cable", "dfu")
        if loader is None:
            return Loader()
        words = (loader.word("board", "ulx3s", ""), loader.word("cable", "ft232", ""))
        for key, word in zip(("board", "cable"), words, strict=True):
            if word.startswith("-"):
                raise loader.wrong(key, f"has to be a name of openFPGALoader, not {word!r}")
        if not any(words):
            raise loader.wrong("board", "or cable has to say how openFPGALoader reaches the board")
        return Loader(*words, loader.flag("dfu"))

    def _bitstream(self) -> tuple[bool, bool, bool]:
        options = self.fields.table("bitstream", *_OPTIONS)
        if options is None:
            return False, False, False
        compress, as_gpio, at_pad = (options.flag(name) for name in _OPTIONS)
        return compress, as_gpio, at_pad

    def _capacities(self) -> tuple[tuple[tuple[str, int], ...], str]:
        table = self.fields.table("capacities", *COUNTS, "source")
        if table is None:
            return (), ""
        found = [(name, table.whole(name, least, MAX_COUNT)) for name, least in COUNTS.items()]
        return tuple((n, v) for n, v in found if v is not None), table.text("source", "")

    def _platform(self) -> str:
        table = self.fields.table("platform", "class")
        if table is None:
            return ""
        said = table.text("class")
        if not CLASS.fullmatch(said):
            raise table.wrong(
                "class",
                "has to name the class of an Amaranth platform, such as"
                f" 'amaranth_boards.ulx3s:ULX3S_45F_Platform', not {said[:60]!r}",
            )
        return said

    def _agree(self, found: BoardFile) -> None:
        """Check what the tables say together."""
        wrong, family = self.fields.wrong, found.part.family
        no_pin_twice(found.pins(), wrong)
        if found.platform:
            for key in ("clock", "stream", "reset", "leds", "flash"):
                if getattr(found, key) is not None:
                    raise wrong(key, "goes without [platform], whose class has these pins")
        elif found.uart is not None and found.stream is not None:
            raise wrong("stream", "goes without [uart]: the link to the host has one way")
        elif (found.clock is None) != (not found.linked):
            lacking = "clock" if found.clock is None else "uart"
            raise wrong(
                lacking,
                "is missing: the pins of [clock] and of the link to the host, [uart] or [stream],"
                " go together",
            )
        elif found.clock is None:
            for key in ("reset", "leds", "flash"):
                if getattr(found, key) is not None:
                    raise wrong(
                        key,
                        "goes with the tables [clock] and [uart] or [stream], which are missing",
                    )
        if found.linked and not found.part.complete:
            raise wrong("part", f"cannot be: {found.part.lacks_package()}")
        for key, owner in _OPTIONS.items():
            if getattr(found, key) and not family.startswith(owner):
                raise wrong(f"bitstream.{key}", f"is an option of {owner}, not of {family}")
        if found.die and not family.startswith("gw"):
            raise wrong("die", "is for Gowin's FPGAs; leave it out")
