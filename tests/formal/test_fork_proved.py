"""Fork: proved for every sequence of beats and of the sinks' readies."""

import pytest
from amaranth.hdl import Cat

from xnorflow_hw.stream.fork import Fork

from .prover import Monitor, mutant, paths, prove, refuted

NUMBERS = 8
"""Beats are numbered modulo this."""


def monitor(kind=Fork, sinks=2):
    dut = kind(width=2, sinks=sinks)
    f = Monitor(dut)
    f.assume("source_keeps", f.keeps(dut.i))
    source = f.count(dut.i.valid & dut.i.ready, NUMBERS, "source")
    owns, served = [], []
    for k, o in enumerate(dut.outputs):
        take = o.valid & o.ready
        own = f.count(take, NUMBERS, f"sink_{k}")
        owed = own == source
        f.lemma(f"done_{k}", (own - source)[:3] == f.register("done")[k])
        f.claim(f"keeps_{k}", f.keeps(o))
        # The wires show the beat with the source's number, so a sink's transfer has to be its own.
        f.claim(f"order_{k}", ~take | (owed & (o.payload == dut.i.payload)))
        f.claim(f"once_{k}", ~(dut.i.valid & dut.i.ready) | ((own + take)[:3] == (source + 1)[:3]))
        f.claim(f"offer_{k}", o.valid == (dut.i.valid & owed))
        owns.append(own)
        served.append(~owed | o.ready)
    f.claim("transfer", dut.i.ready == Cat(served).all())
    return f


@pytest.mark.parametrize("sinks", [2, 3])
def test_proved(sinks):
    prove(monitor(sinks=sinks), k=1)


MUTANTS = {
    "offers again": ("i.valid & ~done[k])", "i.valid)", {"order_0", "once_0", "offer_0"}),
    "forgets who has it": ("(~self.i.ready).replicate(self.sinks)", "0", {"order_0", "order_1"}),
    "waits for the first alone": ("Cat(served).all())", "served[0])", {"once_1", "transfer"}),
    "drops an offer": ("i.valid & ~done[k])", "i.valid & ~done[k] & ~done[k - 1])", {"keeps_0"}),
    "offers too early": ("done[k] | o.ready for", "o.ready for", {"transfer"}),
}


@pytest.mark.parametrize(("old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(old, new, names):
    assert names <= refuted(monitor(mutant(Fork, old, new)), 4)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    claims = set(monitor().claims)
    assert {name.rstrip("_0123") for name in claims} == {name.rstrip("_0123") for name in caught}


def test_no_sink_sees_another():
    assert paths(monitor()) == {
        "i.valid > o_0.valid",
        "i.valid > o_1.valid",
        "o_0.ready > i.ready",
        "o_1.ready > i.ready",
    }


def test_mutant_in_which_a_sink_sees_another():
    broken = mutant(Fork, "i.valid & ~done[k])", "i.valid & ~done[k] & self.o_0.ready)")
    assert "o_0.ready > o_1.valid" in paths(monitor(broken))
