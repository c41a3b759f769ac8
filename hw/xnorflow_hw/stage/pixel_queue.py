"""Queue behind an array that works on several windows at once: groups in, pixel by pixel out.

The results of a group arrive repeat by repeat, each for all pixels of the group; they leave pixel
by pixel, with all repeats of a pixel together. So the entries of a group are read once per pixel
before their places become free. Pixels past the end of the row are never read.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.stage.window_checks import add


class PixelQueue(wiring.Component):
    """Keeps the results of groups of pixels and delivers them pixel by pixel.

    Parameters
    ----------
    width : int
        Width of a pixel's result in bits.
    banks : Banks
        How the pixels of a row are grouped.
    repeat : int
        Number of results of a group, for all its pixels each.
    depth : int
        Capacity in results of all pixels. At least `repeat`, because the second pixel of a group
        needs all results of the group again.

    Members
    -------
    i_valid : In(1)
        A result. There has to be a free place for it.
    i_values : In(pixels * width)
        The result of every pixel of the group, pixel 0 lowest.
    o : Out(stream.Signature(width))
        Results by pixel, at the earliest one cycle after they arrived.
    o_freed : Out(1)
        Whether a place becomes free with this transfer.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """

    def __init__(self, *, width: int, banks: Banks, repeat: int, depth: int) -> None:
        """Check the parameters and declare the ports."""
        if width < 1 or repeat < 1:
            raise ValueError(f"width is {width} and repeat is {repeat}; both have to be 1 or more")
        if depth < repeat:
            raise ValueError(
                f"depth is {depth}; it has to be at least repeat {repeat}, the results of a group"
            )
        self.width, self.banks, self.repeat, self.depth = width, banks, repeat, depth
        super().__init__(
            {
                "i_valid": In(1),
                "i_values": In(banks.pixels * width),
                "o": Out(stream.Signature(width)),
                "o_freed": Out(1),
            }
        )

    def model(self, results: NDArray[Any]) -> NDArray[Any]:
        """Return results in the order in which they leave.

        Parameters
        ----------
        results : int array [groups * repeat, pixels]
            Results of whole rows, in the order in which they arrive.

        Returns
        -------
        int array [pixels * repeat]
            Pixel by pixel, without those past the end of a row.
        """
        b = self.banks
        rows = results.reshape(-1, b.groups, self.repeat, b.pixels).swapaxes(2, 3)
        return rows.reshape(len(rows), -1, self.repeat)[:, : b.columns].ravel()

    def elaborate(self, platform: Any) -> Module:
        """Build the memory, its addresses and the counters of rep, pixel and group."""
        m = Module()
        pixels, bits = self.banks.pixels, max(1, ceil_log2(self.depth))
        m.submodules.storage = storage = Memory(shape=pixels * self.width, depth=1 << bits, init=[])
        writer, reader = storage.write_port(), storage.read_port(domain="comb")
        rep, pixel = Loop(self.repeat, "rep"), Loop(pixels, "pixel")
        group = Loop(self.banks.groups, "group")
        pop, group_end = Signal(), Signal()
        m.d.comb += group_end.eq(pixel.last)
        if self.banks.last_group < pixels:
            m.d.comb += group_end.eq(
                pixel.last | (group.last & (pixel.index == self.banks.last_group - 1))
            )
        # The group's results are read once more, for its next pixel.
        again = rep.last & ~group_end
        m.d.comb += self.o_freed.eq(pop & group_end)

        write, read = Signal(bits, name="write_address"), Signal(bits, name="read_address")
        # The number of the newest result minus that of the one on offer, which is not there yet if
        # this is negative.
        ahead = Signal(bits_for(self.depth) + 1, init=-1)
        forth = Signal(len(ahead))
        m.d.comb += forth.eq(Mux(pop, Mux(again, self.repeat - 1, -1), 0))
        m.d.sync += ahead.eq(add(ahead, forth, self.i_valid))
        with m.If(self.i_valid):
            m.d.sync += write.eq(write + 1)
        with m.If(pop):
            m.d.sync += read.eq(read + Mux(again, 1 - self.repeat, 1))
            rep.advance(m)
            with m.If(rep.last):
                pixel.advance(m)
                with m.If(group_end):
                    pixel.restart(m)
                    group.advance(m)
        m.d.comb += [
            writer.addr.eq(write),
            writer.data.eq(self.i_values),
            writer.en.eq(self.i_valid),
            reader.addr.eq(read),
            self.o.valid.eq(~ahead[-1]),
            pop.eq(self.o.valid & self.o.ready),
        ]
        with m.Switch(pixel.index):
            for j in range(pixels):
                with m.Case(j) if j + 1 < pixels else m.Default():
                    m.d.comb += self.o.payload.eq(reader.data.word_select(j, self.width))
        return m
