"""The array that looks entries up equals its NumPy model and plain loops, to the cycle."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.gather import GatherArray
from xnorflow_hw.spec import IN_SPRAM, GatherSpec, RomSpec
from xnorflow_hw.spec.latency import gather_latency

from ..convert import STYLE, to_verilog
from ..harness import pack, run_pulses, unpack, with_bubbles
from ..verilog import lint, simulate


def make(rng, *, pe, tables, words, bits, depth, signs=False, acc_bits=None, **kind):
    """Draw an array whose sums of up to `depth` beats fit."""
    most = depth * tables * ((1 << bits) - 1)
    return GatherSpec(
        pe=pe,
        simd=tables * words,
        words=words,
        bits=bits,
        weights=rng.integers(0, words, (depth, pe, tables)),
        acc_bits=acc_bits or max(1, most.bit_length()),
        negative=rng.random((depth, pe)) < 0.5 if signs else None,
        **kind,
    )


def plain(spec, codes):
    """Return the sums of chosen entries, [reductions, pe]."""
    found, word = [], 0
    for reduction in codes:
        total = [0] * spec.pe
        for beat in reduction:
            row = word % len(spec.weights)
            for k in range(spec.pe):
                for t in range(spec.tables):
                    entry = int(beat[t * spec.words + spec.weights[row, k, t]])
                    turned = spec.negative is not None and spec.negative[row, k]
                    total[k] += (1 << spec.bits) - 1 - entry if turned else entry
            word += 1
        found.append([n % (1 << spec.acc_bits) for n in total])
    return found


def check(spec, codes, rows=1, bubbles=0.0, seed=0):
    """Feed reductions [n, beats, simd]; expect the model's results at their cycles."""
    dut, beats = GatherArray(spec, rows=rows), []
    assert dut.latency == spec.latency()
    for r, b in np.ndindex(codes.shape[:2]):
        last = b == codes.shape[1] - 1
        beats.append(
            {
                "i_data": pack(codes[r, b], spec.bits),
                "i_first": int(b == 0),
                "i_last": int(last),
                "i_row": int((r if last else r + b + 1) % rows),
            }
        )
    pulses = with_bubbles(beats, seed, bubbles)
    events = run_pulses(dut, pulses, ["o_values", "o_row"], count=len(codes), drain=20)
    assert [cycle for cycle, _ in events] == [
        cycle + dut.latency for cycle, beat in enumerate(pulses) if beat and beat["i_last"]
    ]
    values = [unpack(out["o_values"], spec.acc_bits, spec.pe) for _, out in events]
    assert values == dut.model(codes).tolist()
    assert [out["o_row"] for _, out in events] == (np.arange(len(codes)) % rows).tolist()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 3),
    tables=st.integers(1, 5),
    words=st.integers(1, 9),
    bits=st.integers(1, 9),
    beats=st.integers(1, 4),
    rows=st.integers(1, 3),
    signs=st.booleans(),
    rom=st.sampled_from(["block", "logic"]),
    bubbles=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 999),
)
def test_array_adds_what_indices_choose(
    pe, tables, words, bits, beats, rows, signs, rom, bubbles, seed
):
    rng = np.random.default_rng(seed)
    size = {"pe": pe, "tables": tables, "words": words, "bits": bits}
    spec = make(rng, **size, depth=rows * beats, signs=signs, rom=RomSpec(rom))
    codes = rng.integers(0, 1 << bits, (2 * rows + 1, beats, tables * words))
    assert GatherArray(spec).model(codes).tolist() == plain(spec, codes)
    check(spec, codes, rows, bubbles=bubbles, seed=seed)


def test_sums_wrap_as_the_width_says():
    rng = np.random.default_rng(4)
    spec = make(rng, pe=2, tables=3, words=4, bits=4, depth=6, acc_bits=5)
    codes = rng.integers(0, 16, (4, 6, 12))
    assert GatherArray(spec).model(codes).tolist() == plain(spec, codes)
    check(spec, codes)


def test_an_index_past_the_table_takes_its_last_entry():
    """Unused lanes have such indices where a table has a single entry, and codes of 0."""
    rng = np.random.default_rng(5)
    spec = make(rng, pe=2, tables=2, words=5, bits=3, depth=3)
    spec.weights[1] = 7
    codes = rng.integers(0, 8, (4, 3, 10))
    clipped = replace(spec, weights=np.minimum(spec.weights, 4))
    assert GatherArray(spec).model(codes).tolist() == plain(clipped, codes)
    check(spec, codes)


def test_indices_in_spram_have_a_bus_that_loads_them():
    rng = np.random.default_rng(5)
    spec = make(rng, pe=2, tables=3, words=8, bits=4, depth=6, rom=IN_SPRAM)
    dut = GatherArray(spec, style="verilog", name="w")
    assert {len(s) for s in dut.sections} == {6}
    assert "load" in dut.signature.members and set(dut.modules) == {"w"}
    check(spec, rng.integers(0, 16, (4, 6, 24)))


def test_latency_is_known_without_the_component():
    assert gather_latency(tables=1, words=2, depth=9) == 1 + 2 + 1
    assert gather_latency(tables=4, words=16, depth=9) == 1 + 2 + 2 + 1
    assert gather_latency(tables=5, words=17, depth=1) == 1 + 3 + 2
    assert gather_latency(tables=1, words=4, depth=9, rom=RomSpec("logic")) == 1 + 1 + 1


@pytest.mark.rtl
def test_the_same_in_verilog(tmp_path):
    """Verilator computes what the model does."""
    rng = np.random.default_rng(6)
    spec = make(rng, pe=3, tables=2, words=6, bits=5, depth=4, signs=True)
    text = to_verilog(GatherArray(spec))
    lint(text, tmp_path, *STYLE)
    codes = rng.integers(0, 32, (6, 4, 12))
    data = [pack(beat, 5) for reduction in codes for beat in reduction]
    feed = [
        f"top.i_valid = 1; top.i_first = {int(n % 4 == 0)}; top.i_last = {int(n % 4 == 3)};"
        f" top.i_data = {d}ull; top.eval(); show(); tick();"
        for n, d in enumerate(data)
    ]
    body = [
        "top.rst = 0; top.i_row = 0;",
        'auto show = [&] { if (top.o_valid) printf("%lu\\n", (unsigned long)top.o_values); };',
        *feed,
        "top.i_valid = 0;",
        "for (int n = 0; n < 20; n++) { top.eval(); show(); tick(); }",
    ]
    lines = simulate(text, "\n".join(body), tmp_path)
    values = [unpack(int(line), spec.acc_bits, 3) for line in lines]
    assert values == GatherArray(spec).model(codes).tolist()


GOOD = GatherSpec(2, 6, 3, 4, np.zeros((4, 2, 2), int), 9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pe": 0}, "pe is 0"),
        ({"words": 0}, "words is 0"),
        ({"acc_bits": 0}, "acc_bits is 0"),
        ({"simd": 7}, "simd is 7; it has to be a multiple of words, which is 3"),
        ({"simd": 9}, r"\(4, 2, 2\), not \(depth, \*\(2, 3\)\)"),
        ({"weights": np.zeros((0, 2, 2), int)}, "shape"),
        ({"weights": np.full((4, 2, 2), 4)}, "with 2 bits they go from 0 to 3"),
        ({"weights": np.full((4, 2, 2), -1)}, "indices go from -1"),
        ({"negative": np.zeros((3, 2), bool)}, r"negative has shape \(3, 2\)"),
        ({"rom": RomSpec("x")}, "'x'"),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        GatherArray(replace(GOOD, **wrong))


def test_bad_rows():
    with pytest.raises(ValueError, match="rows is 0"):
        GatherArray(GOOD, rows=0)
