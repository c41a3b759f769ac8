"""The hand-written accelerator of accelerator.v: its text, its weights and its expected scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnorflow_sim.interface import Interface, Tap

TEXT = Path(__file__).with_name("accelerator.v").read_text()
INTERFACE = Interface(
    top="accelerator", in_lanes=3, in_group=5, frame=10, out_lanes=2, out_bits=24, classes=5
)
TAP = Tap("samples", lanes=3, bits=8, beats=4)


@dataclass(frozen=True)
class Small:
    """A design, its interface, its ROM images, and frames with their scores."""

    verilog: str
    interface: Interface
    images: dict[str, str]
    x: NDArray[np.uint8]
    scores: NDArray[np.int64]


def small(frames: int, *, fault: int = 0, taps: bool = False, seed: int = 0) -> Small:
    """Build frames, weights and the design, with the fault that ``fault`` names."""
    random = np.random.default_rng(seed)
    weights = random.integers(-128, 128, (5, 10))
    x = random.integers(0, 256, (frames, 10)).astype(np.uint8)
    text, interface = TEXT, INTERFACE
    if taps:
        text = text.replace("/* taps", "").replace("taps */", "")
        interface = replace(interface, taps=(TAP,))
    images = {
        "weights.hex": "".join(f"{w & 255:02x}\n" for w in weights.ravel()),
        "fault.hex": f"{fault}\n",
    }
    return Small(text, interface, images, x, x.astype(np.int64) @ weights.T)
