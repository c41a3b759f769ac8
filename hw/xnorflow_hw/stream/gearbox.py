"""Changes how a stream carries its elements: the lanes per beat, and where groups begin.

Where one number of lanes is a multiple of the other, slots or a shift register suffice. Everything
else takes a barrel inserter. All kinds keep the timing of the barrel inserter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.spec import GearboxSpec
from xnorflow_hw.spec.geometry import ceil_div


class Gearbox(wiring.Component):
    """Changes the lanes per beat and the groups of a stream's elements.

    A group begins with a new beat. Lanes past its end are dropped on input beats and are 0 on
    output beats. An output beat is offered from the cycle after the input beat that brings its last
    element. The next input beat is accepted as soon as no complete output beat would remain in the
    gearbox.

    Parameters
    ----------
    bits : int
        Width of an element in bits.
    group_in, group_out : int
        Elements per group of the input and of the output; one is a multiple of the other.
    lanes_in, lanes_out : int
        Elements per beat of the input and of the output.

    Members
    -------
    i : In(stream.Signature(lanes_in * bits))
        Input beats, lane 0 lowest.
    o : Out(stream.Signature(lanes_out * bits))
        Output beats, lane 0 lowest.

    Attributes
    ----------
    latency : int
        Clock cycles from the input beat that completes an output beat: 1, or 0 where the gearbox is
        wires.
    kind : {"wires", "up", "down", "barrel"}
        How the gearbox is built.

    Raises
    ------
    ValueError
        If a number is not positive, or neither group is a multiple of the other.
    """

    def __init__(
        self, *, bits: int, group_in: int, lanes_in: int, group_out: int, lanes_out: int
    ) -> None:
        """Check the parameters and declare the ports."""
        sizes = {
            "bits": bits,
            "group_in": group_in,
            "lanes_in": lanes_in,
            "group_out": group_out,
            "lanes_out": lanes_out,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; it has to be 1 or more")
        if group_in % group_out and group_out % group_in:
            raise ValueError(
                f"group_in is {group_in} and group_out is {group_out}; neither is a multiple of the"
                " other"
            )
        self.bits = bits
        self.group_in, self.lanes_in = group_in, lanes_in
        self.group_out, self.lanes_out = group_out, lanes_out
        self.group = max(group_in, group_out)
        self.kind = GearboxSpec(bits, group_in, lanes_in, group_out, lanes_out).kind
        self.latency = 0 if self.kind == "wires" else 1
        super().__init__(
            {
                "i": In(stream.Signature(lanes_in * bits)),
                "o": Out(stream.Signature(lanes_out * bits)),
            }
        )

    def model(self, beats: NDArray[Any]) -> NDArray[Any]:
        """Return the output beats [beats, lanes_out] of input beats [beats, lanes_in].

        Lanes past the end of a group may hold anything. The input has to consist of whole groups of
        the larger kind.
        """
        beats = np.asarray(beats)
        per_in = ceil_div(self.group_in, self.lanes_in)
        elements = beats.reshape(-1, per_in * self.lanes_in)[:, : self.group_in]
        groups = elements.reshape(-1, self.group_out)
        unused = -self.group_out % self.lanes_out
        return np.pad(groups, [(0, 0), (0, unused)]).reshape(-1, self.lanes_out)

    def elaborate(self, platform: Any) -> Module:
        """Build the gearbox as its `kind` says."""
        m = Module()
        match self.kind:
            case "wires":
                self._wires(m)
            case "up":
                self._up(m)
            case "down":
                self._down(m)
            case _:
                self._barrel(m)
        return m

    def _used(self, payload: Value, last: Value, group: int, lanes: int) -> Value:
        """Return the payload, whose lanes past the end of a group are cleared in the last beat."""
        rest = group % lanes
        if rest == 0:
            return payload
        at = rest * self.bits
        return Cat(payload[:at], payload[at:] & (~last).replicate(len(payload) - at))

    def _wires(self, m: Module) -> None:
        """Connect input and output, and clear the unused lanes."""
        beat = Loop(ceil_div(self.group_in, self.lanes_in), "beat")
        payload = self._used(self.i.payload, beat.last, self.group_in, self.lanes_in)
        m.d.comb += [
            self.o.payload.eq(payload),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
        ]
        if self.group_in % self.lanes_in:
            with m.If(self.i.valid & self.i.ready):
                beat.advance(m)

    def _up(self, m: Module) -> None:
        """Collect input beats in the slots of one output beat."""
        slots = self.lanes_out // self.lanes_in
        slot = Loop(slots, "slot")
        beat = Loop(ceil_div(self.group, self.lanes_in), "beat")
        ragged = self.group % self.lanes_out != 0
        data = self._used(self.i.payload, beat.last, self.group, self.lanes_in)
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.ready & self.i.valid):
            slot.advance(m)
            if ragged:
                beat.advance(m)
                with m.If(beat.last):
                    slot.restart(m)
            m.d.sync += self.o.valid.eq(slot.last | beat.last if ragged else slot.last)
            for s in range(slots):
                part = self.o.payload.word_select(s, len(data))
                with m.If(slot.index == s):
                    m.d.sync += part.eq(data)
                if ragged and s:
                    # The last beat of a group may end before this slot.
                    with m.If(slot.index == 0):
                        m.d.sync += part.eq(0)

    def _down(self, m: Module) -> None:
        """Shift one input beat out in parts, the lowest first."""
        parts = self.lanes_in // self.lanes_out
        rest = ceil_div(self.group % self.lanes_in, self.lanes_out) or parts
        beat = Loop(ceil_div(self.group, self.lanes_in), "beat")
        store = Signal(self.lanes_in * self.bits, reset_less=True)
        # One bit for each part that follows the one on offer.
        more = Signal(parts - 1)
        m.d.comb += self.o.payload.eq(store)
        m.d.comb += self.i.ready.eq(~self.o.valid | (self.o.ready & ~more[0]))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(more[0])
            m.d.sync += more.eq(more >> 1)
            m.d.sync += store.eq(store >> self.lanes_out * self.bits)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.o.valid.eq(1)
            full, short = (1 << (parts - 1)) - 1, (1 << (rest - 1)) - 1
            m.d.sync += more.eq(Mux(beat.last, short, full))
            m.d.sync += store.eq(self._used(self.i.payload, beat.last, self.group, self.lanes_in))
            if self.group % self.lanes_in:
                beat.advance(m)

    def _barrel(self, m: Module) -> None:
        """Insert each input beat behind the elements that are stored, wherever they end.

        `level` counts the elements behind the beat on offer. What an input beat does to the store
        never depends on `o.ready`, because a beat can be accepted while another is on offer only if
        that one leaves in the same cycle.
        """
        size = self.lanes_in + self.lanes_out - 1
        # The store needs a reset, because elements are inserted by an OR with what is there.
        store = Signal(size * self.bits)
        level = Signal(range(size + 1))
        beat_in = Loop(ceil_div(self.group_in, self.lanes_in), "beat_in")
        beats_out = ceil_div(self.group_out, self.lanes_out)
        beat_out = Loop(beats_out, "beat_out")
        rest_in = self.group_in % self.lanes_in or self.lanes_in
        rest_out = self.group_out % self.lanes_out or self.lanes_out
        # The number of elements of the next input beat, of the output beat on offer (or the next to
        # be offered), and of the output beat after that.
        arriving = Mux(beat_in.last, rest_in, self.lanes_in)
        leaving = Mux(beat_out.last, rest_out, self.lanes_out)
        after = [rest_out if (i + 2) % beats_out == 0 else self.lanes_out for i in range(beats_out)]
        following = beat_out.follow(after, self.lanes_out.bit_length(), "following")

        valid, room, take = self.o.valid, Signal(), Signal()
        need = Signal(range(self.lanes_out + 1))
        m.d.comb += need.eq(Mux(valid, following, leaving))
        # The results with and without an input beat are computed in parallel, so that valid and
        # ready only select between them.
        lacking, filled = Signal(signed(len(level) + 1)), Signal(len(level) + 1)
        m.d.comb += lacking.eq(level - need)
        m.d.comb += filled.eq(level + arriving)
        beyond = Signal(signed(len(filled) + 1))
        m.d.comb += beyond.eq(filled - need)
        m.d.comb += room.eq(~valid | (lacking < 0))
        m.d.comb += take.eq(self.i.valid & room)
        m.d.comb += self.i.ready.eq(room & (~valid | self.o.ready))
        offered = store[: self.lanes_out * self.bits]
        m.d.comb += self.o.payload.eq(
            self._used(offered, beat_out.last, self.group_out, self.lanes_out)
        )

        kept = Signal(size * self.bits)
        m.d.comb += kept.eq(store)
        with m.If(valid & beat_out.last):
            m.d.comb += kept.eq(store >> rest_out * self.bits)
        with m.Elif(valid):
            m.d.comb += kept.eq(store >> self.lanes_out * self.bits)
        data = self._used(self.i.payload, beat_in.last, self.group_in, self.lanes_in)
        added = Signal(size * self.bits)
        with m.If(take), m.Switch(level):
            # If there is room for a beat, fewer than lanes_out elements are stored before it.
            for at in range(self.lanes_out):
                with m.Case(at) if at + 1 < self.lanes_out else m.Default():
                    m.d.comb += added.eq(Cat(Const(0, at * self.bits), data))
        left = Mux(take, beyond, lacking)
        with m.If(Mux(valid, self.o.ready, self.i.valid)):
            m.d.sync += store.eq(kept | added)
            m.d.sync += valid.eq(left >= 0)
            m.d.sync += level.eq(Mux(left >= 0, left, Mux(take, filled, level)))
        with m.If(self.i.valid & self.i.ready):
            beat_in.advance(m)
        with m.If(valid & self.o.ready):
            beat_out.advance(m)
