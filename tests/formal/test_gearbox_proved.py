"""Gearbox: proved element by element, for every sequence of beats, pauses and readies."""

import pytest
from amaranth.hdl import Cat, Mux, Signal

from xnorflow_hw.spec.geometry import ceil_div
from xnorflow_hw.stream.gearbox import Gearbox

from .prover import Monitor, look_up, mutant, paths, prove, refuted

BITS = 2
SHAPES = {
    "up": (8, 2, 8, 4),
    "up, ragged": (6, 2, 6, 4),
    "up, by three": (7, 1, 7, 3),
    "down": (8, 4, 8, 2),
    "down, ragged": (5, 4, 5, 2),
    "down, to one": (3, 3, 3, 1),
    "barrel, 3 to 2": (6, 3, 6, 2),
    "barrel, 2 to 3": (5, 2, 5, 3),
    "barrel, flatten": (3, 2, 6, 4),
    "barrel, split": (6, 4, 3, 2),
}


def starts(group, lanes, period):
    """Return the elements with which beats start, and how many there are in each of these beats."""
    sizes = {}
    for start in range(0, period, group):
        for beat in range(ceil_div(group, lanes)):
            sizes[start + beat * lanes] = min(lanes, group - beat * lanes)
    return sizes


def monitor(kind, group_in, lanes_in, group_out, lanes_out):
    dut = kind(
        bits=BITS, group_in=group_in, lanes_in=lanes_in, group_out=group_out, lanes_out=lanes_out
    )
    f = Monitor(dut)
    m = f.m
    most = lanes_in + lanes_out - 1
    # Elements are numbered modulo a number of groups with more elements than the gearbox holds.
    larger = max(group_in, group_out)
    period = larger * ceil_div(most + lanes_in + 1, larger)
    inputs, outputs = (
        starts(*side, period) for side in [(group_in, lanes_in), (group_out, lanes_out)]
    )

    def by_element(sizes, function):
        return [function(e) if e in sizes else 0 for e in range(period)]

    def number(event, sizes, name):
        """Count elements by beats; return the first element of the next beat."""
        element = Signal(range(period), name=name)
        following = by_element(sizes, lambda e: (e + sizes[e]) % period)
        with m.If(event):
            m.d.sync += element.eq(look_up(following, element))
        f.lemma(name, (element < period) & look_up(by_element(sizes, lambda e: 1), element))
        return element

    def ahead(element, of):
        return Mux(element >= of, element - of, element + period - of)[: period.bit_length()]

    push, pop = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    came, left = number(push, inputs, "came"), number(pop, outputs, "left")
    fill = ahead(came, left)
    arriving = look_up(by_element(inputs, inputs.get), came)
    leaving = look_up(by_element(outputs, outputs.get), left)
    after = look_up(by_element(outputs, lambda e: outputs[(e + outputs[e]) % period]), left)

    # Any one element, and what it holds.
    element = f.constant(period.bit_length(), "element")
    f.assume("element", element < period)
    lane_in, lane_out = ahead(element, came), ahead(element, left)
    value = f.capture(
        push & (lane_in < arriving), dut.i.payload.word_select(lane_in, BITS), "value"
    )
    offered = dut.o.payload.word_select(lane_out, BITS)
    inside = lane_out < fill
    f.claim("keeps", f.keeps(dut.o))
    f.claim("order", ~(dut.o.valid & (lane_out < leaving)) | (inside & (offered == value)))
    unused = [
        ~(dut.o.valid & (leaving <= lane)) | (dut.o.payload.word_select(lane, BITS) == 0)
        for lane in range(lanes_out)
    ]
    f.claim("unused", Cat(unused).all())
    f.claim("capacity", fill <= most)
    f.claim("offers", dut.o.valid == (fill >= leaving))
    remains = fill >= leaving + after
    f.claim("accepts", dut.i.ready == (~dut.o.valid | (dut.o.ready & ~remains)))

    stored(f, dut, fill, inside, value, lane_out)
    registers = f.registers()

    def follows(name, element, table):
        if name in registers:
            f.lemma(name, registers[name] == look_up(table, element))

    places = range(period)
    last_in, last_out = ceil_div(group_in, lanes_in) - 1, ceil_div(group_out, lanes_out) - 1
    follows("slot", came, [e % larger % lanes_out // lanes_in for e in places])
    ends = [e % larger % lanes_out // lanes_in == lanes_out // lanes_in - 1 for e in places]
    follows("slot_last", came, ends)
    whole = larger if dut.kind in ("up", "down") else group_in
    last = ceil_div(whole, lanes_in) - 1
    follows("beat", came, [e % whole // lanes_in for e in places])
    follows("beat_last", came, [e % whole // lanes_in == last for e in places])
    follows("beat_in", came, [e % group_in // lanes_in for e in places])
    follows("beat_in_last", came, [e % group_in // lanes_in == last_in for e in places])
    follows("beat_out", left, [e % group_out // lanes_out for e in places])
    follows("beat_out_last", left, [e % group_out // lanes_out == last_out for e in places])
    follows("following", left, by_element(outputs, lambda e: outputs[(e + outputs[e]) % period]))
    follows("more", fill, [(1 << max(0, ceil_div(e, lanes_out) - 1)) - 1 for e in places])
    if dut.kind == "up":
        f.lemma("no more than a beat", fill <= leaving)
    if "level" in registers:
        f.lemma("level", registers["level"] == fill - Mux(dut.o.valid, leaving, 0))
    return f


def stored(f, dut, fill, inside, value, place):
    """Add where the elements are that have not left: one after the other from lane 0 on."""
    store = f.registers().get("store", dut.o.payload)
    f.lemma("stored", ~inside | (store.word_select(place, BITS) == value))
    # The others leave what they no longer need until the next beat comes.
    old = (fill == 0) if dut.kind != "barrel" else 0
    if dut.kind != "up" or dut.group % dut.lanes_out:
        for lane in range(len(store) // BITS):
            f.lemma(f"clear_{lane}", old | (fill > lane) | (store.word_select(lane, BITS) == 0))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_proved(shape):
    prove(monitor(Gearbox, *shape), k=1)


def wires(kind):
    dut = kind(bits=BITS, group_in=5, lanes_in=2, group_out=5, lanes_out=2)
    f = Monitor(dut)
    f.assume("source keeps", f.keeps(dut.i))
    beat = f.count(dut.i.valid & dut.i.ready, 3, "beat_number")
    f.lemma("beat", f.register("beat") == beat)
    f.lemma("beat_last", f.register("beat_last") == (beat == 2))
    f.claim("keeps", f.keeps(dut.o))
    used = Mux(beat == 2, dut.i.payload[:BITS], dut.i.payload)
    f.claim("order", ~dut.o.valid | (dut.o.payload == used))
    f.claim("offers", dut.o.valid == dut.i.valid)
    f.claim("accepts", dut.i.ready == dut.o.ready)
    return f


def test_wires_proved():
    prove(wires(Gearbox), k=1)


READY = "self.i.ready.eq(~self.o.valid | self.o.ready)"
MUTANTS = {
    "up: always takes": ("up", READY, "self.i.ready.eq(1)", {"keeps", "accepts"}),
    "up: takes late": ("up", READY, "self.i.ready.eq(~self.o.valid)", {"accepts"}),
    "up: forgets the group": (
        "up, ragged",
        "slot.last | beat.last if ragged",
        "slot.last if ragged",
        {"offers"},
    ),
    "up: clears nothing": ("up, ragged", "if ragged and s:", "if False:", {"unused"}),
    "up: one slot for all": ("up", "with m.If(slot.index == s):", "if True:", {"order"}),
    "down: takes early": ("down", "& ~more[0])", ")", {"order", "accepts"}),
    "down: goes on after the end": (
        "down, ragged",
        "Mux(beat.last, short, full)",
        "full",
        {"offers"},
    ),
    "down: shifts too little": (
        "down",
        "store.eq(store >> self.lanes_out * self.bits)",
        "store.eq(store >> self.bits)",
        {"order"},
    ),
    "down: shifts while it waits": (
        "down",
        "with m.If(self.o.valid & self.o.ready):",
        "with m.If(self.o.valid):",
        {"keeps"},
    ),
    "barrel: takes early": (
        "barrel, 3 to 2",
        "(lacking < 0)",
        "(lacking <= 0)",
        {"accepts", "capacity"},
    ),
    "barrel: offers late": (
        "barrel, 3 to 2",
        "valid.eq(left >= 0)",
        "valid.eq(left > 0)",
        {"offers"},
    ),
    "barrel: inserts in front": (
        "barrel, 2 to 3",
        "Cat(Const(0, at * self.bits), data)",
        "data",
        {"order"},
    ),
    "barrel: moves while it waits": (
        "barrel, 2 to 3",
        "m.If(Mux(valid, self.o.ready, self.i.valid))",
        "m.If(valid | self.i.valid)",
        {"keeps"},
    ),
    "barrel: shows what is beyond": (
        "barrel, split",
        "self._used(offered, beat_out.last, self.group_out, self.lanes_out)",
        "offered",
        {"unused"},
    ),
}


@pytest.mark.parametrize(("shape", "old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(shape, old, new, names):
    assert names <= refuted(monitor(mutant(Gearbox, old, new), *SHAPES[shape]), 8)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    claims = set(monitor(Gearbox, *SHAPES["up"]).claims)
    assert claims == caught


WIRES = "self.i.ready.eq(self.o.ready)"
WIRE_MUTANTS = {
    "keeps the last lanes": (
        "beat.last, self.group_in, self.lanes_in)\n        m.d.comb += [",
        "Const(0), self.group_in, self.lanes_in)\n        m.d.comb += [",
        {"order"},
    ),
    "waits for a taker": (
        "self.o.valid.eq(self.i.valid),",
        "self.o.valid.eq(self.i.valid & self.o.ready),",
        {"offers"},
    ),
    "drops an offer": (
        "self.o.valid.eq(self.i.valid),",
        "self.o.valid.eq(self.i.valid & ~beat.index[0]),",
        {"offers"},
    ),
    "always takes": (WIRES, "self.i.ready.eq(1)", {"accepts"}),
    "counts offers": (
        "with m.If(self.i.valid & self.i.ready):\n                beat.advance(m)\n\n    def _up",
        "with m.If(self.i.valid):\n                beat.advance(m)\n\n    def _up",
        {"keeps", "order"},
    ),
}


@pytest.mark.parametrize(("old", "new", "names"), WIRE_MUTANTS.values(), ids=WIRE_MUTANTS)
def test_mutants_of_wires(old, new, names):
    assert names <= refuted(wires(mutant(Gearbox, old, new)), 5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_only_ready_reaches_ready(shape):
    assert paths(monitor(Gearbox, *shape)) == {"o.ready > i.ready"}


def test_mutant_with_another_way():
    broken = mutant(
        Gearbox, READY, "self.i.ready.eq(~self.o.valid | (self.o.ready & self.i.valid))"
    )
    assert paths(monitor(broken, *SHAPES["up"])) == {"o.ready > i.ready", "i.valid > i.ready"}
