"""The board's end of the host link: turns messages on a byte stream into frames of an accelerator.

A frame is not stored: its bytes enter the accelerator as they arrive, before their checksum is
known. The accelerator always has to get whole frames, so a frame that breaks off is filled up with
zeros. No wrong result may get out, so a tag follows each frame through a queue beside the
accelerator and says whether its result is sent or dropped. ``docs/link.md`` describes the protocol.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from xnorflow_hw.link.link_receive import LinkReceiver
from xnorflow_hw.link.link_send import LinkSender
from xnorflow_hw.link.link_spec import TAG, LinkSpec, TagKind


class Link(wiring.Component):
    """Protocol engine between a byte stream and an accelerator.

    Parameters
    ----------
    spec : LinkSpec
        Sizes and options of the link.

    Members
    -------
    i, o : In(stream(8)), Out(stream(8))
        Bytes from and to the host, through a UART or anything else that keeps their order.
    frames : Out(stream(8 * in_lanes))
        Beats for the accelerator; always whole frames.
    results : In(stream(8 * out_bytes))
        Beats from the accelerator.
    clear : Out(1)
        Resets the accelerator, because a new session begins.
    good : Out(1)
        A pulse for each frame that is accepted, for a light.
    ready, failed : In(1)
        Whether the accelerator is loaded, and whether loading failed. Only if ``spec.loads``.
    edges : Out(range(spec.edges + 1))
        Number of enabled edges, right while a frame's first beat is in `frames`. Only with several.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "frames": Out(stream.Signature(8 * spec.in_lanes)),
                "results": In(stream.Signature(8 * spec.out_bytes)),
                "clear": Out(1),
                "good": Out(1),
                **({"ready": In(1), "failed": In(1)} if spec.loads else {}),
                **({"edges": Out(range(spec.edges + 1))} if spec.edges > 1 else {}),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect the receiver, the queue of tags and the sender."""
        m = Module()
        m.submodules.receiver = receiver = LinkReceiver(self.spec)
        # A new session resets what the last one left: tags, and a message that is half sent.
        fresh = ResetInserter(receiver.clear)
        sender = LinkSender(self.spec)
        tags = SyncFIFOBuffered(width=TAG.size, depth=self.spec.window)
        m.submodules.sender, m.submodules.tags = fresh(sender), fresh(tags)
        if self.spec.loads:
            m.d.comb += [
                receiver.ready.eq(self.ready),
                sender.ready.eq(self.ready),
                sender.failed.eq(self.failed),
            ]
        if self.spec.edges > 1:
            m.d.comb += self.edges.eq(receiver.edges)
        wiring.connect(m, wiring.flipped(self.i), receiver.i)
        wiring.connect(m, receiver.frames, wiring.flipped(self.frames))
        wiring.connect(m, wiring.flipped(self.results), sender.results)
        m.d.comb += [
            tags.w_data.eq(receiver.tags.payload),
            tags.w_en.eq(receiver.tags.valid),
            receiver.tags.ready.eq(tags.w_rdy),
            sender.tags.payload.eq(tags.r_data),
            sender.tags.valid.eq(tags.r_rdy),
            tags.r_en.eq(sender.tags.ready),
            sender.session.eq(receiver.session),
            self.clear.eq(receiver.clear),
            self.good.eq(tags.w_en & tags.w_rdy & (receiver.tags.payload.kind == TagKind.RESULT)),
            sender.o.ready.eq(~self.o.valid | self.o.ready),
        ]
        # This register is not reset by a new session, because a byte that was offered has to stay
        # until it is taken.
        with m.If(sender.o.ready):
            m.d.sync += self.o.valid.eq(sender.o.valid)
            with m.If(sender.o.valid):
                m.d.sync += self.o.payload.eq(sender.o.payload)
        return m
