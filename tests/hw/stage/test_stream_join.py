"""StreamJoin: beats and every cycle of joins together and in turn, with held ports and stalls."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec import JoinSpec, PortSpec
from xnorflow_hw.stage.stream_join import StreamJoin

from ..convert import STYLE, to_verilog
from ..harness import Drive, Source, Watch, run, stalls
from ..verilog import lint

FRAMES = 3


def predict(spec, i_stalls, p_stall):
    """Return the cycles of all issues and of each port's transfers, by docs/hardware.md."""
    need = np.zeros((len(spec.ports), spec.cycles), bool)
    for k in range(len(spec.ports)):
        need[k, spec.takes(k)] = True
    issues, taken = [], [[] for _ in spec.ports]
    for beat in range(FRAMES * spec.cycles):
        at = issues[-1] + 1 if issues else 0
        for k, stall in enumerate(i_stalls):
            if need[k, beat % spec.cycles]:
                # A source offers its next beat in the first cycle that it does not hold back.
                offer = taken[k][-1] + 1 if taken[k] else 0
                while stall(offer):
                    offer += 1
                at = max(at, offer)
        while p_stall(at):
            at += 1
        issues.append(at)
        for k, own in enumerate(taken):
            if need[k, beat % spec.cycles]:
                own.append(at)
    return issues, taken


def check(spec, seed, stalled):
    rng = random.Random(seed)
    dut = StreamJoin(spec)
    beats = [
        np.array(
            [rng.getrandbits(p.word_bits) for _ in range(FRAMES * spec.port_beats(k))], object
        ).reshape(FRAMES, -1)
        for k, p in enumerate(spec.ports)
    ]
    *i_stalls, p_stall = (stalls(seed + k, p) for k, p in enumerate(stalled))
    sources = [
        Source(i, own.ravel(), stall)
        for i, own, stall in zip(dut.inputs, beats, i_stalls, strict=True)
    ]
    watch = Watch(
        dut, ["o_data", "o_row", "o_port", "o_first", "o_last"], count=FRAMES * spec.cycles
    )
    issued = Watch(dut, [], valid="o_issued", count=FRAMES * spec.cycles)
    run(dut, *sources, Drive(dut.permit, lambda now: not p_stall(now)), watch, issued)

    issues, taken = predict(spec, i_stalls, p_stall)
    assert [cycle for cycle, _ in issued.events] == issues
    assert [cycle for cycle, _ in watch.events] == [cycle + dut.latency for cycle in issues]
    assert [source.cycles for source in sources] == taken
    model = dut.model(*beats)
    for name in ("data", "row", "port"):
        assert [v[f"o_{name}"] for _, v in watch.events] == model[name].tolist(), name
    assert all(v["o_first"] and v["o_last"] for _, v in watch.events)
    return beats, [v["o_data"] for _, v in watch.events]


STALLED = st.lists(st.sampled_from([0.0, 0.2, 0.7]), min_size=5, max_size=5)


@st.composite
def together(draw):
    words = draw(st.integers(1, 4))
    ports = []
    for _ in range(draw(st.integers(1, 3))):
        hold = draw(st.sampled_from(["none", "none", "pixel", "frame"]))
        own = {"none": words, "pixel": 1, "frame": draw(st.sampled_from([1, words]))}[hold]
        ports.append(PortSpec(draw(st.integers(1, 4)), draw(st.integers(1, 3)), own, hold))
    return JoinSpec(tuple(ports), draw(st.integers(1, 3)), draw(st.integers(1, 3)), words)


@settings(max_examples=80, deadline=None)
@given(spec=together(), seed=st.integers(0, 999), stalled=STALLED)
def test_together(spec, seed, stalled):
    check(spec, seed, stalled[: len(spec.ports) + 1])


@settings(max_examples=50, deadline=None)
@given(
    turns=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    axis=st.sampled_from(["channels", "columns", "rows"]),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    seed=st.integers(0, 999),
    stalled=STALLED,
)
def test_in_turn(turns, axis, height, width, seed, stalled):
    words = 2
    match axis:
        case "channels":
            words = sum(turns)
        case "columns":
            turns, width = [words * t for t in turns], sum(turns)
        case _:
            turns, height = [words * width * t for t in turns], sum(turns)
    ports = tuple(PortSpec(2, k + 1, max(1, t), "none") for k, t in enumerate(turns))
    spec = JoinSpec(ports, height, width, words, tuple(turns))
    check(spec, seed, stalled[: len(ports) + 1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turns_concatenate_maps_along_an_axis(axis):
    """NumPy's concatenation is the reference; a beat is a pixel's channel."""
    shapes = [[2, 3, 2], [2, 3, 2]]
    shapes[1][axis] = 4
    whole = list(shapes[0])
    whole[axis] += 4
    turns = tuple(int(np.prod(s[axis:])) for s in shapes)
    ports = tuple(PortSpec(8, 1, s[2]) for s in shapes)
    spec = JoinSpec(ports, whole[0], whole[1], whole[2], turns)
    beats, found = check(spec, 5, [0.2, 0.3, 0.1])
    maps = [b.reshape(FRAMES, *s) for b, s in zip(beats, shapes, strict=True)]
    assert found == np.concatenate(maps, axis + 1).ravel().tolist()


def test_held_ports_broadcast_maps():
    """NumPy's broadcasting is the reference: a map of one pixel, and one of one channel."""
    ports = PortSpec(8, 1, 3), PortSpec(8, 1, 3, "frame"), PortSpec(8, 1, 1, "pixel")
    beats, found = check(JoinSpec(ports, 2, 2, 3), 3, [0.2, 0.3, 0.1, 0.2])
    shapes = (FRAMES, 2, 2, 3), (FRAMES, 1, 1, 3), (FRAMES, 2, 2, 1)
    a, b, c = (own.reshape(shape) for own, shape in zip(beats, shapes, strict=True))
    assert found == (a + 256 * b + 65536 * c).ravel().tolist()


PORT = PortSpec(2, 2, 3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (JoinSpec((), 1, 1, 1), "ports is empty"),
        (JoinSpec((PORT,), 0, 1, 3), "height is 0"),
        (JoinSpec((PortSpec(0, 1, 1),), 1, 1, 1), "port 0 has 0 bits"),
        (JoinSpec((PORT, PORT), 1, 2, 2), "port 0 has 3 words"),
        (JoinSpec((PORT, PortSpec(2, 2, 3, "pixel")), 1, 2, 3), "port 1 has 3 words"),
        (JoinSpec((PortSpec(2, 2, 3, "row"),), 1, 2, 3), "'row'"),
        (JoinSpec((PORT, PORT), 1, 2, 6, (3,)), "turns are"),
        (JoinSpec((PORT, PORT), 1, 2, 6, (3, 4)), "do not divide"),
        (JoinSpec((PORT, PortSpec(2, 2, 1, "pixel")), 1, 2, 6, (3, 3)), "port 1 is held"),
    ],
)
def test_bad_parameters(spec, message):
    with pytest.raises(ValueError, match=message):
        StreamJoin(spec)


@pytest.mark.rtl
def test_verilog_is_clean(tmp_path):
    ports = PortSpec(2, 2, 3), PortSpec(3, 1, 3, "frame"), PortSpec(1, 1, 1, "pixel")
    lint(to_verilog(StreamJoin(JoinSpec(ports, 2, 3, 3))), tmp_path, *STYLE)
    lint(to_verilog(StreamJoin(JoinSpec(ports[:2], 2, 3, 3))), tmp_path, *STYLE)
    turns = JoinSpec((PortSpec(2, 2, 1), PortSpec(1, 2, 2)), 2, 3, 3, (1, 2))
    lint(to_verilog(StreamJoin(turns)), tmp_path, *STYLE)
