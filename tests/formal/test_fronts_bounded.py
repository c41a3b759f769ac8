"""StretchBuffer and FeatureBuffer: proved up to a number of cycles, for all stalls and permits.

Words and beats are numbered through all frames, from the reset on.
"""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Signal

from xnorflow_hw.spec import StretchSpec
from xnorflow_hw.stage.feature_buffer import FeatureBuffer
from xnorflow_hw.stage.stretch_buffer import StretchBuffer

from .prover import Monitor, look_up, mutant, paths, prove_until, refuted

BITS = 2


def claims(dut, cycles, *, kept, reads, keeps, lasts, fill, depth):
    """Claim the rules of a front for some cycles.

    Parameters
    ----------
    dut : StretchBuffer or FeatureBuffer
        The front.
    cycles : int
        Cycles from the reset.
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
    f = Monitor(dut)

    def through(table, numbers, step):
        """Return the look-up of a frame's table through all frames."""
        number = np.arange(cycles + 1)
        frame, inside = divmod(number, len(table))
        return look_up(np.maximum(np.asarray(table)[inside] + step * frame, 0), numbers)

    issue = Signal(name="issue")
    beat = f.count(issue, cycles + 1, "beat_number")
    take = dut.i.valid & dut.i.ready
    came = f.count(take, cycles + 1, "came")
    keep = through(kept, came, 0)
    words = int(sum(kept))
    newest = f.count(take & keep, cycles + 1, "newest")
    read, reading = through(reads, beat, words), through(np.asarray(reads) >= 0, beat, 0)
    permit = dut.permit | ~through(lasts, beat, 0)
    f.m.d.comb += issue.eq(permit & (~reading | (read < newest)))
    last = through(lasts, beat, 0)
    f.claim("issues", dut.o_issued == (issue & last))
    oldest = through(keeps, beat, words)
    f.claim("accepts", dut.i.ready == (~keep | (newest < oldest + depth)))
    f.claim("pulse", dut.o_valid == f.past(issue, 2))
    f.claim("last", ~dut.o_valid | (dut.o_last == f.past(last, 2)))
    # Any one word.
    word = f.constant(len(newest), "word")
    value = f.capture(take & keep & (newest == word), dut.i.payload, "value")
    own, filled = reading & (read == word), through(fill, beat, 0)
    f.claim("order", ~(dut.o_valid & f.past(own, 2)) | (dut.o_data == f.past(value, 2)))
    f.claim("fill", ~(dut.o_valid & f.past(~reading, 2)) | (dut.o_data == f.past(filled, 2)))
    return f


def stretch(kind, spec, cycles):
    reads = spec.reads()
    twice = np.concatenate([reads, np.where(reads < 0, -1, reads + spec.kept().sum())])
    needed = np.where(twice < 0, 1 << 20, twice)
    keeps = np.minimum.accumulate(needed[::-1])[::-1][: len(reads)]
    word = np.arange(spec.cycles) % spec.out_words
    fill = np.where(word == spec.out_words - 1, spec.zero_word_last, spec.zero_word)
    return claims(
        kind(spec),
        cycles,
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
CYCLES = 18


@pytest.mark.parametrize("spec", STRETCHES.values(), ids=STRETCHES)
def test_stretches_proved(spec):
    prove_until(stretch(StretchBuffer, spec, CYCLES), CYCLES)


NO_PADS = (0, 0, 0, 0)
SIZES = {
    "plain": {"height": 2, "width": 3, "kernel": (1, 2), "pads": NO_PADS},
    "padded": {"height": 2, "width": 2, "kernel": (2, 2), "pads": (1, 0, 0, 1)},
    "stride": {"height": 3, "width": 3, "kernel": (2, 2), "pads": NO_PADS, "stride": (1, 2)},
    "two words": {"height": 2, "width": 2, "kernel": (1, 2), "pads": (0, 0, 0, 1), "words": 2},
}


def windows(kind, size, cycles):
    options = {"words": 1, "stride": (1, 1), "dilation": (1, 1)} | size
    depth = FeatureBuffer.minimum_depth(**options) + 1
    dut = kind(
        word_bits=BITS, pad_word=2, repeat=1, groups=1, classes=False, depth=depth, **options
    )
    line, words = options["width"] * options["words"], options["words"]
    numbers = np.arange(options["height"] * line).reshape(1, options["height"], -1, words)
    beats = dut.model(numbers)
    oy = np.arange(len(beats["data"])) * dut.output[0] // len(beats["data"])
    first = np.clip(oy * options["stride"][0] - options["pads"][0], 0, options["height"])
    return claims(
        dut,
        cycles,
        kept=np.ones(options["height"] * line, bool),
        reads=np.where(beats["pad"], -1, beats["data"]),
        keeps=first * line,
        lasts=beats["last"],
        fill=np.full(len(oy), 2),
        depth=depth,
    )


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_windows_proved(size):
    prove_until(windows(FeatureBuffer, size, CYCLES), CYCLES)


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
        {"accepts", "order"},
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
        {"accepts", "order"},
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
    broken = stretch(mutant(StretchBuffer, old, new), STRETCHES[spec], CYCLES)
    assert names <= refuted(broken, CYCLES, names)


@pytest.mark.parametrize(
    ("size", "old", "new", "names"), WINDOW_MUTANTS.values(), ids=WINDOW_MUTANTS
)
def test_mutants_of_windows(size, old, new, names):
    broken = windows(mutant(FeatureBuffer, old, new), SIZES[size], CYCLES)
    assert names <= refuted(broken, CYCLES, names)


def test_every_claim_has_a_mutant():
    made = stretch(StretchBuffer, STRETCHES["zeros"], 2), windows(FeatureBuffer, SIZES["padded"], 2)
    for monitor, mutants in zip(made, (STRETCH_MUTANTS, WINDOW_MUTANTS), strict=True):
        assert set(monitor.claims) == set().union(*(names for *_, names in mutants.values()))


def test_no_side_sees_the_other():
    for spec in STRETCHES.values():
        assert paths(stretch(StretchBuffer, spec, 2)) == {"permit > o_issued"}
    for size in SIZES.values():
        assert paths(windows(FeatureBuffer, size, 2)) == {"permit > o_issued"}
