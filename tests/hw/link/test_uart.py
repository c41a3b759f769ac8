"""UART: waveforms of many rates in and out, damaged bytes, full queues, flow control."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.link.uart import RTS_RESERVE, Uart, UartReceiver, UartTransmitter, divisor_for

from ..harness import Agent, Drive, Source, Watch, run, stalls


def wave(data, bit, *, gap=0.0, before=3.0):
    """Return the levels per cycle of bytes sent with `bit` cycles, perhaps not whole, per bit."""
    edges, now, level = [], before, 1
    for byte in data:
        for value in (0, *(byte >> k & 1 for k in range(8)), 1):
            if value != level:
                edges.append(now)
                level = value
            now += bit
        now += gap * bit
    levels, level = [], 1
    for cycle in range(int(now + 4 * bit)):
        level ^= sum(cycle <= e < cycle + 1 for e in edges) & 1
        levels.append(level)
    return levels


def receive(divisor, levels):
    """Return the bytes received and the number of errors."""
    dut = UartReceiver(divisor=divisor)
    drive = Drive(dut.rx, lambda cycle: levels[cycle] if cycle < len(levels) else 1)
    got, errors = Watch(dut, ["o_data"]), Watch(dut, ["error"], valid="error")
    run(dut, drive, got, errors, drain=len(levels) + 20, timeout=len(levels) + 100)
    return bytes(v["o_data"] for _, v in got.events), len(errors.events)


@settings(max_examples=20)
@given(
    data=st.binary(min_size=1, max_size=8),
    divisor=st.sampled_from([4, 5, 8, 13, 27]),
    off=st.floats(-0.02, 0.02),
    gap=st.sampled_from([0.0, 0.3, 2.0]),
    before=st.floats(2, 4),
)
def test_receives_at_rates_that_are_up_to_two_percent_off(data, divisor, off, gap, before):
    assert receive(divisor, wave(data, divisor * (1 + off), gap=gap, before=before)) == (data, 0)


def test_drops_a_byte_without_stop_bit_and_goes_on():
    levels = wave(b"\x55", 8)
    stop = 3 + 9 * 8
    levels[stop : stop + 8] = [0] * 8
    assert receive(8, levels + wave(b"ok", 8)) == (b"ok", 1)


def test_a_break_is_one_error():
    assert receive(8, [1] * 5 + [0] * 400 + wave(b"ok", 8)) == (b"ok", 1)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_ignores_spikes(length):
    assert receive(8, [1] * 5 + [0] * length + wave(b"ok", 8, before=12)) == (b"ok", 0)


class Line(Agent):
    """Records the transmitter's line."""

    def __init__(self, dut):
        self.dut, self.levels = dut, []

    def sample(self, ctx, cycle):
        self.levels.append(ctx.get(self.dut.tx))


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_transmits_back_to_back_with_exact_bits(divisor):
    data = bytes([0x00, 0xFF, 0x55, 0xA7])
    dut = UartTransmitter(divisor=divisor)
    line = Line(dut)
    run(dut, Source(dut.i, data), line, Drive(dut.permit, lambda cycle: 1), drain=12 * divisor)
    start = line.levels.index(0)
    bits = [b for byte in data for b in (0, *(byte >> k & 1 for k in range(8)), 1)]
    assert line.levels[start:][: len(bits) * divisor] == [b for b in bits for _ in range(divisor)]
    assert set(line.levels[start + len(bits) * divisor :]) == {1}


def test_finishes_a_byte_and_starts_none_without_permit():
    dut = UartTransmitter(divisor=4)
    source, line = Source(dut.i, b"\x00\x00\x00"), Line(dut)
    run(dut, source, line, Drive(dut.permit, lambda cycle: not 60 < cycle < 200), drain=60)
    assert source.cycles == [0, 40, 200]
    assert set(line.levels[81:200]) == {1}


class Loop(Agent):
    """Connects a UART's tx to its rx, and cts to rts if asked."""

    def __init__(self, dut, flow=False):
        self.dut, self.flow = dut, flow
        self.errors = 0

    def drive(self, ctx, cycle):
        ctx.set(self.dut.rx, ctx.get(self.dut.tx))
        ctx.set(self.dut.cts, ctx.get(self.dut.rts) if self.flow else 1)

    def sample(self, ctx, cycle):
        self.errors += ctx.get(self.dut.error)


class Taker(Agent):
    """Takes bytes from a stream."""

    def __init__(self, stream, count, stall):
        self.stream, self.count, self.stall, self.data = stream, count, stall, b""

    def drive(self, ctx, cycle):
        ctx.set(self.stream.ready, not self.stall(cycle))

    def sample(self, ctx, cycle):
        if ctx.get(self.stream.valid) and ctx.get(self.stream.ready):
            self.data += bytes([ctx.get(self.stream.payload)])

    @property
    def done(self):
        return len(self.data) == self.count


def test_what_is_sent_is_received():
    data = random.Random(1).randbytes(30)
    dut = Uart(divisor=4, buffer=4)
    loop, taker = Loop(dut), Taker(dut.o, len(data), stalls(2, 0.8))
    run(dut, Source(dut.i, data, stalls(3, 0.3)), taker, loop)
    assert taker.data == data
    assert loop.errors == 0


def test_bytes_that_find_the_queue_full_are_dropped_and_counted():
    data = bytes(range(20))
    dut = Uart(divisor=4, buffer=8)
    loop, taker = Loop(dut), Taker(dut.o, 8, lambda cycle: cycle < 1000)
    run(dut, Source(dut.i, data), taker, loop)
    assert taker.data == data[:8]
    assert loop.errors == 12


def test_flow_control_keeps_every_byte():
    data = random.Random(4).randbytes(120)
    dut = Uart(divisor=4, buffer=2 * RTS_RESERVE, flow=True)
    loop = Loop(dut, flow=True)
    taker = Taker(dut.o, len(data), lambda cycle: cycle < 5000)
    run(dut, Source(dut.i, data), taker, loop, timeout=20_000)
    assert taker.data == data
    assert loop.errors == 0


def test_divisor():
    assert divisor_for(12e6, 1_000_000) == 12
    assert divisor_for(25e6, 115_200) == 217
    with pytest.raises(ValueError, match=r"25 MHz / 8 is \+4.2 % off 3000000 baud"):
        divisor_for(25e6, 3_000_000)
    with pytest.raises(ValueError, match="clock_hz is 0 and baud is 9600"):
        divisor_for(0, 9600)
    for make in (UartReceiver, UartTransmitter):
        with pytest.raises(ValueError, match="divisor is 3"):
            make(divisor=3)
    with pytest.raises(ValueError, match="buffer is 63; it has to be 64 or more"):
        Uart(divisor=8, buffer=63, flow=True)
