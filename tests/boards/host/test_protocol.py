"""Messages become bytes and are read back; damaged bytes never make another message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow_boards.host.protocol import Decoder, Message, decode, encode, hello, identity
from xnorflow_hw.link.link_format import ESCAPE, FLAG, VERSION, Reply, Request
from xnorflow_hw.link.link_spec import LinkSpec
from xnorflow_sim.board.faults import FaultRates, NoisyLine

u16 = st.integers(0, 0xFFFF)
# Many bytes that need an escape, or look like one.
special = st.lists(st.sampled_from([0x7E, 0x7D, 0x5E, 0x5D, 0]), max_size=12).map(bytes)
payloads = st.one_of(st.binary(max_size=40), special)
messages = st.builds(Message, st.integers(0, 15), st.integers(0, 15), u16, u16, payloads)
rates = st.builds(FaultRates, *[st.sampled_from([0.0, 0.002, 0.02, 0.1])] * 4)


def encoded(m):
    return encode(m.type, m.session, m.sequence, m.payload, version=m.version)


@given(st.lists(messages, max_size=6), st.integers(1, 50))
def test_reads_what_was_written_in_pieces_of_any_size(sent, size):
    data = b"".join(encoded(m) for m in sent)
    decoder, got = Decoder(), []
    for start in range(0, len(data), size):
        got += decoder.feed(data[start : start + size])
    assert got == sent
    assert decoder.broken == 0


@given(messages)
def test_a_flag_stands_only_around_a_message(message):
    data = encoded(message)
    assert data[0] == data[-1] == FLAG
    assert FLAG not in data[1:-1]


@given(messages, st.binary(max_size=60))
def test_a_message_is_read_after_any_garbage(message, garbage):
    assert Decoder().feed(garbage + encoded(message))[-1] == message


@given(messages, st.integers(0, 4000), st.data())
def test_a_damaged_byte_is_noticed(message, place, data):
    raw = bytearray(encoded(message))
    place %= len(raw)
    value = data.draw(st.integers(0, 255).filter(lambda v: v != raw[place]))
    raw[place] = value
    assert all(m == message for m in Decoder().feed(bytes(raw)))


@given(messages, st.data())
def test_a_message_that_is_cut_is_none(message, data):
    raw = encoded(message)
    end = data.draw(st.integers(0, len(raw) - 2))
    assert Decoder().feed(raw[:end] + bytes([FLAG])) == []


@given(st.lists(messages, max_size=12), rates, st.integers(0, 1 << 30))
def test_nothing_but_what_was_sent_is_read_from_a_damaged_stream(sent, rate, seed):
    line = NoisyLine(rate, seed)
    data = b"".join(line.carry(encoded(m)) for m in sent)
    assert set(Decoder().feed(data)) <= set(sent)


@given(messages, st.binary(max_size=40))
def test_every_undamaged_message_of_a_damaged_stream_is_read(message, garbage):
    data = encoded(message) + garbage + encoded(message)
    assert Decoder().feed(data).count(message) == 2


@given(st.binary(max_size=30))
def test_decode_never_fails(body):
    decode(body)


@pytest.mark.parametrize("tail", [b"\x7d", b"\x7d\x00", b"\x7d\x7d"])
def test_a_false_escape_breaks_a_message(tail):
    assert decode(encode(1, 2, 3)[1:-1] + tail) is None


def test_a_length_that_is_not_the_payloads_breaks_a_message():
    import zlib

    body = bytes([VERSION << 4 | 10, 1, 0, 1, 0, 3, 0, 0]) + b"four"
    assert decode(body + zlib.crc32(body).to_bytes(4, "little")) is None


def test_garbage_without_flags_is_not_kept():
    decoder = Decoder(longest=100)
    for _ in range(50):
        decoder.feed(bytes(1000))
    assert len(decoder._rest) <= 201 + 1000
    assert decoder.feed(b"\x7e" + hello(5))[0].session == 5
    assert decoder.broken == 1


def test_bytes_of_known_messages():
    """The bytes are those that docs/link.md shows."""
    assert hello(0x1234).hex(" ") == "7e 11 34 12 00 00 00 00 00 0d cc 01 c7 7e"
    assert (
        encode(Request.DATA, 0x1234, 7, b"\x7e\x7d\x00").hex(" ")
        == "7e 12 34 12 07 00 03 00 00 7d 5e 7d 5d 00 05 bd 9c 36 7e"
    )
    assert (FLAG, ESCAPE) == (0x7E, 0x7D)


def test_identity():
    spec = LinkSpec(2, 32, 4, 5, digest=bytes(range(16)), clock_hz=48_000_000, window=4)
    got = identity(Message(1, Reply.IDENTITY, 3, 0, spec.identity))
    assert got is not None
    assert (got.digest, got.frame_bytes, got.result_bytes, got.window, got.clock_hz) == (
        "000102030405060708090a0b0c0d0e0f",
        64,
        20,
        4,
        48_000_000,
    )
    # A later version may append fields; an answer that is too short is no identity.
    assert identity(Message(2, Reply.IDENTITY, 3, 0, spec.identity + b"more")).window == 4
    assert identity(Message(1, Reply.IDENTITY, 3, 0, spec.identity[:-1])) is None
    assert identity(Message(1, Reply.RESULT, 3, 0, spec.identity)) is None
