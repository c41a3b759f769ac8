"""Gearbox: elements and every cycle of all kinds equal the NumPy model and the documented rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec import GearboxSpec
from xnorflow_hw.stream.gearbox import Gearbox

from ..convert import STYLE, to_verilog
from ..harness import pack, run_stream, stalls, unpack
from ..regrouped import output_beats
from ..verilog import lint


def predict(dut, inputs, outputs, i_stall, o_stall):
    """Return the cycles of all accepts and emits, by the recurrences of docs/hardware.md."""
    shape = {
        "group_in": dut.group_in,
        "lanes_in": dut.lanes_in,
        "group_out": dut.group_out,
        "lanes_out": dut.lanes_out,
    }
    possible = [output_beats(i, **shape) for i in range(inputs + 1)]
    accepts, emits = [], []
    for i in range(inputs):
        # The source offers a beat when it does not stall; the offer then stays.
        offer = accepts[-1] + 1 if accepts else 0
        while i_stall(offer):
            offer += 1
        before = possible[i]
        accepts.append(max(offer, emits[before - 1] if before else 0))
        while len(emits) < possible[i + 1]:
            emit = max(accepts[i] + 1, emits[-1] + 1 if emits else 0)
            while o_stall(emit):
                emit += 1
            emits.append(emit)
    assert len(emits) == outputs
    return accepts, emits


def check(dut, larger_groups, seed, i_stalled, o_stalled):
    rng = np.random.default_rng(seed)
    group = max(dut.group_in, dut.group_out)
    per_in = -(-dut.group_in // dut.lanes_in)
    inputs = larger_groups * (group // dut.group_in) * per_in
    # Lanes past the end of a group carry random values.
    beats = rng.integers(0, 1 << dut.bits, (inputs, dut.lanes_in))
    expected = dut.model(beats).tolist()
    i_stall, o_stall = stalls(seed, i_stalled), stalls(seed + 1, o_stalled)
    accepted, transfers = run_stream(
        dut,
        [pack(beat, dut.bits) for beat in beats],
        len(expected),
        i_stall=i_stall,
        o_stall=o_stall,
    )
    assert [unpack(p, dut.bits, dut.lanes_out) for _, p in transfers] == expected
    if dut.kind == "wires":
        assert accepted == [cycle for cycle, _ in transfers]
    else:
        accepts, emits = predict(dut, inputs, len(expected), i_stall, o_stall)
        assert accepted == accepts
        assert [cycle for cycle, _ in transfers] == emits
    return beats, expected


SHAPES = {
    "bits": st.integers(1, 3),
    "unit": st.integers(1, 12),
    "times": st.integers(1, 4),
    "seed": st.integers(0, 999),
    "i_stalled": st.sampled_from([0.0, 0.2, 0.7]),
    "o_stalled": st.sampled_from([0.0, 0.2, 0.7]),
}


@settings(max_examples=150, deadline=None)
@given(**SHAPES, lanes_in=st.integers(1, 9), lanes_out=st.integers(1, 9), reverse=st.booleans())
def test_any(bits, unit, times, seed, i_stalled, o_stalled, lanes_in, lanes_out, reverse):
    group_in, group_out = (unit * times, unit) if reverse else (unit, unit * times)
    dut = Gearbox(
        bits=bits, group_in=group_in, lanes_in=lanes_in, group_out=group_out, lanes_out=lanes_out
    )
    beats, expected = check(dut, 5, seed, i_stalled, o_stalled)
    # The model equals the definition.
    per_in, per_out = -(-group_in // lanes_in), -(-group_out // lanes_out)
    sent = [
        e
        for g in range(0, len(beats), per_in)
        for e in beats[g : g + per_in].ravel()[:group_in].tolist()
    ]
    got = []
    for g in range(0, len(expected), per_out):
        flat = [e for beat in expected[g : g + per_out] for e in beat]
        assert not any(flat[group_out:])
        got += flat[:group_out]
    assert got == sent


@settings(max_examples=80, deadline=None)
@given(**SHAPES, lanes=st.integers(1, 4), ratio=st.integers(1, 4), down=st.booleans())
def test_whole_multiples(bits, unit, times, seed, i_stalled, o_stalled, lanes, ratio, down):
    lanes_in, lanes_out = (lanes * ratio, lanes) if down else (lanes, lanes * ratio)
    dut = Gearbox(bits=bits, group_in=unit, lanes_in=lanes_in, group_out=unit, lanes_out=lanes_out)
    assert dut.kind == ("wires" if ratio == 1 else "down" if down else "up")
    check(dut, 2 * times, seed, i_stalled, o_stalled)


@pytest.mark.parametrize(
    ("group_in", "lanes_in", "group_out", "lanes_out", "kind"),
    [
        (64, 8, 64, 8, "wires"),
        (64, 8, 1024, 8, "wires"),
        (10, 4, 10, 4, "wires"),
        (10, 4, 40, 4, "barrel"),
        (64, 8, 1024, 32, "up"),
        (64, 32, 1024, 8, "down"),
        (10, 4, 10, 8, "up"),
        (10, 8, 10, 4, "down"),
        (64, 8, 64, 12, "barrel"),
        (3, 3, 27, 9, "up"),
        (3, 4, 27, 8, "barrel"),
    ],
)
def test_kinds(group_in, lanes_in, group_out, lanes_out, kind):
    shape = {
        "group_in": group_in,
        "lanes_in": lanes_in,
        "group_out": group_out,
        "lanes_out": lanes_out,
    }
    dut = Gearbox(bits=2, **shape)
    assert dut.kind == kind
    assert GearboxSpec(bits=2, **shape).needed == (kind != "wires")
    check(dut, 3, 7, 0.3, 0.3)


@pytest.mark.parametrize(("lanes_in", "lanes_out"), [(2, 8), (8, 2), (3, 5), (5, 3)])
def test_full_speed_has_no_bubble(lanes_in, lanes_out):
    """The narrower side transfers a beat in every cycle."""
    dut = Gearbox(bits=1, group_in=120, lanes_in=lanes_in, group_out=120, lanes_out=lanes_out)
    beats = np.zeros((3 * 120 // lanes_in, lanes_in), int)
    accepted, transfers = run_stream(dut, [pack(beat, 1) for beat in beats], 3 * 120 // lanes_out)
    narrow = accepted if lanes_in < lanes_out else [cycle for cycle, _ in transfers]
    assert narrow == list(range(narrow[0], narrow[0] + len(narrow)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bits": 0}, "bits is 0"),
        ({"lanes_out": 0}, "lanes_out is 0"),
        ({"group_out": 18}, "neither is a multiple"),
    ],
)
def test_bad_parameters(wrong, message):
    good = {"bits": 1, "group_in": 12, "lanes_in": 4, "group_out": 12, "lanes_out": 2}
    with pytest.raises(ValueError, match=message):
        Gearbox(**good | wrong)


@pytest.mark.rtl
@pytest.mark.parametrize(("lanes_in", "lanes_out"), [(3, 6), (6, 3), (4, 6), (4, 4)])
def test_verilog_is_clean(tmp_path, lanes_in, lanes_out):
    dut = Gearbox(bits=2, group_in=10, lanes_in=lanes_in, group_out=10, lanes_out=lanes_out)
    lint(to_verilog(dut), tmp_path, *STYLE)
