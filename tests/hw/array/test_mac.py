"""The array of multipliers equals its NumPy model and plain products, to the cycle."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.mac import MacArray
from xnorflow_hw.array.product import signed_product
from xnorflow_hw.spec import IN_SPRAM, MacSpec, RomSpec
from xnorflow_hw.spec.latency import mac_latency, multiplier_latency

from ..convert import STYLE, to_verilog
from ..harness import pack, run_pulses, unpack, with_bubbles
from ..verilog import lint, simulate


class Product(wiring.Component):
    """A signed product, as a component with the ports of a pulse."""

    def __init__(self, a, b, multiplier):
        self.a, self.b, self.multiplier = a, b, multiplier
        super().__init__({"x": In(a), "y": In(signed(b)), "p": Out(signed(a + b))})

    def elaborate(self, platform):
        m = Module()
        found = signed_product(m, self.x, self.y, self.multiplier, name="product")
        m.d.comb += self.p.eq(found)
        return m


def make(
    rng, *, pe, lanes, bits, weight_bits, words, blocks=1, extreme=False, acc_bits=None, **kind
):
    """Draw an array whose sums of up to `words` beats fit; its weights go to both ends."""
    most = 1 << (weight_bits - 1)
    shape = (words, blocks * pe, lanes)
    weights = rng.integers(-most, most, shape)
    if extreme:
        weights = rng.choice((-most, most - 1), shape)
    largest = words * lanes * most * ((1 << bits) - 1)
    return MacSpec(
        pe=blocks * pe,
        simd=blocks * lanes,
        bits=bits,
        weight_bits=weight_bits,
        weights=weights,
        acc_bits=acc_bits or largest.bit_length() + 1,
        blocks=blocks,
        **kind,
    )


def plain(spec, codes, start=0):
    """Return the sums of products, [reductions, pe], of one pixel."""
    found = []
    word = start
    for reduction in codes:
        total = np.zeros(spec.pe, int)
        for beat in reduction:
            for k in range(spec.pe):
                block = k // (spec.pe // spec.blocks)
                own = beat[block * spec.block_lanes :][: spec.block_lanes]
                total[k] += int(own @ spec.weights[word % len(spec.weights), k])
            word += 1
        found.append(total + (1 << (spec.acc_bits - 1)))
    return np.array(found) % (1 << spec.acc_bits)


def check(spec, codes, rows=1, turns=(), bubbles=0.0, seed=0):
    """Feed reductions [n, beats, (pixels,) simd]; expect the model's results at their cycles."""
    dut, beats = MacArray(spec, rows=rows), []
    assert dut.latency == spec.latency()
    for r, b in np.ndindex(codes.shape[:2]):
        last = b == codes.shape[1] - 1
        beat = {
            "i_data": pack(codes[r, b].ravel(), spec.bits),
            "i_first": int(b == 0),
            "i_last": int(last),
            "i_row": int((r if last else r + b + 1) % rows),
        }
        beats.append(beat | ({"i_turn": int(b in turns)} if codes.ndim == 4 else {}))
    pulses = with_bubbles(beats, seed, bubbles)
    events = run_pulses(dut, pulses, ["o_values", "o_row"], count=len(codes), drain=20)
    assert [cycle for cycle, _ in events] == [
        cycle + dut.latency for cycle, beat in enumerate(pulses) if beat and beat["i_last"]
    ]
    number = spec.pixels * spec.pe
    values = np.array([unpack(out["o_values"], spec.acc_bits, number) for _, out in events])
    expected = dut.model(codes, turns=turns)
    assert values.reshape(expected.shape).tolist() == expected.tolist()
    assert [out["o_row"] for _, out in events] == (np.arange(len(codes)) % rows).tolist()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 3),
    lanes=st.integers(1, 6),
    bits=st.integers(1, 9),
    weight_bits=st.integers(2, 9),
    beats=st.integers(1, 4),
    rows=st.integers(1, 3),
    blocks=st.integers(1, 2),
    multiplier=st.sampled_from(["dsp", "logic"]),
    rom=st.sampled_from(["block", "logic"]),
    extreme=st.booleans(),
    bubbles=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 999),
)
def test_array_is_a_sum_of_products(
    pe, lanes, bits, weight_bits, beats, rows, blocks, multiplier, rom, extreme, bubbles, seed
):
    rng = np.random.default_rng(seed)
    spec = make(
        rng,
        pe=pe,
        lanes=lanes,
        bits=bits,
        weight_bits=weight_bits,
        words=rows * beats,
        blocks=blocks,
        extreme=extreme,
        multiplier=multiplier,
        rom=RomSpec(rom),
    )
    most = (1 << bits) - 1
    codes = rng.integers(0, most + 1, (2 * rows + 1, beats, blocks * lanes))
    if extreme:
        codes = rng.choice((0, most), codes.shape)
    assert MacArray(spec).model(codes).tolist() == plain(spec, codes).tolist()
    check(spec, codes, rows, bubbles=bubbles, seed=seed)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixels=st.integers(2, 4),
    pe=st.integers(1, 2),
    lanes=st.integers(1, 3),
    beats=st.integers(1, 5),
    turn=st.integers(0, 5),
    multiplier=st.sampled_from(["dsp", "logic"]),
    bubbles=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_sums_go_from_lane_to_lane(pixels, pe, lanes, beats, turn, multiplier, bubbles, seed):
    rng = np.random.default_rng(seed)
    order = tuple(int(lane) for lane in rng.permutation(pixels))
    size = {"pe": pe, "lanes": lanes, "bits": 3, "weight_bits": 4, "words": 2 * beats}
    spec = replace(make(rng, **size, multiplier=multiplier), pixels=pixels, turn=turn, lanes=order)
    turns = tuple(b for b in range(1, beats) if rng.random() < 0.5)
    codes = rng.integers(0, 8, (5, beats, pixels, lanes))
    half = 1 << (spec.acc_bits - 1)
    single, sums, word = replace(spec, pixels=1, lanes=(0,)), [], 0
    for reduction in codes:
        total = np.zeros((pixels, pe), int)
        for b, beat in enumerate(reduction):
            if b in turns:
                total = total[(np.arange(pixels) - turn) % pixels]
            total += [plain(single, lane[None, None], word)[0] - half for lane in beat]
            word += 1
        sums.append(total[list(order)] + half)
    assert np.array_equal(MacArray(spec).model(codes, turns=turns), sums)
    check(spec, codes, turns=turns, bubbles=bubbles, seed=seed)


@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
def test_every_product_of_small_operands(multiplier):
    for a, b in ((1, 2), (3, 2), (2, 3), (3, 4), (4, 3), (1, 5)):
        dut = Product(a, b, multiplier)
        pairs = [(x, y) for x in range(1 << a) for y in range(-(1 << (b - 1)), 1 << (b - 1))]
        taken = multiplier_latency(bits=min(a, b), multiplier=multiplier)
        assert products(dut, pairs, taken) == [x * y for x, y in pairs]


def products(dut, pairs, latency):
    """Return the products of pairs that enter in successive cycles."""
    simulator, found = Simulator(dut), []
    simulator.add_clock(1e-6)

    async def bench(ctx):
        for cycle in range(len(pairs) + latency):
            x, y = pairs[min(cycle, len(pairs) - 1)]
            ctx.set(dut.x, x)
            ctx.set(dut.y, y)
            if cycle >= latency:
                found.append(ctx.get(dut.p))
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return found


def test_sums_wrap_as_the_width_says():
    """A narrow accumulator is exact modulo its range, as sums may pass it on their way."""
    rng = np.random.default_rng(4)
    spec = make(rng, pe=2, lanes=3, bits=4, weight_bits=5, words=6, acc_bits=6)
    check(spec, rng.integers(0, 16, (4, 6, 3)))


def test_weights_in_spram_have_a_bus_that_loads_them():
    rng = np.random.default_rng(5)
    spec = make(rng, pe=2, lanes=3, bits=4, weight_bits=8, words=6, rom=IN_SPRAM)
    dut = MacArray(spec, style="verilog", name="w")
    assert len(dut.sections) == 3 and {len(s) for s in dut.sections} == {6}
    assert "load" in dut.signature.members and set(dut.modules) == {"w"}
    check(spec, rng.integers(0, 16, (4, 6, 3)))


def test_latency_is_known_without_the_component():
    size = {"bits": 8, "weight_bits": 6, "depth": 9}
    assert mac_latency(lanes=1, multiplier="dsp", **size) == 1 + 2 + 1
    assert mac_latency(lanes=4, multiplier="dsp", **size) == 1 + 2 + 1 + 1
    assert mac_latency(lanes=5, multiplier="logic", **size) == 1 + 2 + 3 + 2
    assert mac_latency(lanes=4, multiplier="dsp", **size, rom=RomSpec("logic")) == 4
    assert mac_latency(lanes=4, multiplier="dsp", **size, rom=RomSpec(registers=True)) == 6
    assert mac_latency(lanes=2, multiplier="dsp", bits=8, weight_bits=8, depth=1) == 1 + 1 + 1


@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
def test_the_same_in_verilog(multiplier, tmp_path):
    """Verilator computes what the model does, with every product at its ends."""
    rng = np.random.default_rng(6)
    size = {"pe": 3, "lanes": 5, "bits": 8, "weight_bits": 8, "words": 4}
    spec = make(rng, **size, extreme=True, multiplier=multiplier)
    text = to_verilog(MacArray(spec))
    lint(text, tmp_path, *STYLE)
    codes = rng.choice((0, 255, 77), (6, 4, 5))
    data = [pack(beat, 8) for reduction in codes for beat in reduction]
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
    assert values == MacArray(spec).model(codes).tolist()


GOOD = MacSpec(2, 3, 4, 3, np.zeros((4, 2, 3), int), 9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pe": 0}, "pe is 0"),
        ({"acc_bits": 0}, "acc_bits is 0"),
        ({"weight_bits": 1}, "weight_bits is 1"),
        ({"simd": 4}, r"\(4, 2, 3\), not \(depth, \*\(2, 4\)\)"),
        ({"weights": np.zeros((0, 2, 3), int)}, "shape"),
        ({"weights": np.full((4, 2, 3), 4)}, "with 3 bits they go from -4 to 3"),
        ({"weights": np.full((4, 2, 3), -5)}, "weights go from -5"),
        ({"blocks": 2}, "blocks is 2; it has to divide pe, which is 2, and simd, which is 3"),
        ({"lanes": (1,)}, "permutation"),
        ({"multiplier": "lut"}, "'lut'"),
        ({"rom": RomSpec("x")}, "'x'"),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        MacArray(replace(GOOD, **wrong))


def test_bad_rows():
    with pytest.raises(ValueError, match="rows is 0"):
        MacArray(GOOD, rows=0)


def test_a_signal_of_the_sum_is_signed():
    """The half that makes results unsigned is that of the range, so a sum of 0 is its middle."""
    dut = MacArray(GOOD)
    assert dut.model(np.zeros((2, 4, 3), int)).tolist() == [[256, 256], [256, 256]]
    assert isinstance(dut.o_values, Signal) and len(dut.o_values) == 18
