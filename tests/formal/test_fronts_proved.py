"""StretchBuffer and FeatureBuffer: proved for all stalls and permits, on small maps.

Words and beats are numbered through so many frames that numbers never meet again too early.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import gcd
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Mux, Signal, signed
from amaranth.sim import Simulator

from xnorflow_hw.spec import StretchSpec
from xnorflow_hw.spec.geometry import ceil_div
from xnorflow_hw.stage.feature_buffer import FeatureBuffer
from xnorflow_hw.stage.stretch_buffer import StretchBuffer

from .prover import Monitor, look_up, mutant, paths, prove, refuted

BITS = 2


@dataclass
class Front:
    """What the rules of a front depend on.

    Parameters
    ----------
    make : callable
        Builds the front.
    kept : bool array [words of a frame]
        Which words are kept; the numbers below are those of kept words.
    reads : int array [beats of a frame]
        Word that a beat reads, or -1.
    keeps : int array [beats of a frame]
        First word that is kept while a beat is the next one.
    lasts : bool array [beats of a frame]
        Which beats need a permit.
    fill : int array [beats of a frame]
        What beats deliver that read no word.
    depth : int
        Most words that are kept.
    """

    make: Callable[[], Any]
    kept: Any
    reads: Any
    keeps: Any
    lasts: Any
    fill: Any
    depth: int

    @property
    def words(self) -> int:
        """Words of a frame that are kept."""
        return int(np.sum(self.kept))

    @property
    def frames(self) -> int:
        """Frames through which all is numbered.

        Their words are a multiple of the depth, and more than twice as many as any two numbers can
        be apart.
        """
        step = self.depth // gcd(self.words, self.depth)
        return step * ceil_div(2 * (self.depth + 2 * self.words) + 2, step * self.words)


def observe(front, cycles=1500):
    """Return the values of a front's registers in a simulation with stalls, cycle by cycle.

    Returns
    -------
    registers : dict of str to int array [cycles]
        Their values.
    beats, came, newest : int array [cycles]
        Beats issued, and words accepted and kept, before each cycle.
    """
    dut = front.make()
    f = Monitor(dut)
    registers = {name: r for name, r in f.registers().items() if not r.reset_less}
    seen = {name: [] for name in registers}
    valid, takes = [], []
    rng = random.Random(1)

    async def bench(ctx):
        share = 0.5
        for cycle in range(cycles + 2):
            if cycle % 100 == 0:
                share = rng.choice([0.1, 0.5, 0.9, 1])
            ctx.set(dut.i.valid, rng.random() < share)
            ctx.set(dut.permit, rng.random() < 1.2 - share)
            takes.append(ctx.get(dut.i.valid) and ctx.get(dut.i.ready))
            valid.append(ctx.get(dut.o_valid))
            for name, register in registers.items():
                seen[name].append(ctx.get(register.as_unsigned()))
            await ctx.tick()

    simulator = Simulator(f.m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    # A pulse comes two cycles after its issue.
    beats, came = (np.cumsum([0, *events[:cycles]])[:cycles] for events in (valid[2:], takes))
    through = np.concatenate([[0], np.cumsum(front.kept)])
    frame, inside = divmod(came, len(front.kept))
    newest = frame * front.words + through[inside]
    return {name: np.array(v[:cycles]) for name, v in seen.items()}, beats, came, newest


def table(numbers, values, size):
    """Return the value that goes with each number, or None if some have none or several."""
    found = [set() for _ in range(size)]
    for number, value in zip(numbers.tolist(), values.tolist(), strict=True):
        found[number % size].add(value)
    return [v.pop() for v in found] if all(len(v) == 1 for v in found) else None


def claims(front, *, lemmas=True):
    """Claim the rules of a front; with `lemmas`, also what a simulation suggests of its registers.

    Nothing is taken from the simulation on trust: what it suggests is proved with the claims.
    """
    dut = front.make()
    f = Monitor(dut)
    frames, words, size = front.frames, front.words, len(front.reads)
    modulus = frames * words
    bits = modulus.bit_length()

    def through(values, number, step):
        """Return the look-up of a frame's table through all frames."""
        every = [(value + step * k) % modulus for k in range(frames) for value in values]
        return look_up(every, number)

    def apart(a, b):
        """Return the difference of two numbers of words, in either direction."""
        difference = Signal(signed(bits + 2))
        raw = Signal(signed(bits + 2))
        f.m.d.comb += raw.eq(a - b)
        half = modulus // 2
        f.m.d.comb += difference.eq(
            Mux(raw > half, raw - modulus, Mux(raw < -half, raw + modulus, raw))
        )
        return difference

    issue = Signal(name="issue")
    take = dut.i.valid & dut.i.ready
    beat = f.count(issue, frames * size, "beat_number")
    came = f.count(take, frames * len(front.kept), "came")
    keep = through(front.kept, came, 0)
    newest = f.count(take & keep, modulus, "newest")
    reading = through(front.reads >= 0, beat, 0)
    read, oldest = through(front.reads, beat, words), through(front.keeps, beat, words)
    last = through(front.lasts, beat, 0)
    f.m.d.comb += issue.eq((dut.permit | ~last) & (~reading | (apart(newest, read) > 0)))
    f.claim("issues", dut.o_issued == (issue & last))
    held = apart(newest, oldest)
    f.claim("accepts", dut.i.ready == (~keep | (held < front.depth)))
    f.claim("capacity", held <= front.depth)
    f.claim("pulse", dut.o_valid == f.past(issue, 2))
    f.claim("last", ~dut.o_valid | (dut.o_last == f.past(last, 2)))
    # Any one word.
    word = f.constant(bits, "any_word")
    f.assume("word", word < modulus)
    value = f.capture(take & keep & (newest == word), dut.i.payload, "value")
    own, filled = reading & (read == word), through(front.fill, beat, 0)
    f.claim("order", ~(dut.o_valid & f.past(own, 2)) | (dut.o_data == f.past(value, 2)))
    f.claim("fill", ~(dut.o_valid & f.past(~reading, 2)) | (dut.o_data == f.past(filled, 2)))

    if not lemmas:
        return f
    before = through(np.cumsum(front.kept) - front.kept, came, words)
    f.lemma("numbers", (came < frames * len(front.kept)) & (beat < frames * size))
    f.lemma("newest", newest == before)
    # Words that beats before this one have read have come.
    base = through(np.zeros(size, int), beat, words)
    ahead = apart(newest, base)
    need = np.maximum.accumulate(np.concatenate([front.reads - words, front.reads]))[size - 1 : -1]
    f.lemma("come", ahead >= signed_look_up(need + 1, beat, frames))
    place = look_up(np.arange(modulus) % front.depth, word)
    stored = f.peek(place, "memory") == value
    kept = (apart(word, oldest) >= 0) & (apart(word, oldest) < held)
    f.lemma("stored", ~kept | stored)
    registers, beats, taken, numbers = observe(front)
    for name, values in registers.items():
        register = f.register(name)
        if (by_beat := table(beats, values, frames * size)) is not None:
            f.lemma(f"{name} by beat", register == look_up(by_beat, beat))
        elif (by_word := table(taken, values, frames * len(front.kept))) is not None:
            f.lemma(f"{name} by word", register == look_up(by_word, came))
        else:
            width = len(register)
            signed_values = values - ((values >> (width - 1)) << width)
            rest = numbers - beats // size * words - signed_values
            if (offset := table(beats, rest, size)) is not None:
                f.lemma(
                    f"{name} by difference",
                    register.as_signed() == ahead - signed_look_up(offset, beat, frames),
                )
    return f


def signed_look_up(values, number, frames):
    """Return the look-up of a frame's table of numbers of either sign, in each of the frames."""
    least = min(0, *(int(v) for v in values))
    return look_up([int(v) - least for v in values] * frames, number) + least


def stretch(kind, spec):
    reads = spec.reads()
    twice = np.concatenate([reads, np.where(reads < 0, -1, reads + spec.kept().sum())])
    needed = np.where(twice < 0, 1 << 20, twice)
    keeps = np.minimum.accumulate(needed[::-1])[::-1][: len(reads)]
    word = np.arange(spec.cycles) % spec.out_words
    fill = np.where(word == spec.out_words - 1, spec.zero_word_last, spec.zero_word)
    return Front(
        lambda: kind(spec),
        kept=spec.kept(),
        reads=reads,
        keeps=keeps,
        lasts=np.ones(spec.cycles, bool),
        fill=fill,
        depth=spec.depth,
    )


def stretched(factors, fill, crop, *, words=1, more=0):
    least = StretchSpec(BITS, words, 2, 2, factors, fill, crop, 1, 2, 99)
    return replace(least, depth=least.minimum_depth + more)


NOTHING = (0, 0, 0, 0)
STRETCHES = {
    "repeat": stretched((2, 2), "repeat", NOTHING),
    "repeat, one word more": stretched((2, 1), "repeat", NOTHING, words=2, more=1),
    "zeros": stretched((1, 2), "zeros", (0, 1, 0, 0), words=2, more=1),
    "blocks": stretched((2, 1), "blocks", NOTHING, words=2),
    "crop": stretched((1, 1), "repeat", (1, 0, 0, 1), words=2),
}


@pytest.mark.parametrize("spec", STRETCHES.values(), ids=STRETCHES)
def test_stretches_proved(spec):
    prove(claims(stretch(StretchBuffer, spec)), k=3)


NO_PADS = (0, 0, 0, 0)
SIZES = {
    "plain": {"height": 2, "width": 3, "kernel": (1, 2), "pads": NO_PADS},
    "padded": {"height": 2, "width": 2, "kernel": (2, 2), "pads": (1, 0, 0, 1)},
    "stride": {"height": 3, "width": 3, "kernel": (2, 2), "pads": NO_PADS, "stride": (1, 2)},
    "two words": {"height": 2, "width": 2, "kernel": (1, 2), "pads": (0, 0, 0, 1), "words": 2},
}


def windows(kind, size):
    options = {"words": 1, "stride": (1, 1), "dilation": (1, 1)} | size
    depth = FeatureBuffer.minimum_depth(**options) + 1
    make = partial(
        kind, word_bits=BITS, pad_word=2, repeat=1, groups=1, classes=False, depth=depth, **options
    )
    dut = make()
    line, words = options["width"] * options["words"], options["words"]
    numbers = np.arange(options["height"] * line).reshape(1, options["height"], -1, words)
    beats = dut.model(numbers)
    oy = np.arange(len(beats["data"])) * dut.output[0] // len(beats["data"])
    first = np.clip(oy * options["stride"][0] - options["pads"][0], 0, options["height"])
    return Front(
        make,
        kept=np.ones(options["height"] * line, bool),
        reads=np.where(beats["pad"], -1, beats["data"]),
        keeps=first * line,
        lasts=beats["last"],
        fill=np.full(len(oy), 2),
        depth=depth,
    )


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_windows_proved(size):
    prove(claims(windows(FeatureBuffer, size)), k=3)


STRETCH_MUTANTS = {
    "asks for no permit": (
        "repeat",
        "self.permit & (~reads | ~ahead[-1])",
        "~reads | ~ahead[-1]",
        {"issues"},
    ),
    "issues what only comes": (
        "repeat",
        "(~reads | ~ahead[-1])",
        "(~reads | ~ahead[-1] | write)",
        {"issues", "order"},
    ),
    "accepts one too many": (
        "repeat",
        "init=(-spec.depth - self._start)",
        "init=(-spec.depth - 1 - self._start)",
        {"accepts", "capacity", "order"},
    ),
    "lets unread words wait": ("crop", "overfull[-1] | ~keep", "overfull[-1]", {"accepts"}),
    "the same for the last word": (
        "zeros",
        "data.eq(spec.zero_word_last)",
        "data.eq(spec.zero_word)",
        {"fill"},
    ),
    "follows the words of zeros alone": (
        "zeros",
        "with m.If(pixel_end):",
        'with m.If(delay(m, word.last, 1, name="end")):',
        {"fill"},
    ),
    "a pulse late": ("crop", "delay(m, issue, 2,", "delay(m, issue, 3,", {"pulse"}),
    "no last": ("crop", "self.o_last.eq(1)", "self.o_last.eq(0)", {"last"}),
    "an address too far": (
        "repeat, one word more",
        "read.eq(Mux(wrapped[-1], further, wrapped))",
        "read.eq(further)",
        {"order"},
    ),
}
WINDOW_MUTANTS = {
    "waits with every beat": ("plain", "(~last | self.permit)", "self.permit", {"issues"}),
    "accepts with a permit": (
        "plain",
        "self.i.ready.eq(overfull[-1])",
        "self.i.ready.eq(overfull[-1] | self.permit)",
        {"accepts", "capacity", "order"},
    ),
    "pads with zeros": ("padded", "data.eq(self.pad_word)", "data.eq(0)", {"fill"}),
    "a pulse early": (
        "plain",
        'self.o_valid.eq(late["valid"])',
        'self.o_valid.eq(beat["valid"])',
        {"pulse"},
    ),
    "first for last": (
        "plain",
        'self.o_last.eq(late["last"])',
        'self.o_last.eq(late["first"])',
        {"last"},
    ),
}


@pytest.mark.parametrize(
    ("spec", "old", "new", "names"), STRETCH_MUTANTS.values(), ids=STRETCH_MUTANTS
)
def test_mutants_of_stretches(spec, old, new, names):
    broken = claims(stretch(mutant(StretchBuffer, old, new), STRETCHES[spec]), lemmas=False)
    assert names <= refuted(broken, 18, names)


@pytest.mark.parametrize(
    ("size", "old", "new", "names"), WINDOW_MUTANTS.values(), ids=WINDOW_MUTANTS
)
def test_mutants_of_windows(size, old, new, names):
    broken = claims(windows(mutant(FeatureBuffer, old, new), SIZES[size]), lemmas=False)
    assert names <= refuted(broken, 18, names)


def test_every_claim_has_a_mutant():
    fronts = stretch(StretchBuffer, STRETCHES["zeros"]), windows(FeatureBuffer, SIZES["padded"])
    for front, mutants in zip(fronts, (STRETCH_MUTANTS, WINDOW_MUTANTS), strict=True):
        assert set(claims(front, lemmas=False).claims) == set().union(
            *(names for *_, names in mutants.values())
        )


def test_no_side_sees_the_other():
    for spec in STRETCHES.values():
        front = stretch(StretchBuffer, spec)
        assert paths(claims(front, lemmas=False)) == {"permit > o_issued"}
    for size in SIZES.values():
        front = windows(FeatureBuffer, size)
        assert paths(claims(front, lemmas=False)) == {"permit > o_issued"}
