"""The bench itself reports cycles exactly and finds broken stream rules."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .harness import pack, run_pulses, run_stream, stalls, unpack, with_bubbles


class Register(wiring.Component):
    """A one-deep stream register, with a fault if asked."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def __init__(self, fault: str = ""):
        self.fault = fault
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        if self.fault != "deaf":
            m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.o.valid):
            if self.fault == "drop":
                m.d.sync += self.o.valid.eq(0)
            if self.fault == "change":
                m.d.sync += self.o.payload.eq(self.o.payload + 1)
        return m


class Delay(wiring.Component):
    """Delays a pulse by three cycles, and doubles it if asked."""

    i_valid: In(1)
    i_data: In(8)
    o_valid: Out(1)
    o_data: Out(8)

    def elaborate(self, platform):
        m = Module()
        valid, data = self.i_valid, self.i_data
        for _ in range(3):
            next_valid, next_data = Signal(), Signal(8)
            m.d.sync += [next_valid.eq(valid), next_data.eq(data)]
            valid, data = next_valid, next_data
        m.d.comb += [self.o_valid.eq(valid), self.o_data.eq(data)]
        return m


def test_stream_full_speed_cycles():
    accepted, transfers = run_stream(Register(), range(10), 10)
    assert accepted == list(range(10))
    assert transfers == [(i + 1, i) for i in range(10)]


@pytest.mark.parametrize("seed", range(5))
def test_stream_stalled_keeps_order(seed):
    _, transfers = run_stream(
        Register(), range(50), 50, i_stall=stalls(seed, 0.4), o_stall=stalls(seed + 100, 0.6)
    )
    assert [payload for _, payload in transfers] == list(range(50))


@pytest.mark.parametrize(
    ("fault", "message"),
    [("drop", "valid dropped"), ("change", "became"), ("deaf", "0 of 20 beats accepted")],
)
def test_stream_faults_are_found(fault, message):
    with pytest.raises(AssertionError, match=message):
        run_stream(Register(fault), range(20), 20, o_stall=stalls(1, 0.7), timeout=200)


def test_stream_extra_output_is_found():
    with pytest.raises(AssertionError, match="too many"):
        run_stream(Register(), range(5), 4)


def test_pulses_report_cycles():
    beats = with_bubbles(({"i_data": i} for i in range(20)), seed=3, probability=0.5)
    events = run_pulses(Delay(), beats, ["o_data"], count=20)
    sent = [(cycle + 3, {"o_data": b["i_data"]}) for cycle, b in enumerate(beats) if b is not None]
    assert events == sent


def test_value_out_of_range_is_refused():
    with pytest.raises(AssertionError, match="does not fit"):
        run_pulses(Delay(), [{"i_data": 256}], ["o_data"])


def test_pack_and_unpack():
    assert pack([1, 2, 3], 4) == 0x321
    assert unpack(0x321, 4, 3) == [1, 2, 3]
    assert unpack(pack([-3, 7, -8], 4), 4, 3, signed=True) == [-3, 7, -8]
