"""How much of a board's FPGA an accelerator may take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xnorflow.devices.tables import Fpga
from xnorflow.plan.memories import RESERVED
from xnorflow.resources.usage import Resources, ram_blocks

HEADROOM = {"LUT": 0.80, "FF": 0.80, "block RAM": 1.0}
"""Shares up to which a design is fitted. Placement and routing get slow, and clocks fall, as logic
fills up; block RAM is left to the last block, for its number is exact."""
SHRINK = 0.97
"""By how much a limit shrinks at least after a design that exceeded it."""
MOST_SHRINK = 0.93
"""By how much it shrinks at most: what one guess is off says little of the next."""
LINK = Resources(700, 500, 2)
"""UART and host link, without the UART's queue: LUT4 after place and route (``docs/link.md``); a
core that is fed by a processor or a shell needs about as much for what feeds it."""
LOADER = Resources(190, 110, 0)
"""What loads SPRAM from the flash, where a design has any: iCE40, after synthesis."""


@dataclass(frozen=True)
class Budget:
    """Limits of each resource; the names are those of messages.

    Parameters
    ----------
    luts, ffs, ram_blocks : float
        Most that a design may take.
    ram : str
        What a block is called.
    """

    luts: float
    ffs: float
    ram_blocks: float
    ram: str

    def exceeded(self, used: Resources) -> list[str]:
        """Say what is too large, in words: nothing if all of it fits."""
        if used.sprams:
            used = used + LOADER
        lines = (
            ("LUT", used.luts, self.luts),
            ("FF", used.ffs, self.ffs),
            (self.ram, used.ram_blocks, self.ram_blocks),
        )
        return [
            f"{need:,.0f} {name} of {limit:,.0f}" for name, need, limit in lines if need > limit
        ]

    def corrected(self, now: Budget, guessed: Resources, real: Resources) -> Budget:
        """Give the limits for the next guess, so that the real design keeps to these.

        Parameters
        ----------
        now : Budget
            What the guess kept to.
        guessed, real : Resources
            What it was thought to take, and what it does take.
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
    """Give what an accelerator may take of a board: its device less the link's share.

    Parameters
    ----------
    device : Fpga
        The board's FPGA.
    frame : int
        Bytes of a frame: the UART's queue holds two of them.
    whole : bool
        Leave no head-room: what would exceed this cannot fit, whatever the clock.
    """
    family = device.family
    queue = ram_blocks(2 * frame, 8, family.ram_shapes)
    share = dict.fromkeys(HEADROOM, 1.0) if whole else HEADROOM
    return Budget(
        device.luts.use() * share["LUT"] - LINK.luts,
        device.ffs.use() * share["FF"] - LINK.ffs,
        device.ram_blocks.use() * share["block RAM"] - max(RESERVED, LINK.ram_blocks + queue),
        family.ram,
    )
