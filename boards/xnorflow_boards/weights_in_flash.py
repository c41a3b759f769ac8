"""Weights in the flash that holds a board's bitstream, for designs that have SPRAM."""

from __future__ import annotations

from xnorflow.design.design import Design
from xnorflow_hw.link.flash_format import image
from xnorflow_hw.link.flash_loader import LoaderSpec

WEIGHTS_ADDRESS = 0x20000
"""Where the weights begin in the flash: the first block of 64 KiB past the bitstream of an iCE40
UP5K, which has 104,090 bytes."""
ERASED = b"\xff"


def loader_for(design: Design, clock_hz: float) -> LoaderSpec | None:
    """Describe what a design's SPRAMs are loaded with; None if it has none."""
    sections = design.emitted.sections
    if not sections:
        return None
    return LoaderSpec.of(sections, address=WEIGHTS_ADDRESS, clock_hz=clock_hz)


def with_weights(bitstream: bytes, design: Design) -> bytes:
    """Put a design's weights behind its bitstream, for one write to the flash from address 0 on."""
    sections = design.emitted.sections
    if not sections:
        return bitstream
    assert len(bitstream) <= WEIGHTS_ADDRESS
    return bitstream.ljust(WEIGHTS_ADDRESS, ERASED) + image(sections)
