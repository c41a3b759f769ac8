"""JoinedArray: sums, products, maxima, minima and copies of scaled codes, with constants by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.joined import JoinedArray
from xnorflow_hw.spec import JoinedSpec

from ..convert import STYLE, to_verilog
from ..harness import pack, run_pulses, unpack, with_bubbles
from ..verilog import lint, simulate


def spec_of(op, bits, factors, offsets, out_bits, held=None):
    return JoinedSpec(
        op,
        tuple(bits),
        np.array(factors),
        np.array(offsets),
        out_bits,
        held or (False,) * len(bits),
    )


def beats_of(spec, codes, port, rows):
    """Return the pulses of codes [beats, lanes or 1] of each port."""
    beats = []
    for i in range(len(codes[0])):
        words = [pack(c[i], b) for c, b in zip(codes, spec.bits, strict=True)]
        if spec.op == "copy" and len(codes) > 1:
            beats.append({"i_data": words[port[i]], "i_port": int(port[i])})
        else:
            data = low = 0
            for word, own, b in zip(words, codes, spec.bits, strict=True):
                data |= word << low
                low += b * own.shape[1]
            beats.append({"i_data": data})
        beats[-1] |= {"i_first": 1, "i_last": 1, "i_row": i % rows}
    return beats


def check(spec, rows, seed, bubbles, beats=25):
    rng = np.random.default_rng(seed)
    dut = JoinedArray(spec, rows=rows)
    codes = [
        rng.integers(0, 1 << b, (beats, 1 if held else spec.lanes))
        for b, held in zip(spec.bits, spec.held, strict=True)
    ]
    port = rng.integers(0, len(codes), beats)
    pulses = with_bubbles(beats_of(spec, codes, port, rows), seed, bubbles)
    events = run_pulses(dut, pulses, ["o_values", "o_row"], count=beats)
    expected = dut.model(*codes, port=port)
    sent = [cycle for cycle, beat in enumerate(pulses) if beat is not None]
    assert dut.latency == spec.latency() == 3
    assert [cycle for cycle, _ in events] == [cycle + 3 for cycle in sent]
    assert [v["o_row"] for _, v in events] == [i % rows for i in range(beats)]
    found = [unpack(v["o_values"], spec.out_bits, spec.lanes) for _, v in events]
    assert found == expected.tolist()
    return codes, port, expected


@st.composite
def specs(draw):
    op = draw(st.sampled_from(["sum", "product", "maximum", "minimum", "copy"]))
    ports = 2 if op == "product" else draw(st.integers(1, 3))
    bits = [draw(st.integers(1, 5)) for _ in range(ports)]
    lanes, seed = draw(st.integers(1, 3)), draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    rows = [draw(st.sampled_from([1, 1, 2, 3, 6])) for _ in range(2)]
    size = draw(st.sampled_from([1, 4, 200]))
    low = draw(st.sampled_from([0, -size]))
    constants = [rng.integers(low, size + 1, (r, ports, lanes)) for r in rows]
    held = tuple(draw(st.booleans()) for _ in range(ports))
    return spec_of(op, bits, *constants, draw(st.integers(1, 20)), held)


@settings(max_examples=120, deadline=None)
@given(
    spec=specs(),
    rows=st.integers(1, 3),
    seed=st.integers(0, 999),
    bubbles=st.sampled_from([0.0, 0.3]),
)
def test_any(spec, rows, seed, bubbles):
    check(spec, rows, seed, bubbles)


def test_a_shortcut_is_the_sum_of_two_maps():
    """Maps of -1 and 1, and of -2, -1, 0 and 1; the sum less its least value is the result."""
    spec = spec_of("sum", [1, 2], [[[2, 2], [1, 1]]], [[[0, 0], [0, 0]]], 3)
    (a, b), _, found = check(spec, 1, 4, 0.2)
    assert (found - 3).tolist() == ((2 * a - 1) + (b - 2)).tolist()


def test_a_gate_is_a_product_with_a_code_for_all_lanes():
    spec = spec_of("product", [3, 2], [[[1] * 4, [3] * 4]], [[[-4] * 4, [1] * 4]], 8, (False, True))
    (a, b), _, found = check(spec, 1, 9, 0.0)
    assert found.astype(np.uint8).astype(np.int8).tolist() == ((a - 4) * (3 * b + 1)).tolist()


@pytest.mark.parametrize(("op", "of"), [("maximum", np.maximum), ("minimum", np.minimum)])
def test_extremes_with_negative_factors(op, of):
    spec = spec_of(op, [3, 3], [[[-1, 2], [1, -3]]], [[[7, 21], [3, 30]]], 6)
    (a, b), _, found = check(spec, 1, 2, 0.1)
    expected = of(a * [-1, 2] + [7, 21], b * [1, -3] + [3, 30])
    assert found.tolist() == expected.tolist()


def test_a_constant_map_is_added_beat_by_beat():
    values = np.arange(12).reshape(6, 1, 2)
    spec = spec_of("sum", [4], [[[1, 1]]], values, 5)
    (a,), _, found = check(spec, 2, 3, 0.3, beats=18)
    assert found.tolist() == (a + np.tile(values[:, 0], (3, 1))).tolist()


def test_copies_map_each_port_to_a_common_alphabet():
    spec = spec_of("copy", [1, 3], [[[4], [1]]], [[[2], [0]]], 3)
    (a, b), port, found = check(spec, 1, 6, 0.2)
    assert found.tolist() == np.where(port[:, None] == 0, 4 * a + 2, b).tolist()


ONES = np.ones((1, 2, 3), int)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (spec_of("mean", [1, 1], ONES, ONES, 2), "'mean'"),
        (spec_of("sum", [1, 0], ONES, ONES, 2), "bits are"),
        (spec_of("sum", [1, 1], ONES, ONES, 0), "out_bits is 0"),
        (spec_of("sum", [1], ONES, ONES, 2), "factors have shape"),
        (spec_of("sum", [1, 1], ONES, ONES[:, :, :2], 2), "offsets have shape"),
        (spec_of("sum", [1, 1], ONES, ONES, 2, (True,)), "held is"),
        (spec_of("product", [1], ONES[:, :1], ONES[:, :1], 2), "a product has two"),
    ],
)
def test_bad_parameters(spec, message):
    with pytest.raises(ValueError, match=message):
        JoinedArray(spec)


DRIVE = """\
  top.rst = 1; top.i_valid = 0; top.i_first = top.i_last = 1; top.i_row = 0; tick(); top.rst = 0;
  for (int n = 0; n < 50; n++) {
    top.i_data = n; top.i_valid = 1; tick();
    if (top.o_valid) printf("%d\\n", int(top.o_values));
  }
"""


@pytest.mark.rtl
def test_a_large_constant_map_is_an_image(tmp_path):
    values = np.random.default_rng(1).integers(0, 200, (4096, 1, 1))
    dut = JoinedArray(spec_of("sum", [6], [[[1]]], values, 9), style="verilog", name="add")
    assert list(dut.images) and list(dut.modules)
    for name, text in dut.images.items():
        (tmp_path / name).write_text(text)
    text = to_verilog(dut) + "".join(dut.modules.values())
    found = simulate(text, DRIVE, tmp_path)
    # A pulse is seen behind the clock edge, so three of the beats are on their way at the end.
    expected = dut.model(np.arange(50)[:, None])[:, 0].tolist()
    assert list(map(int, found)) == expected[: len(found)] and len(found) >= 47


@pytest.mark.rtl
@pytest.mark.parametrize("op", ["sum", "product", "maximum", "minimum", "copy"])
def test_verilog_is_clean(op, tmp_path):
    constants = np.array([[[1, -2], [3, 1]], [[2, 2], [1, 0]]])
    lint(
        to_verilog(JoinedArray(spec_of(op, [2, 3], constants, constants, 7), rows=2)),
        tmp_path,
        *STYLE,
    )
