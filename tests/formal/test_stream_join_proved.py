"""StreamJoin: proved for every sequence of beats of each port, of pauses and of permits."""

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Mux

from xnorflow_hw.spec import JoinSpec, PortSpec
from xnorflow_hw.stage.stream_join import StreamJoin

from .prover import Monitor, look_up, mutant, paths, prove, refuted

MAP = {"height": 1, "width": 3, "words": 2}
PLAIN = PortSpec(bits=2, lanes=1, words=2)
SPECS = {
    "one port": JoinSpec((PLAIN,), **MAP),
    "together": JoinSpec((PLAIN, PortSpec(bits=1, lanes=1, words=2)), **MAP),
    "held for pixels": JoinSpec((PLAIN, PortSpec(bits=2, lanes=1, words=1, hold="pixel")), **MAP),
    "held for frames": JoinSpec((PLAIN, PortSpec(bits=2, lanes=1, words=2, hold="frame")), **MAP),
    "one word for frames": JoinSpec(
        (PortSpec(bits=2, lanes=1, words=1, hold="frame"), PLAIN), **MAP
    ),
    "in turn": JoinSpec((PLAIN, PLAIN), **MAP, turns=(1, 2)),
    "three in turn": JoinSpec((PLAIN, PLAIN, PLAIN), **MAP, turns=(3, 1, 2)),
}


def monitor(kind, spec):
    dut = kind(spec)
    f = Monitor(dut)
    beats = np.arange(spec.cycles)
    number = f.count(dut.o_issued, spec.cycles, "number")
    needs = [look_up(np.isin(beats, spec.takes(k)), number) for k in range(len(spec.ports))]
    offered = [~need | i.valid for need, i in zip(needs, dut.inputs, strict=True)]
    issue = dut.permit & Cat(offered).all()
    word = look_up(beats % spec.words, number)
    f.claim("issues", dut.o_issued == issue)
    for k, (i, need) in enumerate(zip(dut.inputs, needs, strict=True)):
        others = [own for j, own in enumerate(offered) if j != k]
        f.claim(f"accepts_{k}", i.ready == (need & dut.permit & Cat(others).all()))
        f.claim(f"takes_{k}", (i.valid & i.ready) == (issue & need))
    f.claim("pulse", dut.o_valid == f.past(issue, 2))
    f.claim("row", ~dut.o_valid | (dut.o_row == f.past(word, 2)))

    if spec.turns:
        turns = np.repeat(np.arange(len(spec.turns)), spec.turns)
        turn = look_up(np.resize(turns, spec.cycles), number)
        f.claim("port", ~dut.o_valid | (dut.o_port == f.past(turn, 2)))
        data = Const(0, spec.word_bits)
        for k, i in enumerate(dut.inputs):
            data = Mux(turn == k, i.payload, data)
    else:
        data = Cat(
            kept(f, k, port, issue, need, word)
            for k, (port, need) in enumerate(zip(spec.ports, needs, strict=True))
        )
    f.claim("order", ~dut.o_valid | (dut.o_data == f.past(data, 2)))

    registers = f.registers()
    first = beats % spec.words == 0
    tables = {
        "word": beats % spec.words,
        "word_last": beats % spec.words == spec.words - 1,
        "pixel": beats // spec.words,
        "pixel_last": beats // spec.words == spec.height * spec.width - 1,
        "first_word": first,
        "first_pixel": beats < spec.words,
    }
    for k in range(len(spec.turns)):
        taken = np.isin(beats, spec.takes(k))
        given = (np.cumsum(taken) - taken) % spec.turns[k]
        tables[f"turn_{k}"] = taken
        tables[f"given_{k}"] = given
        tables[f"given_{k}_last"] = given == spec.turns[k] - 1
    f.lemma("number", number < spec.cycles)
    for name, table in tables.items():
        if name in registers:
            f.lemma(name, registers[name] == look_up(table, number))
    return f


def kept(f, k, port, issue, need, word):
    """Return the beat of port `k` for an issue: its own, or the one that is held."""
    payload = f.dut.inputs[k].payload
    if port.hold == "none":
        return payload
    if port.words == 1:
        held = f.capture(issue & need, payload, f"held_{k}")
        f.lemma(f"held_{k}", need | (f.register(f"data_{k}") == held))
        return Mux(need, payload, held)
    held = Const(0, port.word_bits)
    for number in range(port.words):
        own = f.capture(issue & need & (word == number), payload, f"held_{k}_{number}")
        entry = f.peek(Const(number), f"memory_{k}")
        held = Mux(word == number, own, held)
        f.lemma(f"stored_{k}_{number}", need & (word <= number) | (entry == own))
    memory = getattr(f.inner.submodules, f"memory_{k}")
    [writer], reader = memory.write_ports, memory.read_ports[0]
    unknown = f.past(writer.en & (writer.addr == reader.addr))
    f.claim("no_collision", ~unknown | f.register(f"fresh_{k}_1"))
    return Mux(need, payload, held)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_proved(spec):
    prove(monitor(StreamJoin, spec), k=3)


MUTANTS = {
    "does not ask for a permit": (
        "together",
        "issue.eq(self.permit & Cat(offered).all())",
        "issue.eq(Cat(offered).all())",
        {"issues"},
    ),
    "takes from those that have one": ("together", "need & others.all()", "need", {"takes_0"}),
    "takes what it does not need": (
        "in turn",
        "need & others.all()",
        "others.all()",
        {"accepts_0", "takes_0"},
    ),
    "issues without what it needs": (
        "held for pixels",
        "offered = [~need | i.valid",
        "offered = [~need | i.valid | (self.o_port == 0)",
        {"issues", "takes_1"},
    ),
    "a pulse late": ("in turn", "delay(m, issue, 2,", "delay(m, issue, 3,", {"pulse"}),
    "a beat late": ("together", "delay(m, data, 1,", "delay(m, data, 2,", {"order"}),
    "a row late": ("together", "delay(m, word.index, 2,", "delay(m, word.index, 3,", {"row"}),
    "a port late": ("in turn", "delay(m, port, 2,", "delay(m, port, 3,", {"port"}),
    "turns of one": ("in turn", "with m.If(loop.last):", "if True:", {"accepts_1", "order"}),
    "holds for each beat": (
        "held for pixels",
        "first_word.eq(word.last)",
        "first_word.eq(1)",
        {"takes_1", "order"},
    ),
    "holds for ever": (
        "held for frames",
        "first_pixel.eq(pixel.last)",
        "first_pixel.eq(0)",
        {"takes_1", "order"},
    ),
    "keeps nothing of a pixel's": (
        "held for pixels",
        "with m.If(issue & need):",
        "with m.If(issue):",
        {"order"},
    ),
    "reads while it writes": (
        "held for frames",
        "fresh = delay(m, need, 1,",
        "fresh = delay(m, need & word.last, 1,",
        {"no_collision", "order"},
    ),
}


@pytest.mark.parametrize(("spec", "old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(spec, old, new, names):
    assert names <= refuted(monitor(mutant(StreamJoin, old, new), SPECS[spec]), 10)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    claims = set().union(*(monitor(StreamJoin, spec).claims for spec in SPECS.values()))
    assert {name.rstrip("_012") for name in claims} == {name.rstrip("_012") for name in caught}


def test_no_ready_needs_its_own_valid():
    ways = {"permit > o_issued", "i_0.valid > o_issued", "i_1.valid > o_issued"}
    for k in (0, 1):
        ways |= {f"permit > i_{k}.ready", f"i_{1 - k}.valid > i_{k}.ready"}
    for spec in ("together", "held for pixels", "held for frames", "in turn"):
        assert paths(monitor(StreamJoin, SPECS[spec])) == ways


def test_mutant_in_which_a_ready_needs_its_valid():
    broken = mutant(StreamJoin, "need & others.all()", "issue & need")
    assert "i_0.valid > i_0.ready" in paths(monitor(broken, SPECS["together"]))
