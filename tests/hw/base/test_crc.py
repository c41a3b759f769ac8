"""CRC-32 equals that of zlib, at every width."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.base.crc import Crc32

from ..harness import Agent, run


class Bytes(Agent):
    """Sends one message after the other and keeps the (crc, match) at the end of each."""

    def __init__(self, dut, messages):
        self.dut = dut
        self.todo = [item for m in messages for item in (None, *m, "end")]
        self.sums, self.waited = [], 0

    def drive(self, ctx, cycle):
        dut = self.dut
        item = self.todo[0] if self.todo and not ctx.get(dut.busy) else "wait"
        ctx.set(dut.start, item is None)
        ctx.set(dut.valid, isinstance(item, int))
        # A byte that is not valid must not matter, so the wires carry random values.
        ctx.set(dut.data, item if isinstance(item, int) else random.Random(cycle).getrandbits(8))
        if item == "end":
            self.sums.append((ctx.get(dut.crc), ctx.get(dut.match)))
        if item != "wait":
            self.todo.pop(0)

    @property
    def done(self):
        return not self.todo


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@settings(max_examples=10)
@given(
    messages=st.lists(st.binary(max_size=12), min_size=1, max_size=4), damage=st.integers(1, 255)
)
def test_sums_are_those_of_zlib_and_only_a_whole_message_matches(bits, messages, damage):
    sums = [zlib.crc32(m) for m in messages]
    whole = [m + s.to_bytes(4, "little") for m, s in zip(messages, sums, strict=True)]
    broken = [bytes([w[0] ^ damage]) + w[1:] for w in whole]
    agent = Bytes(dut := Crc32(bits=bits), [*messages, *whole, *broken])
    run(dut, agent)
    n = len(messages)
    assert [s for s, _ in agent.sums[:n]] == sums
    assert [m for _, m in agent.sums[n:]] == [1] * n + [0] * n


def test_a_byte_takes_as_many_cycles_as_its_width_says():
    dut = Crc32(bits=2)
    agent = Bytes(dut, [bytes(8)])
    cycles = []
    agent.sample = lambda ctx, cycle: cycles.append(ctx.get(dut.busy))
    run(dut, agent)
    assert sum(cycles) == 8 * 3


def test_refuses_other_widths():
    with pytest.raises(ValueError, match="bits is 3; it has to be 1, 2, 4 or 8"):
        Crc32(bits=3)
