"""Host to accelerator: parses messages, feeds frames, and leaves a tag for every answer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.base.crc import Crc32
from xnorflow_hw.base.pipeline import index_shape
from xnorflow_hw.link.link_format import ESCAPE, ESCAPE_BIT, FLAG, HEADER_BYTES, NO_SESSION, Request
from xnorflow_hw.link.link_spec import TAG, LinkSpec, TagKind


class LinkReceiver(wiring.Component):
    """Parses messages.

    A message shorter than a header is ignored. Every other message is answered by a tag once its
    closing flag has arrived. The payload of a DATA message with the right header enters the
    accelerator at once.

    Parameters
    ----------
    spec : LinkSpec
        Sizes and options of the link.

    Members
    -------
    i : In(stream(8))
        Bytes from the host.
    frames : Out(stream(8 * in_lanes))
        Beats for the accelerator, from registers.
    tags : Out(stream(TAG))
        What to answer, in the order of the messages.
    session : Out(16)
        Session of the last HELLO.
    clear : Out(1)
        A pulse at a HELLO: all frames and tags in the pipeline are to be dropped.
    ready : In(1)
        Whether the accelerator is loaded; until then every DATA is refused. Only if ``spec.loads``.
    edges : Out(range(spec.edges + 1))
        Number of enabled edges of the frame whose first beat is in `frames`. Only with several.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "frames": Out(stream.Signature(8 * spec.in_lanes)),
                "tags": Out(stream.Signature(TAG)),
                "session": Out(16, init=NO_SESSION),
                "clear": Out(1),
                **({"ready": In(1)} if spec.loads else {}),
                **({"edges": Out(range(spec.edges + 1))} if spec.edges > 1 else {}),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the removal of escapes, the checks of header and checksum, and the state machine.

        HEADER reads the header, byte by byte. After the header of a DATA message that fits, FRAME
        gathers the payload into beats and SUM reads the checksum and leaves a tag: RESULT, or DROP
        if the checksum is wrong. If the message ends within the payload, FILL completes the frame
        with zeros and BROKEN leaves a tag DROP. After any other header, OTHER reads to the end of
        the message. It leaves a tag REFUSED, except after a whole HELLO: then CLEAR starts a new
        session and GREET leaves a tag IDENTITY.
        """
        m = Module()
        spec = self.spec
        # `ready`: the state accepts a byte. `data`: a byte of the message is accepted. `end`: its
        # closing flag is accepted. `closing`: the flag has arrived and could be accepted.
        escaped, take, data, end = Signal(), Signal(), Signal(), Signal()
        ready, closing = Signal(), Signal()
        byte = Signal(8)
        is_flag, is_escape = self.i.payload == FLAG, self.i.payload == ESCAPE
        m.submodules.checksum = crc = Crc32(bits=spec.crc_bits)
        m.d.comb += [
            self.i.ready.eq(ready & ~crc.busy),
            take.eq(self.i.valid & self.i.ready),
            data.eq(take & ~is_flag & ~is_escape),
            end.eq(take & is_flag),
            closing.eq(self.i.valid & is_flag & ~crc.busy),
            byte.eq(self.i.payload ^ (escaped << ESCAPE_BIT)),
        ]
        with m.If(take):
            m.d.sync += escaped.eq(is_escape)
        m.d.comb += [crc.start.eq(end), crc.valid.eq(data), crc.data.eq(byte)]
        whole = Signal()
        m.d.comb += whole.eq(crc.match & ~escaped)

        # The header. `fits`: its bytes so far are those of a DATA message for the accelerator.
        count = Signal(range(HEADER_BYTES))
        new_session, sequence = Signal(16), Signal(16)
        hello, fits, fits_now = Signal(), Signal(), Signal()
        length = spec.frame.to_bytes(3, "little")
        expected = Array(
            [
                C(spec.version << 4 | Request.DATA, 8),
                self.session[:8],
                self.session[8:],
                byte,
                byte,
                *(C(b, 8) for b in length),
            ]
        )
        right = byte == expected[count]
        if spec.loads:
            right &= self.ready
        m.d.comb += fits_now.eq((fits | (count == 0)) & right)

        # The frame. While a beat waits in `frames`, no bytes are gathered.
        lane = Signal(index_shape(spec.in_lanes))
        left = Signal(range(spec.frame))
        gather = Signal()
        value = Signal(8)
        pending = self.frames.valid
        with m.If(pending & self.frames.ready):
            m.d.sync += pending.eq(0)
        with m.If(gather):
            m.d.sync += [
                self.frames.payload.eq(Cat(self.frames.payload, value)[8:]),
                left.eq(left - 1),
                lane.eq(lane + 1),
            ]
            with m.If(lane == spec.in_lanes - 1):
                m.d.sync += [pending.eq(1), lane.eq(0)]
            if spec.edges > 1:
                # The first byte is no sample.
                with m.If(left == spec.frame - 1):
                    m.d.sync += [self.edges.eq(value), lane.eq(0), pending.eq(0)]

        tag = self.tags.payload
        m.d.comb += [tag.sequence.eq(sequence), value.eq(byte)]
        with m.FSM(init="HEADER"):
            with m.State("HEADER"):
                m.d.comb += ready.eq(1)
                m.d.sync += left.eq(spec.frame - 1)
                with m.If(data):
                    m.d.sync += [count.eq(count + 1), fits.eq(fits_now)]
                    with m.If(count == 0):
                        m.d.sync += hello.eq(byte[:4] == Request.HELLO)
                    with m.If((count >= 1) & (count <= 4)):
                        m.d.sync += Cat(new_session, sequence).eq(
                            Cat(new_session, sequence, byte)[8:]
                        )
                    with m.If(count == HEADER_BYTES - 1):
                        m.next = "OTHER"
                        with m.If(fits_now):
                            m.next = "FRAME"
                with m.If(end):
                    m.d.sync += count.eq(0)
            with m.State("FRAME"):
                m.d.comb += [ready.eq(~pending), gather.eq(data)]
                with m.If(end):
                    m.next = "FILL"
                with m.Elif(gather & (left == 0)):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += [
                    ready.eq(self.tags.ready),
                    self.tags.valid.eq(closing),
                    tag.kind.eq(Mux(whole, TagKind.RESULT, TagKind.DROP)),
                ]
                with m.If(end):
                    m.next = "HEADER"
            with m.State("FILL"):  # The message ended early: give the accelerator its whole frame.
                m.d.comb += [gather.eq(~pending), value.eq(0)]
                with m.If(gather & (left == 0)):
                    m.next = "BROKEN"
            with m.State("BROKEN"):
                m.d.comb += [self.tags.valid.eq(1), tag.kind.eq(TagKind.DROP)]
                with m.If(self.tags.ready):
                    m.next = "HEADER"
            with m.State("OTHER"):
                greet = Signal()
                m.d.comb += [
                    greet.eq(hello & whole),
                    tag.kind.eq(TagKind.REFUSED),
                    ready.eq(self.tags.ready | greet),
                    self.tags.valid.eq(closing & ~greet),
                ]
                with m.If(end):
                    m.next = "HEADER"
                    with m.If(greet):
                        m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += [self.session.eq(new_session), pending.eq(0)]
                m.next = "GREET"
            with m.State("GREET"):
                m.d.comb += [self.tags.valid.eq(1), tag.kind.eq(TagKind.IDENTITY)]
                with m.If(self.tags.ready):
                    m.next = "HEADER"
        return m
