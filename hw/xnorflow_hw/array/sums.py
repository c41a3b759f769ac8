"""What gives a `dot.DotArray` the sums of a beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from amaranth.hdl import Module, Value

from xnorflow_hw.fabric.beat import Lane


class Sums(Protocol):
    """All sums of a beat: of every window and every PE.

    Attributes
    ----------
    address : Value
        Which word of weights the next beat is for; to be driven.
    depth, latency, width : int
        Words, clock cycles from the address and the codes to the sums, and bits of a sum.
    spared : int
        Lanes, 0 or 1, that `build` gives beside a sum.
    load : Value or None
        To be driven where the weights are in SPRAM; see `spram.SpramRom`.
    sections, modules, images :
        As of `dot.DotArray`.
    """

    address: Any
    load: Any
    depth: int
    latency: int
    width: int
    spared: int
    sections: tuple[tuple[int, ...], ...]
    modules: dict[str, str]
    images: dict[str, str]

    def add(self, m: Module) -> None:
        """Put into a module what all windows share."""

    def build(self, m: Module, data: Value, b: int) -> Iterable[tuple[Value, Lane | None]]:
        """Build window b's sums from its codes, PE by PE; see `beat.BeatSum.build`."""
