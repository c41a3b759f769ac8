"""Compute how much of a board's FPGA an accelerator may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from xnorflow.devices.tables import Fpga
from xnorflow.plan.memories import RESERVED
from xnorflow.resources.usage import Resources
from xnorflow.storage.blocks import ram_blocks

HEADROOM = {"LUT": 0.80, "FF": 0.80, "block RAM": 1.0}
"""Share of each resource that a design may fill. As logic fills up, placement and routing become
slow and clocks fall. Block RAM may be used to the last block, because its number is exact."""
SHRINK = 0.97
"""Factor by which a limit shrinks at least after a design that exceeded it."""
MOST_SHRINK = 0.93
"""Factor by which it shrinks at most: the error of one estimate says little about the next."""
LINK = Resources(700, 500, 2)
"""UART and host link without the UART's queue, in LUT4 after place and route (``docs/link.md``).
On a board where a processor or a shell feeds the core, that logic takes about as much."""
LOADER = Resources(190, 110, 0)
"""Logic that loads SPRAM from the flash, for designs that use SPRAM: iCE40, after synthesis."""


@dataclass(frozen=True)
class Budget:
    """Most that a design may take of each resource.

    Parameters
    ----------
    luts, ffs, ram_blocks : float
        Limits of LUTs, flip-flops and blocks of RAM.
    ram : str
        Name of a block of RAM, for messages.
    dsps : float
        Limit of DSP blocks.
    """

    luts: float
    ffs: float
    ram_blocks: float
    ram: str
    dsps: float = inf

    def exceeded(self, used: Resources) -> list[str]:
        """Return a phrase for each limit that is exceeded; an empty list if everything fits."""
        if used.sprams:
            used = used + LOADER
        lines = (
            ("LUT", used.luts, self.luts),
            ("FF", used.ffs, self.ffs),
            (self.ram, used.ram_blocks, self.ram_blocks),
            ("DSP", used.dsps, self.dsps),
        )
        return [
            f"{need:,.0f} {name} of {limit:,.0f}" for name, need, limit in lines if need > limit
        ]

    def corrected(self, now: Budget, guessed: Resources, real: Resources) -> Budget:
        """Return limits for the next search, so that its design keeps to these limits.

        The search relies on estimates, which the design that comes of it corrects.

        Parameters
        ----------
        now : Budget
            Limits of the last search.
        guessed, real : Resources
            Resources that its choice was estimated to take, and those that its design takes.
        """
        fits = not self.exceeded(real)

        def limit(of: str) -> float:
            most, last = getattr(self, of), getattr(now, of)
            found, off = getattr(real, of), getattr(real, of) - getattr(guessed, of)
            if fits:
                return float(most - off)
            if found <= most:
                return float(last)
            return float(max(MOST_SHRINK * last, min(SHRINK * last, most - off)))

        return replace(self, luts=limit("luts"), ffs=limit("ffs"), ram_blocks=limit("ram_blocks"))


def board_budget(device: Fpga, frame: int, *, whole: bool = False) -> Budget:
    """Compute what an accelerator may take of a board's FPGA once the host link has its share.

    Parameters
    ----------
    device : Fpga
        FPGA of the board.
    frame : int
        Bytes per frame; the UART's queue holds two frames.
    whole : bool
        Whether to leave no headroom. A design that exceeds this budget cannot fit at any clock.
    """
    family = device.family
    queue = ram_blocks(2 * frame, 8, family.ram_shapes)
    share = dict.fromkeys(HEADROOM, 1.0) if whole else HEADROOM
    return Budget(
        device.luts.use() * share["LUT"] - LINK.luts,
        device.ffs.use() * share["FF"] - LINK.ffs,
        device.ram_blocks.use() * share["block RAM"] - max(RESERVED, LINK.ram_blocks + queue),
        family.ram,
        device.dsps.use() if device.dsps.usable else 0,
    )
