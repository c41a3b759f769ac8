"""The ports of an accelerator, and how samples and scores are laid out in their beats.

The ports have fixed names (``docs/hardware.md``): ``clk``, ``rst``, ``s_axis_*`` and ``m_axis_*``.
This module imports NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

SCORE_BITS = tuple(range(8, 72, 8))
"""Widths in bits that a score can have."""


@dataclass(frozen=True)
class Tap:
    """A probe: a pair of ports ``tap_<i>_valid`` and ``tap_<i>_data``, with its number as ``i``.

    Parameters
    ----------
    name : str
        Name of the layer whose features pass the probe.
    lanes : int
        Number of features per beat; lane 0 is in the lowest bits.
    bits : int
        Bits of each feature.
    beats : int
        Number of beats per frame.
    """

    name: str
    lanes: int
    bits: int
    beats: int

    def __post_init__(self) -> None:
        """Check that the numbers are possible for a port."""
        for field in ("lanes", "bits", "beats"):
            if getattr(self, field) < 1:
                raise ValueError(f"tap {self.name!r}: {field}={getattr(self, field)} is below 1")
        if self.bits > 64:
            raise ValueError(f"tap {self.name!r}: {self.bits} bits do not fit a 64-bit integer")

    @property
    def bytes(self) -> int:
        """Number of bytes that hold one beat."""
        return -(-self.lanes * self.bits // 8)

    def unpack(self, beats: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return the features in raw beats ``uint8 [..., bytes]`` as ``uint64 [..., lanes]``."""
        bits = np.unpackbits(beats, axis=-1, bitorder="little", count=self.lanes * self.bits)
        bits = bits.reshape(*beats.shape[:-1], self.lanes, self.bits)
        features = np.zeros(bits.shape[:-1], np.uint64)
        for bit in range(self.bits):
            features |= bits[..., bit].astype(np.uint64) << np.uint64(bit)
        return features


@dataclass(frozen=True)
class Interface:
    """The two streams of an accelerator: how frames go in and scores come out.

    Parameters
    ----------
    top : str
        Name of the Verilog module.
    in_lanes : int
        Number of samples per input beat; lane 0 is in the lowest bits.
    in_group : int
        Number of samples per group. A group takes ``ceil(in_group / in_lanes)`` beats, of which the
        last is filled up with zeros.
    frame : int
        Number of samples per frame, a multiple of ``in_group``.
    out_lanes : int
        Number of scores per output beat.
    out_bits : int
        Bits of each score, a multiple of 8 up to 64, signed.
    classes : int
        Number of scores per frame. They take ``ceil(classes / out_lanes)`` beats, and ``tlast``
        marks the last.
    taps : tuple of Tap
        Probes; only a design that was built to search for a mismatch has any.
    sample_bytes : int
        Bytes of a sample, 1 or 2, the lowest first.
    load : int
        Bits of the port that loads SPRAM; 0 without SPRAM. Simulators leave the port undriven.
    edges : int
        Most edges of a layer. With several, the port ``edges`` says with a frame's first beat how
        many of them are enabled for that frame; 0 stands for all.
    """

    top: str
    in_lanes: int
    in_group: int
    frame: int
    out_lanes: int
    out_bits: int
    classes: int
    taps: tuple[Tap, ...] = ()
    load: int = 0
    sample_bytes: int = 1
    edges: int = 1

    harness: ClassVar[str] = "verilator/harness.cpp"

    def __post_init__(self) -> None:
        """Check that the numbers and the name are possible for an accelerator."""
        for field in ("in_lanes", "in_group", "frame", "out_lanes", "classes", "edges"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field}={getattr(self, field)} is below 1")
        if self.sample_bytes not in (1, 2):
            raise ValueError(f"sample_bytes={self.sample_bytes} is neither 1 nor 2")
        if self.frame % self.in_group:
            raise ValueError(f"frame={self.frame} is not a multiple of in_group={self.in_group}")
        if self.out_bits not in SCORE_BITS:
            raise ValueError(f"out_bits={self.out_bits} is not one of {SCORE_BITS}")
        if not (self.top.isascii() and self.top.isidentifier()):
            raise ValueError(f"top={self.top!r} is not a plain Verilog name")

    @property
    def group_beats(self) -> int:
        """Number of input beats per group."""
        return -(-self.in_group // self.in_lanes)

    @property
    def in_bytes(self) -> int:
        """Bytes of one input beat."""
        return self.in_lanes * self.sample_bytes

    @property
    def in_beats(self) -> int:
        """Number of input beats per frame."""
        return self.frame // self.in_group * self.group_beats

    @property
    def out_beats(self) -> int:
        """Number of output beats per frame."""
        return -(-self.classes // self.out_lanes)

    @property
    def out_bytes(self) -> int:
        """Number of bytes that hold one output beat."""
        return self.out_lanes * self.out_bits // 8

    @property
    def ports(self) -> dict[str, int]:
        """Width in bits of every port of the module."""
        return {
            "clk": 1,
            "rst": 1,
            "s_axis_tdata": 8 * self.in_bytes,
            "s_axis_tvalid": 1,
            "s_axis_tready": 1,
            "m_axis_tdata": self.out_lanes * self.out_bits,
            "m_axis_tvalid": 1,
            "m_axis_tready": 1,
            "m_axis_tlast": 1,
            **{f"tap_{i}_valid": 1 for i in range(len(self.taps))},
            **{f"tap_{i}_data": tap.lanes * tap.bits for i, tap in enumerate(self.taps)},
            **({"edges": self.edges.bit_length()} if self.edges > 1 else {}),
            **({"load": self.load} if self.load else {}),
        }

    @property
    def defines(self) -> dict[str, int | str]:
        """Macros that ``harness.cpp`` is compiled with."""
        taps = " ".join(f"X({i}, {tap.bytes})" for i, tap in enumerate(self.taps))
        return {
            "IN_BYTES": self.in_bytes,
            "IN_BEATS": self.in_beats,
            "OUT_BYTES": self.out_bytes,
            "OUT_BEATS": self.out_beats,
            "TAPS(X)": taps,
            **({"EDGES": self.edges} if self.edges > 1 else {}),
        }

    def pack(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Return frames laid out in input beats.

        Parameters
        ----------
        x : uint8 [N, ...], or uint16 of 2-byte samples
            Frames of ``frame`` samples each; the axes after the first are read in C order.

        Returns
        -------
        uint8 [N, in_beats, in_bytes]
            Input beats, with lane 0 first.

        Raises
        ------
        ValueError
            If the samples are of another type or a frame has the wrong number of them.
        """
        x = np.asarray(x)
        need = np.dtype(np.uint8 if self.sample_bytes == 1 else np.uint16)
        if x.dtype != need or x.ndim < 2 or int(np.prod(x.shape[1:])) != self.frame:
            raise ValueError(f"frames are {x.dtype} {list(x.shape)}, need {need} [N, {self.frame}]")
        groups = x.reshape(len(x), self.frame // self.in_group, self.in_group)
        padding = self.group_beats * self.in_lanes - self.in_group
        if padding:
            groups = np.pad(groups, ((0, 0), (0, 0), (0, padding)))
        raw = np.ascontiguousarray(groups.astype(need.newbyteorder("<"))).view(np.uint8)
        return raw.reshape(len(x), self.in_beats, self.in_bytes)

    def unpack(self, beats: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Read the scores ``int64 [N, classes]`` in raw beats ``uint8 [N, out_beats, out_bytes]``.

        Lanes behind the last class are ignored.
        """
        return self._lanes(beats).reshape(len(beats), -1)[:, : self.classes]

    def pack_scores(self, scores: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the beats in which a correct design sends its scores; the inverse of `unpack`.

        Parameters
        ----------
        scores : int64 [N, classes]
            Scores of each frame.

        Returns
        -------
        uint8 [N, out_beats, out_bytes]
            Output beats; unused lanes are zero.

        Raises
        ------
        ValueError
            If a frame does not have ``classes`` scores, or a score does not fit ``out_bits``.
        """
        scores = np.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != self.classes:
            raise ValueError(f"scores are {list(scores.shape)}, need [N, {self.classes}]")
        bound = 1 << (self.out_bits - 1)
        if scores.size and not (-bound <= scores.min() and scores.max() < bound):
            raise ValueError(
                f"scores {scores.min()} to {scores.max()} do not fit {self.out_bits} bits"
            )
        lanes = np.zeros((len(scores), self.out_beats * self.out_lanes), "<i8")
        lanes[:, : self.classes] = scores
        raw = lanes.view(np.uint8).reshape(-1, 8)[:, : self.out_bits // 8]
        return np.ascontiguousarray(raw).reshape(len(scores), self.out_beats, self.out_bytes)

    def _lanes(self, beats: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return every lane of raw output beats, sign-extended."""
        size = self.out_bits // 8
        raw = np.zeros((beats.size // size, 8), np.uint8)
        # The score is in the highest bytes, so that an arithmetic shift extends its sign.
        raw[:, 8 - size :] = beats.reshape(-1, size)
        return (raw.view("<i8") >> (64 - self.out_bits)).astype(np.int64)


@dataclass(frozen=True)
class BytePorts:
    """Ports of an accelerator behind a host link (``xnorflow_hw.link.linked``).

    Parameters
    ----------
    top : str
        Name of the Verilog module.
    divisor : int
        Clock cycles per bit of the UART whose wires are the ports; 0 for byte streams ``rx_*`` and
        ``tx_*`` in its place.
    """

    top: str
    divisor: int = 0

    harness: ClassVar[str] = "board/pump.cpp"

    @property
    def ports(self) -> dict[str, int]:
        """Width in bits of every port of the module."""
        names = (
            ("clk", "rst", "rx", "tx", "cts", "rts")
            if self.divisor
            else ("clk", "rst", "rx_valid", "rx_ready", "tx_valid", "tx_ready")
        )
        wide = {} if self.divisor else {"rx_data": 8, "tx_data": 8}
        return dict.fromkeys(names, 1) | wide

    @property
    def defines(self) -> dict[str, int | str]:
        """Macros that ``pump.cpp`` is compiled with."""
        return {"DIVISOR": self.divisor}
