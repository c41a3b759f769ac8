"""Residual networks in stages of blocks: ``16x2-32-64``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xnorflow.errors import BadInput
from xnorflow.train.topology import MOST_STEPS, MOST_WIDTH

TOKEN = re.compile(r"(?P<width>\d{1,9})(x(?P<blocks>\d{1,9}))?", re.I)


@dataclass(frozen=True)
class BlockStage:
    """Blocks on maps of one size; every stage but the first halves rows and columns.

    Parameters
    ----------
    inputs, width : int
        Channels before and within it.
    blocks : int
        Number of blocks.
    """

    inputs: int
    width: int
    blocks: int

    def block_inputs(self) -> tuple[int, ...]:
        """Return the channels that each block reads."""
        return (self.inputs, *[self.width] * (self.blocks - 1))


def stages(
    net: str, frame: tuple[int, int, int], *, doubles: bool = False
) -> tuple[BlockStage, ...]:
    """Return the stages of a residual network; the first has as many channels as its stem.

    Parameters
    ----------
    net : str
        Channels of the stages, joined by hyphens; ``16x3`` is a stage of three blocks.
    frame : tuple of int
        Channels, rows and columns of a frame.
    doubles : bool
        Whether each stage needs twice the channels of the one before.

    Raises
    ------
    BadInput
        If `net` cannot be read, or does not fit the method or the frames.
    """
    _, height, width = frame
    found: list[BlockStage] = []
    for token in net.split("-"):
        match = TOKEN.fullmatch(token)
        if match is None:
            raise BadInput(
                f"--net {net}: {token!r} is no stage of a residual network. What would work: 16-32"
                " (two stages of 16 and 32 channels), 16x3-32x3 (of three blocks each)"
            )
        channels, blocks = int(match["width"]), int(match["blocks"] or 1)
        if not (1 <= channels <= MOST_WIDTH and 1 <= blocks <= MOST_STEPS):
            raise BadInput(
                f"--net {net}: a stage has 1 to {MOST_WIDTH} channels and 1 to {MOST_STEPS} blocks"
            )
        before = found[-1].width if found else channels
        if found:
            if doubles and channels != 2 * before:
                raise BadInput(
                    f"--net {net}: a stage of this method has twice the channels of the one before;"
                    f" {before}-{2 * before} would work"
                )
            if height % 2 or width % 2:
                raise BadInput(
                    f"--net {net}: a map of {height} x {width} cannot be halved for the stage"
                    f" {token}; {len(found)} stages would work"
                )
            height, width = height // 2, width // 2
        found.append(BlockStage(before, channels, blocks))
    if sum(s.blocks for s in found) > MOST_STEPS:
        raise BadInput(f"--net {net}: more than {MOST_STEPS} blocks")
    return tuple(found)
