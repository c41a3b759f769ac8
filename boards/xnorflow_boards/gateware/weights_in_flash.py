"""Weights of designs with SPRAM, which lie behind the bitstream in the board's flash."""

from __future__ import annotations

from xnorflow.design.design import Design
from xnorflow.errors import CheckFailed
from xnorflow_hw.link.flash_format import image
from xnorflow_hw.link.flash_loader import LoaderSpec

WEIGHTS_ADDRESS = 0x20000
"""Address of the weights in the flash, in bytes: the first block of 64 KiB past the bitstream of an
iCE40 UP5K, which has 104,090 bytes."""
ERASED = b"\xff"
"""A byte of erased flash."""


def loader_for(design: Design, clock_hz: float) -> LoaderSpec | None:
    """Return the loader of a design's SPRAMs for a clock in Hz; None if the design has no SPRAM."""
    sections = design.emitted.sections
    if not sections:
        return None
    return LoaderSpec.of(sections, address=WEIGHTS_ADDRESS, clock_hz=clock_hz)


def with_weights(bitstream: bytes, design: Design) -> bytes:
    """Return the content of the flash from address 0 on: bitstream, filling, and weights.

    A design without SPRAM has its bitstream alone. CheckFailed if the bitstream is longer than the
    place before the weights.
    """
    sections = design.emitted.sections
    if not sections:
        return bitstream
    if len(bitstream) > WEIGHTS_ADDRESS:
        raise CheckFailed(
            f"the bitstream has {len(bitstream):,} bytes and reaches into the flash's place of the"
            f" weights, which begins at byte {WEIGHTS_ADDRESS:,}; one for an iCE40 UP5K is shorter"
        )
    return bitstream.ljust(WEIGHTS_ADDRESS, ERASED) + image(sections)
