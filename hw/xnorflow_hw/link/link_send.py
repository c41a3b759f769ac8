"""Accelerator to host: turns tags and results into messages."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.base.crc import Crc32
from xnorflow_hw.base.pipeline import index_shape
from xnorflow_hw.link.link_format import (
    CRC_BYTES,
    ESCAPE,
    ESCAPE_BIT,
    FLAG,
    HEADER_BYTES,
    NOT_LOADED,
    WINDOW_BYTE,
    WRONGLY_LOADED,
    Reply,
)
from xnorflow_hw.link.link_spec import TAG, LinkSpec, TagKind


class LinkSender(wiring.Component):
    """Sends one message per tag.

    Parameters
    ----------
    spec : LinkSpec
        Sizes and options of the link.

    Members
    -------
    tags : In(stream(TAG))
        What to send. A tag is taken with the closing flag of its message.
    results : In(stream(8 * out_bytes))
        Beats from the accelerator.
    session : In(16)
        Session, which goes into every header.
    o : Out(stream(8))
        Bytes for the host. A reset may break a message off; for the host the opening flag of the
        next message ends it.
    ready, failed : In(1)
        Whether the accelerator is loaded, and whether loading failed. Only if ``spec.loads``.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "tags": In(stream.Signature(TAG)),
                "results": In(stream.Signature(8 * spec.out_bytes)),
                "session": In(16),
                "o": Out(stream.Signature(8)),
                **({"ready": In(1), "failed": In(1)} if spec.loads else {}),
            }
        )

    def _identity(self) -> list[Value]:
        """Return the bytes of IDENTITY; its window tells whether the accelerator is loaded."""
        found: list[Value] = [C(b, 8) for b in self.spec.identity]
        if self.spec.loads:
            wait = Mux(self.failed, WRONGLY_LOADED, NOT_LOADED)
            window = Mux(self.ready, self.spec.window, wait)
            for k in range(2):
                found[WINDOW_BYTE + k] = window.word_select(k, 8)
        return found

    def elaborate(self, platform: Any) -> Module:
        """Build the state machine that sends a message, and the escaping behind it.

        IDLE waits for a tag. For a tag DROP, the state DROP first takes the accelerator's result
        away. OPEN sends the opening flag and HEADER the header. IDENTITY or RESULT sends the
        payload, if there is one; SUM sends the checksum, and CLOSE the closing flag.
        """
        m = Module()
        spec = self.spec
        tag, identity = self.tags.payload, spec.identity
        is_result, is_identity = tag.kind == TagKind.RESULT, tag.kind == TagKind.IDENTITY

        # `byte` is to be sent next, and `sent` tells that it moves on. The register `held` between
        # the choice of a byte and its escaping cuts the paths in both directions. A flag is never
        # escaped.
        valid, sent, flag = Signal(), Signal(), Signal()
        byte = Signal(8)
        held, held_flag, full = Signal(8), Signal(), Signal()
        escaping, special = Signal(), Signal()
        m.submodules.checksum = crc = Crc32(bits=spec.crc_bits)
        m.d.comb += [
            sent.eq(valid & ~full & ~crc.busy),
            crc.data.eq(byte),
            special.eq(~held_flag & ((held == FLAG) | (held == ESCAPE)) & ~escaping),
            self.o.valid.eq(full),
            self.o.payload.eq(Mux(special, ESCAPE, held ^ (escaping << ESCAPE_BIT))),
        ]
        with m.If(sent):
            m.d.sync += [held.eq(byte), held_flag.eq(flag), full.eq(1)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [escaping.eq(special), full.eq(special)]

        payloads = {Reply.IDENTITY: len(identity), Reply.RESULT: spec.result, Reply.REFUSED: 0}
        longest = max(HEADER_BYTES, *payloads.values())
        index = Signal(range(longest))
        kind = Mux(is_result, Reply.RESULT, Mux(is_identity, Reply.IDENTITY, Reply.REFUSED))
        size = Mux(is_result, spec.result, Mux(is_identity, len(identity), 0))
        head = Cat(C(0, 4), C(spec.version, 4), self.session, tag.sequence, C(0, 24))
        header, length = Signal(8 * HEADER_BYTES), Signal(24)
        m.d.comb += [length.eq(size), header.eq(head), header[:4].eq(kind), header[-24:].eq(length)]
        constants = Array(self._identity())
        lane = Signal(index_shape(spec.out_bytes))
        beats = Signal(range(spec.out_beats)) if spec.out_beats > 1 else C(0, 1)

        def beat_done() -> None:
            m.d.comb += self.results.ready.eq(1)
            if spec.out_beats > 1:
                m.d.sync += beats.eq(beats + 1)

        with m.FSM(init="IDLE"):
            with m.State("IDLE"):
                m.d.sync += [index.eq(0), lane.eq(0)]
                if spec.out_beats > 1:
                    m.d.sync += beats.eq(0)
                with m.If(self.tags.valid):
                    m.next = "OPEN"
                    with m.If(tag.kind == TagKind.DROP):
                        m.next = "DROP"
            with m.State("DROP"), m.If(self.results.valid):
                beat_done()
                with m.If(beats == spec.out_beats - 1):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += [valid.eq(1), flag.eq(1), byte.eq(FLAG), crc.start.eq(sent)]
                with m.If(sent):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    valid.eq(1),
                    crc.valid.eq(sent),
                    byte.eq(header.word_select(index[:3], 8)),
                ]
                with m.If(sent):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == HEADER_BYTES - 1):
                        m.d.sync += index.eq(0)
                        m.next = "SUM"
                        with m.If(is_result):
                            m.next = "RESULT"
                        with m.If(is_identity):
                            m.next = "IDENTITY"
            with m.State("IDENTITY"):
                m.d.comb += [valid.eq(1), crc.valid.eq(sent), byte.eq(constants[index])]
                with m.If(sent):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == len(identity) - 1):
                        m.d.sync += index.eq(0)
                        m.next = "SUM"
            with m.State("RESULT"):
                m.d.comb += [
                    valid.eq(self.results.valid),
                    crc.valid.eq(sent),
                    byte.eq(self.results.payload.word_select(lane, 8)),
                ]
                with m.If(sent):
                    m.d.sync += lane.eq(lane + 1)
                    with m.If(lane == spec.out_bytes - 1):
                        m.d.sync += lane.eq(0)
                        beat_done()
                        with m.If(beats == spec.out_beats - 1):
                            m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += [valid.eq(1), byte.eq(crc.crc.word_select(index[:2], 8))]
                with m.If(sent):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == CRC_BYTES - 1):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [valid.eq(1), flag.eq(1), byte.eq(FLAG)]
                with m.If(sent):
                    m.d.comb += self.tags.ready.eq(1)
                    m.next = "IDLE"
        return m
