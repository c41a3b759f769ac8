"""InputStage: proved for every sequence of samples, of pauses, and of the sink's readies."""

from math import gcd

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Mux

from xnorflow_hw.stream.input import InputStage

from .prover import Monitor, look_up, mutant, paths, prove, refuted

STEPS = np.arange(256) >= np.array([[90], [128], [7]])
TABLES = {
    "steps of three channels": (2, 1, STEPS, 9),
    "steps, a group of one pixel": (2, 1, STEPS, 3),
    "identity": (1, 8, np.arange(256)[None], 4),
    "tables": (1, 2, np.arange(256)[None] // [[3], [5]] % 4, 2),
}


def monitor(kind, lanes, bits, table, group):
    dut = kind(lanes=lanes, bits=bits, table=table, group=group)
    f = Monitor(dut)
    push, pop = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    beats = dut.beats
    came, left = f.count(push, 4, "came"), f.count(pop, 4, "left")
    held = (came - left)[:2]
    beat = f.count(push, beats, "number")
    codes = []
    for lane in range(lanes):
        sample = dut.i.payload.word_select(lane, 8)
        code = Const(0, bits)
        for number in range(beats):
            at = number * lanes + lane
            own = look_up(table[at % len(table)], sample) if at < group else Const(0)
            code = Mux(beat == number, own, code)
        codes.append(code[:bits])
    expected = f.capture(push, Cat(codes), "expected")
    f.claim("keeps", f.keeps(dut.o))
    f.claim("order", ~dut.o.valid | (dut.o.payload == expected))
    f.claim("capacity", held <= 1)
    f.claim("offers", dut.o.valid == (held != 0))
    f.claim("accepts", dut.i.ready == (~dut.o.valid | dut.o.ready))
    registers = f.registers()
    f.lemma("number", beat < beats)
    period = min(beats, len(table) // gcd(len(table), lanes))
    for name, count in {"beat": beats, "phase": period}.items():
        if name in registers:
            f.lemma(name, registers[name] == look_up(np.arange(beats) % count, beat))
            last = np.arange(beats) % count == count - 1
            f.lemma(f"{name}_last", registers[f"{name}_last"] == look_up(last, beat))
    return f


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_proved(table):
    prove(monitor(InputStage, *table), k=1)


READY = "self.i.ready.eq(~self.o.valid | self.o.ready)"
MANY, ONE = list(TABLES)[:2]
MUTANTS = {
    "always takes": (MANY, READY, "self.i.ready.eq(1)", {"keeps", "accepts", "capacity"}),
    "takes late": (MANY, READY, "self.i.ready.eq(~self.o.valid)", {"accepts"}),
    "keeps no code": (MANY, "with m.If(self.i.ready):", "if True:", {"keeps", "offers"}),
    "another threshold": (MANY, "sample < threshold", "sample <= threshold", {"order"}),
    "does not start again": (MANY, "phase.restart(m)", "pass", {"order"}),
    "shows what is beyond": (ONE, "code & (~beat.last).replicate(self.bits)", "code", {"order"}),
}


@pytest.mark.parametrize(("table", "old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(table, old, new, names):
    assert names <= refuted(monitor(mutant(InputStage, old, new), *TABLES[table]), 8)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    claims = set(monitor(InputStage, *TABLES[MANY]).claims)
    assert claims == caught


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_only_ready_reaches_ready(table):
    assert paths(monitor(InputStage, *table)) == {"o.ready > i.ready"}
