"""Keeps the settings of frames that have begun until their stage has computed them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.stream.stream_queue import StreamQueue


class FrameSettings(wiring.Component):
    """Shows the setting of the frame whose beats a stage computes.

    Several frames are in an accelerator at once, each in another stage. So a frame's setting is
    taken when the frame begins at the input, waits here, and is dropped after the frame's last
    beat. Without a setting that waits, any is shown: a stage may begin a frame before the input
    does, but only with windows' padding.

    Parameters
    ----------
    width : int
        Width of a setting in bits.
    depth : int
        Most settings that can wait.
    reductions : int
        Number of reductions of a frame in the stage.

    Members
    -------
    i : In(stream.Signature(width))
        Settings, one for each frame.
    i_last : In(1)
        Whether a reduction's last beat is seen in this cycle.
    o : Out(width)
        The setting for the beat that is seen in this cycle.
    """

    def __init__(self, *, width: int, depth: int, reductions: int) -> None:
        if reductions < 1:
            raise ValueError(f"reductions is {reductions}; it has to be 1 or more")
        self.reductions = reductions
        self._queue = StreamQueue(width=width, depth=depth)
        super().__init__(
            {"i": In(stream.Signature(width)), "i_last": In(1), "o": Out(width)},
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the queue, and count the reductions of a frame."""
        m = Module()
        m.submodules.queue = queue = self._queue
        wiring.connect(m, wiring.flipped(self.i), queue.i)
        reduction = Loop(self.reductions, "reduction")
        with m.If(self.i_last):
            reduction.advance(m)
        m.d.comb += [
            self.o.eq(queue.o.payload),
            queue.o.ready.eq(self.i_last & reduction.last),
        ]
        return m
