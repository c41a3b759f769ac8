"""StreamQueue: proved for every sequence of beats, of pauses, and of the sink's readies."""

import pytest
from amaranth.hdl import Mux

from xnorflow_hw.stream.stream_queue import StreamQueue

from .prover import Monitor, mutant, paths, prove, refuted

NUMBERS = 16
"""Beats are numbered modulo this, which is more than any queue here holds."""
LEVEL = "$signal"
"""The one register without a name."""
DEPTHS = (1, 2, 3, 5)


def monitor(kind=StreamQueue, depth=3, ram="auto"):
    dut = kind(width=2, depth=depth, ram=ram)
    f = Monitor(dut)
    write, read = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    written, left = f.count(write, NUMBERS, "written"), f.count(read, NUMBERS, "left")
    held = (written - left)[:4]
    # Any one beat, what it holds, and whether it is held now.
    beat = f.constant(4, "beat")
    value = f.capture(write & (written == beat), dut.i.payload, "value")
    place = (beat - left)[:4]
    inside = place < held
    f.claim("keeps", f.keeps(dut.o))
    f.claim("order", ~(dut.o.valid & (left == beat)) | (inside & (dut.o.payload == value)))
    f.claim("capacity", held <= depth)
    f.claim("accepts", dut.i.ready == (held != depth))
    f.claim("offers", dut.o.valid == (held != 0))

    if depth == 1:
        f.lemma("level", f.register(LEVEL) == held)
        return f
    memory = f.inner.submodules.memory
    [writer], reader = memory.write_ports, memory.read_ports[0]
    oldest, newest = f.register("oldest"), f.register("newest")
    after = oldest + place
    word = f.peek(Mux(after >= depth, after - depth, after), "memory")
    f.lemma("level", f.register(LEVEL) == held)
    f.lemma("lasts", f.register("oldest_last") == (oldest == depth - 1))
    f.lemma("lasts_too", f.register("newest_last") == (newest == depth - 1))
    f.lemma("places", (oldest < depth) & (newest < depth))
    end = oldest + held
    f.lemma("newest", newest == Mux(end >= depth, end - depth, end))
    f.lemma("stored", ~inside | (word == value))
    f.lemma("offered", ~dut.o.valid | (dut.o.payload == f.peek(oldest, "memory")))
    if ram != "distributed":
        # What a memory delivers of a word that is being written is nobody's to know.
        unknown = f.past(writer.en & (writer.addr == reader.addr))
        f.claim("no_collision", ~(dut.o.valid & unknown) | f.register("passes"))
    return f


@pytest.mark.parametrize("ram", ["auto", "distributed"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_proved(depth, ram):
    prove(monitor(depth=depth, ram=ram), k=1)


@pytest.mark.parametrize("ram", ["auto", "block", "distributed"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_no_side_sees_the_other(depth, ram):
    assert paths(monitor(depth=depth, ram=ram)) == set()


MUTANTS = {
    "one too many": ("level != self.depth)", "level != self.depth + 1)", {"capacity", "accepts"}),
    "one too few": ("level != self.depth)", "level != self.depth - 1)", {"accepts"}),
    "offers what is not there": ("level != 0),", "1),", {"offers", "order"}),
    "offers late": ("level != 0),", "level == self.depth),", {"offers"}),
    "offers only while there is more": ("level != 0),", "(level != 0) & self.i.valid),", {"keeps"}),
    "counts a passing beat twice": (
        "with m.If(write & ~read):",
        "with m.If(write):",
        {"accepts", "offers"},
    ),
    "reads the beat before": ("Mux(read, after, oldest.index))", "oldest.index)", {"order"}),
    "keeps nothing beside": ("Mux(read, level == 1, level == 0)", "(level == 0)", {"no_collision"}),
    "takes what comes beside": (
        "Mux(passes, beside,",
        "Mux(level == 1, self.i.payload,",
        {"keeps"},
    ),
}


@pytest.mark.parametrize(("old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(old, new, names):
    assert names <= refuted(monitor(mutant(StreamQueue, old, new)), 7)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    claims = set(monitor().claims)
    assert claims == caught


def test_mutant_in_which_a_side_sees_the_other():
    broken = mutant(StreamQueue, "level != self.depth)", "(level != self.depth) | self.o.ready)")
    assert paths(monitor(broken)) == {"o.ready > i.ready"}
