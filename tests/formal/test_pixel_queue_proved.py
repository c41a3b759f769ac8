"""PixelQueue: proved for every sequence of results that finds a place, and of readies."""

import pytest
from amaranth.hdl import Mux, Signal

from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.stage.pixel_queue import PixelQueue

from .prover import Monitor, mutant, paths, prove, refuted

NUMBERS = 16
"""Results are numbered modulo this, which is more than any queue here holds."""
SHAPES = {
    "two pixels": (2, 4, 1, 2),
    "two pixels, odd row, two results": (2, 3, 2, 3),
    "three pixels, two results": (3, 5, 2, 4),
    "two pixels, three results": (2, 3, 3, 5),
}


def monitor(kind, pixels, columns, repeat, depth):
    """Claim the rules for rows of `columns` pixels."""
    banks = Banks(pixels=pixels, width=columns, kernel=1, stride=1, dilation=1, left=0, right=0)
    dut = kind(width=1, banks=banks, repeat=repeat, depth=depth)
    f = Monitor(dut)
    m = f.m
    # Result `base + rep` is on offer, for a pixel of the group whose results begin with `base`.
    pop = dut.o.valid & dut.o.ready
    came, rep = f.count(dut.i_valid, NUMBERS, "came"), f.count(pop, repeat, "reps")
    next_pixel = pop & (rep == repeat - 1)
    pixel, group = Signal(range(pixels), name="pixels"), Signal(range(2 * banks.groups))
    ends = (pixel == pixels - 1) | ((group == banks.groups - 1) & (pixel == banks.last_group - 1))
    with m.If(next_pixel):
        m.d.sync += pixel.eq(pixel + 1)
        with m.If(ends):
            m.d.sync += [pixel.eq(0), group.eq(Mux(group == banks.groups - 1, 0, group + 1))]
    base = Signal(range(NUMBERS), name="base")
    with m.If(next_pixel & ends):
        m.d.sync += base.eq(base + repeat)
    # The surroundings count by what the queue tells them.
    freed = f.count(dut.o_freed, NUMBERS, "freed")
    f.assume("a place is free", ~dut.i_valid | ((came - freed)[:4] < depth))

    # Any one result of any one pixel.
    result, of = f.constant(4, "result"), f.constant(len(pixel), "of")
    value = f.capture(dut.i_valid & (came == result), dut.i_values, "value")
    own = (result == (base + rep)[:4]) & (of == pixel)
    f.claim("keeps", f.keeps(dut.o))
    f.claim("order", ~(dut.o.valid & own) | (dut.o.payload == value.bit_select(of, 1)))
    f.claim("offers", dut.o.valid == ((came - base)[:4] > rep))
    f.claim("frees", dut.o_freed == (pop & ends))
    given_back = (base + Mux(ends, rep, 0))[:4]
    f.claim("capacity", (came - given_back)[:4] <= depth)

    registers = f.registers()
    f.lemma("freed", freed == given_back)
    inside = (result - given_back)[:4] < (came - given_back)[:4]
    f.lemma("stored", ~inside | (f.peek(result, "storage") == value))
    write, read = registers["write_address"], registers["read_address"]
    f.lemma("write", write == came[: len(write)])
    f.lemma("read", read == (base + rep)[: len(read)])
    ahead = registers["ahead"]
    f.lemma("ahead", ahead == ((came - base)[:4] - rep - 1)[: len(ahead)])
    f.lemma("ranges", (rep < repeat) & (pixel < pixels) & (group < banks.groups))
    # What comes past the end of the last group is never on offer.
    f.lemma("row", (group < banks.groups - 1) | (pixel < banks.last_group))
    sizes = {"rep": (rep, repeat), "pixel": (pixel, pixels), "group": (group, banks.groups)}
    for name, (number, count) in sizes.items():
        if name in registers:
            f.lemma(name, registers[name] == number)
            f.lemma(f"{name}_last", registers[f"{name}_last"] == (number == count - 1))
    return f


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_proved(shape):
    prove(monitor(PixelQueue, *shape), k=1)


ODD, FULL = "two pixels, odd row, two results", "two pixels"
MUTANTS = {
    "offers early": (FULL, "~ahead[-1]", "~ahead[-1] | self.i_valid", {"offers", "order"}),
    "offers while more comes": (
        FULL,
        "~ahead[-1]",
        "~ahead[-1] & self.i_valid",
        {"keeps", "offers"},
    ),
    "frees with the first pixel": (
        FULL,
        "self.o_freed.eq(pop & group_end)",
        "self.o_freed.eq(pop)",
        {"frees", "order", "capacity"},
    ),
    "goes on past the row": (ODD, "if self.banks.last_group < pixels:", "if False:", {"frees"}),
    "does not go back": (ODD, "Mux(again, 1 - self.repeat, 1)", "1", {"order"}),
    "forgets the results again": (
        ODD,
        "Mux(again, self.repeat - 1, -1)",
        "-1",
        {"offers"},
    ),
    "mixes the pixels": (
        FULL,
        "word_select(j, self.width)",
        "word_select(0, self.width)",
        {"order"},
    ),
}


@pytest.mark.parametrize(("shape", "old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(shape, old, new, names):
    assert names <= refuted(monitor(mutant(PixelQueue, old, new), *SHAPES[shape]), 8)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    assert set(monitor(PixelQueue, *SHAPES[ODD]).claims) == caught


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_result_is_offered_at_once(shape):
    assert paths(monitor(PixelQueue, *shape)) == {"o.ready > o_freed"}
