"""Links between host and board: how many frames a second they carry, each with its source.

The rates are in ``links.json`` beside this file. A link that lacks a protocol of its own carries
the messages of ``docs/link.md``, whose bytes are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from xnorflow.devices.board_file import BoardFile
from xnorflow.devices.board_names import described
from xnorflow.devices.figure import Figure, Origin
from xnorflow.devices.near_names import did_you_mean, same_but_case
from xnorflow.devices.tables import Datum, Source, datum, sourced
from xnorflow.errors import BadInput

MESSAGE_BYTES = 13
"""Bytes of a message beside its payload: header, checksum and a flag (``docs/link.md``)."""
ESCAPED = 2 / 256
"""Share of bytes that are sent as two, if all values are equally frequent."""
BITS_OF_A_BYTE = 10
"""Bit times of a byte on a serial port: a start bit, 8 data bits and a stop bit."""
PROCESSORS = ("xc7z", "xczu", "xck")
"""Beginnings of the parts with a processor, which feeds the core by a DMA engine."""
CARDS = ("xcu",)
"""Beginnings of the parts on cards, which the host feeds over PCI Express."""


@dataclass(frozen=True)
class FrameBytes:
    """Bytes of a frame on its way to the board, and of its scores on their way back.

    Parameters
    ----------
    sent, returned : int
        Bytes of all beats of ``s_axis`` and of ``m_axis``, with their unused lanes.
    """

    sent: int
    returned: int

    def rate(self, fps: float) -> float:
        """Return the bytes a second, both ways together, of so many frames a second."""
        return fps * (self.sent + self.returned)


@dataclass(frozen=True)
class HostLink:
    """A link between a host and a board.

    Parameters
    ----------
    name, title : str
        Name on the command line, and in full.
    framed : bool
        Whether it carries the messages of ``docs/link.md``; otherwise beats alone.
    shared : bool
        Whether both directions share the rate.
    to_board, to_host : Datum
        Bytes a second in each direction.
    """

    name: str
    title: str
    framed: bool
    shared: bool
    to_board: Datum
    to_host: Datum

    @property
    def source(self) -> Source:
        """Source of the rates."""
        return self.to_board.source

    def fps(self, frame: FrameBytes) -> float:
        """Compute the frames a second that the link carries.

        Parameters
        ----------
        frame : FrameBytes
            Bytes of a frame and of its scores.
        """
        sent, returned = self._on_wire(frame.sent), self._on_wire(frame.returned)
        if self.shared:
            return self.to_board.use() / (sent + returned)
        return min(self.to_board.use() / sent, self.to_host.use() / returned)

    def _on_wire(self, payload: int) -> float:
        return (payload + MESSAGE_BYTES) * (1 + ESCAPED) if self.framed else payload

    def figure(self, frame: FrameBytes) -> Figure:
        """Return the frames a second as a figure: published rates divided by counted bytes."""
        return Figure(
            self.fps(frame),
            "frames/s",
            Origin.ESTIMATED,
            f"{self.title}: {self.source.document}",
            "the link alone, without the host's software",
        )


def at_baud(baud: int) -> HostLink:
    """Return a serial port at a rate in bits per second, of which a byte takes ten."""
    uart = links()["uart"]
    rate = replace(uart.to_board, value=baud / BITS_OF_A_BYTE)
    return replace(uart, title=f"UART at {baud / 1e6:g} Mbaud", to_board=rate, to_host=rate)


@cache
def links() -> Mapping[str, HostLink]:
    """Read the known links, by name."""
    data, sources = sourced("links.json")
    return {
        name: HostLink(
            name,
            entry["title"],
            entry["framed"],
            entry["shared"],
            datum(entry["to_board"], sources),
            datum(entry["to_host"], sources),
        )
        for name, entry in data["links"].items()
    }


def link(name: str) -> HostLink:
    """Return a link.

    Raises
    ------
    BadInput
        If there is no such link; the message lists the known ones.
    """
    known = same_but_case(name, links())
    if known is None:
        raise BadInput(
            f"unknown link {name!r}; known are {', '.join(links())}{did_you_mean(name, links())}"
        )
    return links()[known]


def link_of(board: str) -> HostLink | None:
    """Return the link that a board has to its host.

    Parameters
    ----------
    board : str
        The board, as `xnorflow.devices.tables.fpga` takes it.

    Returns
    -------
    HostLink or None
        None for an FPGA without a board, and for pins that carry bytes to something unknown.
    """
    return link_of_file(described(board))


def link_of_file(file: BoardFile) -> HostLink | None:
    """Return the link of the board that a file describes, as `link_of` does."""
    if file.linked:
        return None if file.stream is not None else links()["uart"]
    if not file.host:
        return None
    part = file.part.key
    if part.startswith(PROCESSORS):
        return links()["axi-dma"]
    return links()["pcie"] if part.startswith(CARDS) else None
