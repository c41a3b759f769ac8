"""AXI4-Lite slave: order and delays of the channels, strobes, responses, back-pressure."""

import random
from types import SimpleNamespace

import pytest
from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.axi.axi_lite import AxiLite, Response

from ..harness import Agent, Sink, Source, Watch, run, stalls

WORDS = 6
READ_ONLY, NOTHING = 6, 7
START = [0x01234567 * (k + 1) & 0xFFFFFFFF for k in range(WORDS)]


def response(word, *, write):
    if word < WORDS or (word == READ_ONLY and not write):
        return Response.OKAY
    return Response.SLVERR if word == READ_ONLY else Response.DECERR


class Memory(wiring.Component):
    """Six words, one that can only be read, and an address without a word."""

    def __init__(self):
        self.lite = AxiLite(address_bits=5)
        self.words = [Signal(32, init=value, name=f"word_{k}") for k, value in enumerate(START)]
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.lite = lite = self.lite
        words = Array(self.words)
        with m.If(lite.write & (lite.write_word < WORDS)):
            for byte in range(4):
                with m.If(lite.write_strobe[byte]):
                    part = words[lite.write_word].word_select(byte, 8)
                    m.d.sync += part.eq(lite.write_data.word_select(byte, 8))
        m.d.comb += lite.read_data.eq(words[lite.read_word])
        for which, port, write in (
            (lite.write_word, lite.write_response, True),
            (lite.read_word, lite.read_response, False),
        ):
            with m.Switch(which):
                for word in range(8):
                    with m.Case(word):
                        m.d.comb += port.eq(response(word, write=write))
        return m


def channel(dut, name, *payload):
    return SimpleNamespace(
        valid=getattr(dut.lite, f"{name}valid"),
        ready=getattr(dut.lite, f"{name}ready"),
        payload=Cat(getattr(dut.lite, f"{name}{part}") for part in payload),
    )


class History(Agent):
    """Records what the memory holds in every cycle."""

    def __init__(self, dut):
        self.dut, self.words = dut, []

    def sample(self, ctx, cycle):
        self.words.append([ctx.get(word) for word in self.dut.words])


class FirstSeen(Agent):
    """Records the cycle in which each beat is first offered."""

    def __init__(self, stream):
        self.stream, self.cycles, self.fresh = stream, [], True

    def sample(self, ctx, cycle):
        if ctx.get(self.stream.valid):
            if self.fresh:
                self.cycles.append(cycle)
            self.fresh = bool(ctx.get(self.stream.ready))


def pauses(seed, probability, first):
    """Hold back before a cycle, and at random after it."""
    stall = stalls(seed, probability)
    return lambda cycle: cycle < first or stall(cycle)


WRITE = st.tuples(st.integers(0, 31), st.integers(0, 2**32 - 1), st.integers(0, 15))
SPEED = st.sampled_from([0.0, 0.3, 0.7, 0.9])


@settings(max_examples=40)
@given(
    writes=st.lists(WRITE, max_size=12),
    reads=st.lists(st.integers(0, 31), max_size=12),
    slow=st.tuples(*[SPEED] * 5),
    late=st.tuples(*[st.sampled_from([0, 0, 3, 9])] * 5),
    seed=st.integers(0, 1000),
)
def test_every_request_is_answered_once_in_any_order_of_the_channels(
    writes, reads, slow, late, seed
):
    dut = Memory()
    hold = [pauses(seed + k, p, first) for k, (p, first) in enumerate(zip(slow, late, strict=True))]
    aw = Source(channel(dut, "aw", "addr"), [address for address, _, _ in writes], hold[0])
    w = Source(channel(dut, "w", "data", "strb"), [d | s << 32 for _, d, s in writes], hold[1])
    b = Sink(channel(dut, "b", "resp"), len(writes), hold[2])
    ar = Source(channel(dut, "ar", "addr"), reads, hold[3])
    r = Sink(channel(dut, "r", "data", "resp"), len(reads), hold[4])
    seen, history = FirstSeen(r.stream), History(dut)
    done = Watch(dut.lite, ["write_word", "write_data", "write_strobe"], valid="write")
    run(dut, aw, w, b, ar, r, seen, history, done)

    assert [tuple(v.values()) for _, v in done.events] == [
        (a >> 2, data, strobe) for a, data, strobe in writes
    ]
    assert [p for _, p in b.transfers] == [response(a >> 2, write=True) for a, _, _ in writes]
    words = list(START)
    for address, data, strobe in writes:
        mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
        if address >> 2 < WORDS:
            words[address >> 2] = words[address >> 2] & ~mask | data & mask
    assert history.words[-1] == words
    for address, asked, first, (_, got) in zip(
        reads, ar.cycles, seen.cycles, r.transfers, strict=True
    ):
        word = address >> 2
        assert got >> 32 == response(word, write=False)
        assert first >= asked + 2
        if word < WORDS:
            # The value is that of the cycle after the request, which is the one before the answer.
            assert got & 0xFFFFFFFF == history.words[first - 1][word]


@pytest.mark.parametrize("count", [1, 20])
def test_a_write_and_a_read_every_other_cycle(count):
    dut = Memory()
    aw, w = (
        Source(channel(dut, "aw", "addr"), [4] * count),
        Source(channel(dut, "w", "data", "strb"), [0] * count),
    )
    b = Sink(channel(dut, "b", "resp"), count)
    ar = Source(channel(dut, "ar", "addr"), [4] * count)
    r = Sink(channel(dut, "r", "data", "resp"), count)
    run(dut, aw, w, b, ar, r)
    assert [cycle for cycle, _ in b.transfers] == [2 + 2 * k for k in range(count)]
    assert [cycle for cycle, _ in r.transfers] == [2 + 2 * k for k in range(count)]


def test_no_output_follows_an_input_in_the_same_cycle():
    dut = Memory()
    lite, rng = dut.lite, random.Random(4)
    inputs = [
        lite.awaddr,
        lite.awvalid,
        lite.wdata,
        lite.wstrb,
        lite.wvalid,
        lite.bready,
        lite.araddr,
        lite.arvalid,
        lite.rready,
    ]
    outputs = [
        lite.awready,
        lite.wready,
        lite.bresp,
        lite.bvalid,
        lite.arready,
        lite.rdata,
        lite.rresp,
        lite.rvalid,
    ]
    busy = set()

    class Wiggle(Agent):
        def drive(self, ctx, cycle):
            before = None
            for _ in range(4):
                for port in inputs:
                    ctx.set(port, rng.getrandbits(len(port)))
                after = [ctx.get(port) for port in outputs]
                assert before in (None, after), f"cycle {cycle}"
                before = after
            busy.update(enumerate(after))

    run(dut, Wiggle(), drain=300)
    assert {(k, v) for k in (0, 1, 3, 4, 7) for v in (0, 1)} <= busy


def test_an_address_has_a_word():
    with pytest.raises(ValueError, match="address_bits is 2; it has to be 3 or more"):
        AxiLite(address_bits=2)
