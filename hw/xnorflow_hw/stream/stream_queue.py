"""Queue: holds the beats of a stream that waits for another one."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from xnorflow_hw.base.loop import Loop

RAM_KINDS = ("auto", "block", "distributed")


class StreamQueue(wiring.Component):
    """Keeps up to `depth` beats of a stream, in order.

    A beat that is taken in cycle a is offered from a + 1 on. Beat i can be taken one cycle after
    beat i - depth has left; so one beat can pass per cycle with two places or more, and one in two
    cycles with a single place. Neither ready nor valid of one side depends on the other side in the
    same cycle.

    Parameters
    ----------
    width : int
        Width of a beat in bits.
    depth : int
        Capacity in beats.
    ram : {"auto", "block", "distributed"}
        What the memory is built of. Only "distributed" reads without a clock; the others are
        suited to block RAM. The timing is the same.

    Members
    -------
    i : In(stream.Signature(width))
        Beats.
    o : Out(stream.Signature(width))
        The same beats, at the earliest one cycle later.

    Attributes
    ----------
    latency : int
        1 clock cycle.

    Raises
    ------
    ValueError
        If a number is not positive or `ram` is unknown.
    """

    latency = 1

    def __init__(self, *, width: int, depth: int, ram: str = "auto") -> None:
        """Check the parameters and declare the ports."""
        for name, size in {"width": width, "depth": depth}.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; it has to be 1 or more")
        if ram not in RAM_KINDS:
            raise ValueError(f"ram is {ram!r}; known are {', '.join(RAM_KINDS)}")
        self.width, self.depth, self.ram = width, depth, ram
        signature = stream.Signature(width)
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform: Any) -> Module:
        """Count the beats that are held, and build their memory."""
        m = Module()
        level, write, read = Signal(range(self.depth + 1)), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            self.o.valid.eq(level != 0),
            write.eq(self.i.valid & self.i.ready),
            read.eq(self.o.valid & self.o.ready),
        ]
        with m.If(write & ~read):
            m.d.sync += level.eq(level + 1)
        with m.Elif(read & ~write):
            m.d.sync += level.eq(level - 1)
        if self.depth == 1:
            # A memory of one place would have an address without bits, which Verilog lacks.
            held = Signal(self.width, reset_less=True)
            with m.If(write):
                m.d.sync += held.eq(self.i.payload)
            m.d.comb += self.o.payload.eq(held)
            return m

        # A place is never read while it is written, so Yosys may leave out the logic that would
        # deliver the old beat in that case.
        attributes: dict[str, Any] = {"no_rw_check": 1}
        if self.ram != "auto":
            attributes["ram_style"] = self.ram
        m.submodules.memory = memory = Memory(
            shape=self.width, depth=self.depth, init=[], attrs=attributes
        )
        newest, oldest = Loop(self.depth, "newest"), Loop(self.depth, "oldest")
        writer = memory.write_port()
        m.d.comb += [
            writer.addr.eq(newest.index),
            writer.data.eq(self.i.payload),
            writer.en.eq(write),
        ]
        with m.If(write):
            newest.advance(m)
        with m.If(read):
            oldest.advance(m)
        if self.ram == "distributed":
            reader = memory.read_port(domain="comb")
            m.d.comb += [reader.addr.eq(oldest.index), self.o.payload.eq(reader.data)]
        else:
            self._prefetch(m, memory, oldest, write, read, level)
        return m

    def _prefetch(
        self, m: Module, memory: Memory, oldest: Loop, write: Value, read: Value, level: Value
    ) -> None:
        """Read the beat of the next cycle, or keep it beside the memory as it is written."""
        reader = memory.read_port()
        after = Mux(oldest.last, 0, oldest.index + 1)
        m.d.comb += reader.addr.eq(Mux(read, after, oldest.index))
        beside = Signal(self.width, reset_less=True)
        passes = Signal()
        m.d.sync += beside.eq(self.i.payload)
        # The beat that is written is the next on offer if all others have left with this cycle.
        m.d.sync += passes.eq(write & Mux(read, level == 1, level == 0))
        m.d.comb += self.o.payload.eq(Mux(passes, beside, reader.data))
