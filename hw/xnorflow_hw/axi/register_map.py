"""The register map behind `s_axi_ctrl`, read by the hardware, by the documentation and by hosts.

A change of the map that a driver could notice needs a new `VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = int.from_bytes(b"XNOR", "little")
VERSION = 1
ADDRESS_BITS = 12
"""Width of an address on `s_axi_ctrl`: 4 KiB, the least that vendors' address editors assign."""
SNAPSHOT_START = 0x100
"""First offset of the registers that show the last snapshot."""


@dataclass(frozen=True)
class Field:
    """A part of a register.

    Parameters
    ----------
    name : str
        Name in capitals.
    low : int
        Lowest bit.
    width : int
        Number of bits.
    text : str
        What the field means.
    """

    name: str
    low: int
    width: int
    text: str

    @property
    def mask(self) -> int:
        """The bits of the field in the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A register, or several words that form one value.

    Parameters
    ----------
    name : str
        Name in capitals.
    offset : int
        Address in bytes, a multiple of 4.
    text : str
        What the register holds.
    words : int
        Number of 32-bit words, the lowest word first.
    access : {"r", "w", "rw"}
        What a host may do. A register that can only be written reads as 0.
    fields : tuple of Field
        Parts of the register, if it has any.
    """

    name: str
    offset: int
    text: str
    words: int = 1
    access: str = "r"
    fields: tuple[Field, ...] = ()

    def __getitem__(self, name: str) -> Field:
        """Return a field by its name."""
        return next(field for field in self.fields if field.name == name)


def _row(start: int, words: int, **texts: str) -> tuple[Register, ...]:
    """Return read-only registers one after the other."""
    return tuple(
        Register(name, start + 4 * words * place, text, words)
        for place, (name, text) in enumerate(texts.items())
    )


IDENTITY = (
    *_row(
        0x000,
        1,
        MAGIC=f"{MAGIC:#010x}, the letters XNOR in memory",
        VERSION="version of this map",
        FRAME_BEATS="beats of a frame on `s_axis`",
        IN_BYTES="bytes, one sample each, of a beat on `s_axis`",
        FRAME_SAMPLES="samples of a frame, without the unused lanes of its beats",
        CLASSES="scores of a frame",
        SCORE_BITS="bits of a score on `m_axis`, two's complement",
        OUT_LANES="scores of a beat on `m_axis`",
        RESULT_BEATS="beats of a frame's scores on `m_axis`",
        PREDICTED_INTERVAL="cycles between two frames, as `design.json` predicts them",
        PREDICTED_LATENCY="cycles from a frame's first beat in to its last beat out, predicted for"
        " an empty accelerator between these streams",
    ),
    Register("DIGEST", 0x040, "design digest, 32 bytes in the order of its hex digits", 8),
)
"""Constants of the design."""

CONTROL = Register(
    "CONTROL",
    0x080,
    "actions; every bit written as 1 triggers its action once",
    access="w",
    fields=(
        Field("RESET", 0, 1, "reset the accelerator, not the counters"),
        Field("CLEAR", 1, 1, "reset counters and measurements to their initial values"),
        Field(
            "SNAPSHOT",
            2,
            1,
            f"take all registers from {SNAPSHOT_START:#x} on, in one cycle, before CLEAR",
        ),
    ),
)
STATUS = Register(
    "STATUS",
    0x084,
    "state in this cycle",
    fields=(
        Field("BUSY", 0, 1, "a frame has begun and not ended, or a beat waits on `m_axis`"),
        Field("IN_STALLED", 1, 1, "`s_axis` has a beat that is not accepted"),
        Field("IN_STARVED", 2, 1, "`s_axis` could accept a beat and has none"),
        Field("OUT_STALLED", 3, 1, "`m_axis` has a beat that is not accepted"),
        Field("FILLING", 4, 1, "a result that a reset cut off is being filled up with zeros"),
        Field("IN_FLIGHT", 16, 16, "frames that have begun on `s_axis` and not ended on `m_axis`"),
    ),
)
SCRATCH = Register("SCRATCH", 0x088, "any value, for testing the bus", access="rw")

COUNTERS = _row(
    SNAPSHOT_START,
    2,
    CYCLES="cycles",
    FRAMES_IN="frames whose last beat `s_axis` has accepted",
    FRAMES_OUT="frames whose last beat `m_axis` has transferred",
    IN_STALLED="cycles with tvalid and without tready on `s_axis`",
    IN_STARVED="cycles with tready and without tvalid on `s_axis`",
    OUT_STALLED="cycles with tvalid and without tready on `m_axis`",
    TLAST_EARLY="beats with tlast on `s_axis` that are not their frame's last",
    TLAST_MISSING="last beats of a frame without tlast on `s_axis`",
)
"""Counters of 64 bits, which wrap."""

MEASUREMENTS = _row(
    0x180,
    1,
    LATENCY="cycles from a frame's first beat in to its last beat out, of the last frame measured",
    LATENCY_MIN="smallest since the last CLEAR; all ones if there is none yet",
    LATENCY_MAX="largest since the last CLEAR; 0 if there is none yet",
    INTERVAL="cycles between the last beats out of the last two frames",
    INTERVAL_MIN="smallest since the last CLEAR; all ones if there is none yet",
    INTERVAL_MAX="largest since the last CLEAR; 0 if there is none yet",
)
"""Measurements of 32 bits, which stop at all ones."""

MOST_EDGES = Register("MOST_EDGES", 0x08C, "edges of the layer that has most")
EDGES = Register(
    "EDGES",
    0x090,
    "how many edges of each layer are enabled, MOST_EDGES at first; 0 stands for all. It counts"
    " when a frame's first beat is accepted, for that frame",
    access="rw",
)
EDGE_REGISTERS = (MOST_EDGES, EDGES)
"""Registers that only designs have whose layers have several edges."""

REGISTERS = (*IDENTITY, CONTROL, STATUS, SCRATCH, *COUNTERS, *MEASUREMENTS)
"""Registers of every design."""
BY_NAME = {register.name: register for register in REGISTERS}


def registers(edges: int) -> tuple[Register, ...]:
    """Return the registers of a design, given the edges of the layer that has most."""
    return (*REGISTERS, *EDGE_REGISTERS) if edges > 1 else REGISTERS
