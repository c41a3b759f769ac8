"""Counters and measurements of the AXI wrapper equal a model that keeps a list of frames."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.axi.monitor import Monitor
from xnorflow_hw.axi.register_map import REGISTERS
from xnorflow_sim.bench.axi_model import MonitorModel

from ..harness import Agent, run

INPUTS = (
    "s_valid",
    "s_ready",
    "s_last",
    "m_valid",
    "m_ready",
    "m_last",
    "m_real",
    "filling",
    "restart",
    "clear",
    "snapshot",
)
STATUS_INPUTS = ("s_valid", "s_ready", "m_valid", "m_ready", "filling")


class Traffic(Agent):
    """Random handshakes of an accelerator that ends frames in order, and of its user."""

    def __init__(self, dut, seed, cycles):
        self.dut, self.rng, self.cycles, self.now = dut, random.Random(seed), cycles, 0
        self.model = MonitorModel(dut.frame_beats, dut.measure_bits)
        self.rates = {name: self.rng.choice([0.05, 0.5, 0.95]) for name in INPUTS}
        self.rates |= {"restart": self.rng.choice([0, 0.02]), "clear": 0.03, "snapshot": 0.2}
        self.offered = None

    def drive(self, ctx, cycle):
        for name, value in self.model.taken.items():
            assert ctx.get(getattr(self.dut, f"taken_{name}")) == value, f"cycle {cycle}: {name}"
        pins = {name: int(self.rng.random() < self.rates[name]) for name in INPUTS}
        if pins["restart"]:
            pins["s_ready"] = 0
        whole = len(self.model.begun) - (self.model.beat != 0)
        if self.offered is None and pins["m_valid"]:
            last = pins["m_last"] and whole > 0
            self.offered = {"m_last": int(last), "m_real": int(last or pins["m_real"])}
        pins["m_valid"] = int(self.offered is not None)
        pins |= self.offered or {}
        if pins["m_valid"] and pins["m_ready"]:
            self.offered = None
        elif pins["restart"] and self.offered and not self.offered["m_last"]:
            self.offered["m_real"] = 0
        self.pins = pins
        for name, value in pins.items():
            ctx.set(getattr(self.dut, name), value)

    def sample(self, ctx, cycle):
        assert ctx.get(self.dut.status) == self.model.status(
            **{name: self.pins[name] for name in STATUS_INPUTS}
        ), f"cycle {cycle}"
        self.model.step(**{name: self.pins[name] for name in INPUTS if name != "filling"})
        self.now = cycle

    @property
    def done(self):
        return self.now >= self.cycles


@settings(max_examples=40)
@given(
    frame_beats=st.integers(1, 5),
    seed=st.integers(0, 2**32),
    bits=st.sampled_from([4, 32]),
    cycles=st.sampled_from([50, 400]),
)
def test_counters_measurements_and_status_equal_the_models(frame_beats, seed, bits, cycles):
    dut = Monitor(frame_beats=frame_beats, measure_bits=bits)
    run(dut, Traffic(dut, seed, cycles))


def test_the_map_has_no_overlap_and_room_for_all():
    words = [register.offset // 4 + k for register in REGISTERS for k in range(register.words)]
    assert len(words) == len(set(words))
    assert all(register.offset % 4 == 0 for register in REGISTERS)
    assert 4 * max(words) < 4096
    for register in REGISTERS:
        bits = [b for f in register.fields for b in range(f.low, f.low + f.width)]
        assert len(bits) == len(set(bits)) and all(b < 32 for b in bits)


def test_a_frame_has_a_beat():
    with pytest.raises(ValueError, match="frame_beats is 0; it has to be 1 or more"):
        Monitor(frame_beats=0)
