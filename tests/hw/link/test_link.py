"""The link in Amaranth's simulator equals its model in Python, byte for byte."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_boards.host.protocol import Decoder, encode, hello, identity
from xnorflow_boards.simulated.link_twin import ModelBoard
from xnorflow_hw.link.link import Link, LinkSpec
from xnorflow_hw.link.link_format import NOT_LOADED, WRONGLY_LOADED, Reply, Request
from xnorflow_hw.link.link_spec import window_and_queue
from xnorflow_sim.board.faults import FaultRates, NoisyLine

from ..convert import STYLE, to_verilog
from ..harness import Agent, never, run, stalls
from ..verilog import lint

QUIET = 250
"""Cycles without an output byte after which the link has said all it will."""


def spec_of(in_lanes=1, in_beats=6, out_bytes=2, out_beats=3, **more):
    return LinkSpec(
        in_lanes,
        in_beats,
        out_bytes,
        out_beats,
        digest=bytes(range(0x70, 0x80)),
        clock_hz=12_345_678,
        **more,
    )


def result_of(spec, frame):
    """Return bytes that depend on every byte of the frame and its position; some need an escape."""
    words = (zlib.crc32(frame + bytes([k])) for k in range(spec.result))
    return bytes((0x7E, 0x7D, w & 255)[w >> 8 & 3 if (w >> 8 & 3) < 3 else 2] for w in words)


class Accelerator(Agent):
    """Takes frames and returns results a few cycles later; a clear resets it."""

    def __init__(self, link, stall=never, latency=5):
        self.link, self.stall, self.latency = link, stall, latency
        self.frames, self.beats, self.due, self.clears = [], [], [], 0

    def drive(self, ctx, cycle):
        ready = bool(self.due) and self.due[0][0] <= cycle and not self.stall(cycle + 7)
        self.offered = ready or (bool(self.due) and self.offered)
        ctx.set(self.link.frames.ready, not self.stall(cycle) and len(self.due) < 8)
        ctx.set(self.link.results.valid, self.offered)
        ctx.set(self.link.results.payload, self.due[0][1] if self.offered else 0)

    offered = False
    setting = b""

    def sample(self, ctx, cycle):
        link, spec = self.link, self.link.spec
        if ctx.get(link.clear):
            self.beats, self.due, self.offered = [], [], False
            self.clears += 1
            return
        if self.offered and ctx.get(link.results.ready):
            self.due.pop(0)
            self.offered = False
        if ctx.get(link.frames.valid) and ctx.get(link.frames.ready):
            if spec.edges > 1 and not self.beats:
                # The number counts with a frame's first beat.
                self.setting = bytes([ctx.get(link.edges)])
            self.beats.append(ctx.get(link.frames.payload).to_bytes(spec.in_lanes, "little"))
            if len(self.beats) == spec.in_beats:
                self.frames.append(self.setting + b"".join(self.beats))
                self.beats = []
                result = result_of(spec, self.frames[-1])
                for k in range(spec.out_beats):
                    word = result[k * spec.out_bytes : (k + 1) * spec.out_bytes]
                    self.due.append((cycle + self.latency, int.from_bytes(word, "little")))


class Host(Agent):
    """Sends pieces, each when the answer to the previous one is complete, and keeps the answers.

    It checks that an offered byte stays.
    """

    def __init__(self, link, pieces, stall=never):
        self.link, self.pieces, self.stall = link, [list(p) for p in pieces], stall
        self.answers, self.quiet, self.held = [b""], 0, None

    def drive(self, ctx, cycle):
        if self.quiet > QUIET and not self.pieces[0] and len(self.pieces) > 1:
            self.pieces.pop(0)
            self.answers.append(b"")
            self.quiet = 0
        self.offered = bool(self.pieces[0])
        ctx.set(self.link.i.valid, self.offered)
        ctx.set(self.link.i.payload, self.pieces[0][0] if self.offered else 0x55)
        ctx.set(self.link.o.ready, not self.stall(cycle))

    def sample(self, ctx, cycle):
        o, self.quiet = self.link.o, self.quiet + 1
        valid, byte, ready = ctx.get(o.valid), ctx.get(o.payload), ctx.get(o.ready)
        if self.held is not None:
            assert valid and byte == self.held, f"cycle {cycle}: the byte {self.held} went away"
        self.held = byte if valid and not ready else None
        if valid and ready:
            self.answers[-1] += bytes([byte])
            self.quiet = 0
        if self.offered and ctx.get(self.link.i.ready):
            self.pieces[0].pop(0)
            self.quiet = 0

    @property
    def done(self):
        return self.quiet > QUIET and len(self.pieces) == 1 and not self.pieces[0]


def talk(spec, pieces, *, seed=0, stall=0.0):
    """Return the answers to each piece, and the accelerator."""
    link = Link(spec)
    pattern = stalls(seed, stall) if stall else never
    host, accelerator = Host(link, pieces, pattern), Accelerator(link, pattern)
    run(link, host, accelerator, timeout=200_000)
    assert not accelerator.beats, "the accelerator was left with part of a frame"
    assert not accelerator.due, "a result was left in the accelerator"
    return host.answers, accelerator


def model_of(spec):
    def accelerator(frame):
        if spec.edges > 1:
            # Of a number that is too large the hardware looks at its lowest bits.
            frame = bytes([frame[0] & ((1 << spec.edges.bit_length()) - 1)]) + frame[1:]
        return result_of(spec, frame)

    return ModelBoard(spec.identity, spec.frame, accelerator, spec.version)


def data(spec, session, sequence, seed=0):
    return encode(
        Request.DATA, session, sequence, random.Random(seed * 999 + sequence).randbytes(spec.frame)
    )


SHAPES = [
    {},
    {"in_lanes": 3, "in_beats": 2, "out_beats": 1},
    {"in_beats": 1, "out_bytes": 1},
    {"in_lanes": 4, "in_beats": 3, "crc_bits": 8},
    {"crc_bits": 4, "out_bytes": 4, "window": 2},
    {"in_lanes": 5, "in_beats": 1, "out_beats": 1, "out_bytes": 1},
    {"in_beats": 1, "out_bytes": 1, "edges": 5},
    {"in_lanes": 3, "in_beats": 2, "edges": 2},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_identifies_itself_and_answers_frames(shape):
    spec = spec_of(**shape)
    pieces = [hello(0x7E7D), b"".join(data(spec, 0x7E7D, n) for n in range(0x7D7C, 0x7D80))]
    answers, accelerator = talk(spec, pieces)
    (greeting,) = Decoder().feed(answers[0])
    found = identity(greeting)
    assert (greeting.session, found.version, found.window) == (0x7E7D, 1, spec.window)
    assert (found.digest, found.clock_hz) == ("707172737475767778797a7b7c7d7e7f", 12_345_678)
    assert (found.frame_bytes, found.result_bytes) == (spec.frame, spec.result)
    results = Decoder().feed(answers[1])
    assert [m.sequence for m in results] == [0x7D7C, 0x7D7D, 0x7D7E, 0x7D7F]
    assert [m.payload for m in results] == [result_of(spec, f) for f in accelerator.frames]
    assert accelerator.clears == 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_answers_damaged_streams_as_its_model_does(shape, seed):
    spec = spec_of(**shape)
    line = NoisyLine(FaultRates(0.01, 0.01, 0.01, 0.01), seed)
    damaged = line.carry(b"".join(data(spec, 5, n, seed) for n in range(12)))
    pieces = [hello(5), damaged, b"\x7e" + data(spec, 5, 77)]
    model = model_of(spec)
    answers, _ = talk(spec, pieces, seed=seed, stall=0.4 * (seed > 0))
    assert answers == [model.feed(piece) for piece in pieces]
    assert Decoder().feed(answers[2])[-1].sequence == 77


@settings(max_examples=8)
@given(
    junk=st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([b"\x7e", b"\x7d", b"\x7e\x7e", b"\x7d\x7e"]),
        ),
        max_size=12,
    ).map(b"".join)
)
def test_any_bytes_are_answered_as_by_the_model_and_then_a_frame_is(junk):
    spec = spec_of()
    pieces = [junk, b"\x7e", hello(9), data(spec, 9, 3)]
    model = model_of(spec)
    answers, _ = talk(spec, pieces)
    assert answers == [model.feed(piece) for piece in pieces]
    assert [m.type for m in Decoder().feed(answers[3])] == [Reply.RESULT]


def test_refuses_what_it_cannot_take():
    spec = spec_of()
    frame = bytes(spec.frame)
    refused = [
        data(spec, 8, 1),  # another session
        encode(Request.DATA, 7, 2, frame, version=2),
        encode(Request.DATA, 7, 3, frame[:-1]),
        encode(Request.DATA, 7, 4, frame + b"\0"),
        encode(0, 7, 5, frame),
        encode(15, 7, 6),
    ]
    answers, accelerator = talk(spec, [hello(7), b"".join(refused)])
    found = Decoder().feed(answers[1])
    assert [(m.type, m.session, m.sequence) for m in found] == [
        (Reply.REFUSED, 7, n) for n in range(1, 7)
    ]
    assert accelerator.frames == []


def test_a_board_without_session_refuses_frames():
    spec = spec_of()
    answers, _ = talk(spec, [data(spec, 4, 1)])
    assert [(m.type, m.session) for m in Decoder().feed(answers[0])] == [(Reply.REFUSED, 0)]


def test_a_hello_of_any_version_is_answered():
    answers, _ = talk(spec_of(version=3), [encode(Request.HELLO, 6, 0, version=1)])
    assert [(m.type, m.version, m.session) for m in Decoder().feed(answers[0])] == [
        (Reply.IDENTITY, 3, 6)
    ]


@pytest.mark.parametrize("cut", range(1, 21, 3))
def test_a_new_session_forgets_the_last_one_at_any_moment(cut):
    """HELLO follows frames and a part of one; no answer to them comes after IDENTITY."""
    spec = spec_of(window=4)
    first = b"".join(data(spec, 1, n) for n in range(3)) + data(spec, 1, 3)[:cut]
    answers, _ = talk(spec, [hello(1), first + hello(2) + data(spec, 2, 50)], stall=0.5, seed=cut)
    found = Decoder().feed(answers[1])
    types = [m.type for m in found]
    at = types.index(Reply.IDENTITY)
    assert all(m.session == 1 for m in found[:at])
    assert [(m.session, m.type) for m in found[at:]] == [(2, Reply.IDENTITY), (2, Reply.RESULT)]


def test_a_new_session_takes_a_waiting_beat_back():
    spec = spec_of()
    link = Link(spec)
    accelerator = Accelerator(link)
    # Stuck before the last beat of the first frame, until it is reset.
    accelerator.stall = lambda cycle: not accelerator.clears > 1 and len(accelerator.beats) == 5
    host = Host(link, [hello(1), data(spec, 1, 1), hello(2), data(spec, 2, 2)])
    run(link, host, accelerator)
    assert [[m.type for m in Decoder().feed(a)] for a in host.answers] == [
        [Reply.IDENTITY],
        [],
        [Reply.IDENTITY],
        [Reply.RESULT],
    ]
    (sent,) = Decoder().feed(data(spec, 2, 2))
    assert accelerator.frames == [sent.payload]
    assert Decoder().feed(host.answers[3])[0].payload == result_of(spec, sent.payload)


def test_more_frames_than_the_window_wait():
    spec = spec_of(window=2)
    frames = b"".join(data(spec, 1, n) for n in range(12))
    answers, _ = talk(spec, [hello(1), frames], stall=0.9, seed=3)
    assert [m.sequence for m in Decoder().feed(answers[1])] == list(range(12))


def test_refuses_parameters():
    for bad, why in [
        ({"in_lanes": 0}, "in_lanes is 0"),
        ({"in_beats": 1 << 24}, "too long"),
        ({"out_beats": 40_000}, "too long"),
        ({"window": 1}, "window is 1"),
        ({"version": 16}, "version is 16"),
    ]:
        with pytest.raises(ValueError, match=why):
            spec_of(**bad)
    with pytest.raises(ValueError, match="digest has 3 bytes"):
        LinkSpec(1, 1, 1, 1, digest=b"abc")


def test_window_and_queue():
    # MNIST at 12 cycles a bit: the line needs 94,080 cycles a frame.
    assert window_and_queue(frame=784, ii=3_000, divisor=12) == (16, 512)
    assert window_and_queue(frame=784, ii=90_000, divisor=12) == (16, 1024)
    assert window_and_queue(frame=784, ii=200_000, divisor=12) == (2, 2048)


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_verilog_is_lint_clean(shape, tmp_path):
    lint(to_verilog(Link(spec_of(**shape))), tmp_path, *STYLE, "-Wno-CASEINCOMPLETE")


class Load(Agent):
    """Loads the accelerator after a number of cycles, wrongly at first."""

    def __init__(self, link, fails, loaded):
        self.link, self.fails, self.loaded = link, fails, loaded

    def drive(self, ctx, cycle):
        ctx.set(self.link.failed, self.fails <= cycle < self.loaded)
        ctx.set(self.link.ready, cycle >= self.loaded)


def test_an_accelerator_that_is_not_loaded_gets_no_frames():
    spec = spec_of(loads=True, window=300)
    link = Link(spec)
    again = [hello(1), data(spec, 1, 1)]
    # Each piece waits until the answer to the last one is over.
    host, accelerator = Host(link, again * 5), Accelerator(link)
    run(link, host, accelerator, Load(link, 1200, 3300), timeout=200_000)
    model, found = model_of(spec), []
    for k in range(0, 10, 2):
        (greeting,), (answer,) = (Decoder().feed(host.answers[k + i]) for i in range(2))
        window = identity(greeting).window
        model.ready, model.failed = window == 300, window == WRONGLY_LOADED
        assert [model.feed(p) for p in again] == host.answers[k : k + 2]
        found.append((window, answer.type))
    assert found[0] == (NOT_LOADED, Reply.REFUSED)
    assert (WRONGLY_LOADED, Reply.REFUSED) in found
    assert found[-1] == (300, Reply.RESULT)
    assert len(accelerator.frames) == found.count((300, Reply.RESULT))
