"""What a `dot.DotArray` takes the sums of a beat from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from amaranth.hdl import Module, Value

from xnorflow_hw.fabric.beat import Lane


class Sums(Protocol):
    """All sums of a beat: those of every window and every PE.

    Attributes
    ----------
    address : Value
        Address of the weights of the next beat; driven by the user.
    load : Value or None
        The load bus of `SpramRom`, driven by the user; None where the weights are not in SPRAM.
    depth : int
        Number of words of weights.
    latency : int
        Clock cycles from address and codes to the sums.
    width : int
        Width of a sum in bits.
    spared : int
        Number of lanes, 0 or 1, that `build` returns beside a sum instead of counting them.
    sections, modules, images :
        As those of `dot.DotArray`.
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
        """Add to a module what all windows share."""

    def build(self, m: Module, data: Value, b: int) -> Iterable[tuple[Value, Lane | None]]:
        """Build the sums of window `b` from its codes, PE by PE; see `beat.BeatSum.build`."""
