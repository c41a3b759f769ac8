"""StreamQueue: order, capacity and every cycle, for all kinds of memory."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.stream.stream_queue import StreamQueue

from ..convert import STYLE, to_verilog
from ..harness import run_stream, stalls
from ..verilog import lint, simulate


def predict(beats, depth, i_stall, o_stall):
    """Return the cycles of all accepts and emits, by the recurrences of docs/hardware.md."""
    accepts, emits = [], []
    for i in range(beats):
        offer = accepts[-1] + 1 if accepts else 0
        while i_stall(offer):
            offer += 1
        accepts.append(max(offer, emits[i - depth] + 1 if i >= depth else 0))
        emit = max(accepts[i] + 1, emits[-1] + 1 if emits else 0)
        while o_stall(emit):
            emit += 1
        emits.append(emit)
    return accepts, emits


RAMS = ["auto", "block", "distributed"]


@settings(max_examples=100, deadline=None)
@given(
    width=st.integers(1, 70),
    depth=st.integers(1, 11),
    ram=st.sampled_from(RAMS),
    seed=st.integers(0, 999),
    i_stalled=st.sampled_from([0.0, 0.2, 0.7]),
    o_stalled=st.sampled_from([0.0, 0.2, 0.7]),
)
def test_any(width, depth, ram, seed, i_stalled, o_stalled):
    rng = random.Random(seed)
    payloads = [rng.getrandbits(width) for _ in range(60)]
    i_stall, o_stall = stalls(seed, i_stalled), stalls(seed + 1, o_stalled)
    accepted, transfers = run_stream(
        StreamQueue(width=width, depth=depth, ram=ram),
        payloads,
        len(payloads),
        i_stall=i_stall,
        o_stall=o_stall,
    )
    accepts, emits = predict(len(payloads), depth, i_stall, o_stall)
    assert accepted == accepts
    assert transfers == list(zip(emits, payloads, strict=True))


@pytest.mark.parametrize("ram", RAMS)
@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_full_speed_and_capacity(depth, ram):
    accepted, transfers = run_stream(StreamQueue(width=8, depth=depth, ram=ram), range(40), 40)
    step = 2 if depth == 1 else 1
    assert accepted == list(range(0, 40 * step, step))
    assert [cycle for cycle, _ in transfers] == [cycle + 1 for cycle in accepted]
    # Nothing leaves for 20 cycles, so as many beats as there are places are taken.
    accepted, _ = run_stream(
        StreamQueue(width=8, depth=depth, ram=ram), range(40), 40, o_stall=lambda cycle: cycle < 20
    )
    assert accepted[depth - 1] == depth - 1 and accepted[depth] == 21


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"width": 0}, "width is 0"), ({"depth": 0}, "depth is 0"), ({"ram": "ultra"}, "'ultra'")],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        StreamQueue(**{"width": 3, "depth": 2} | wrong)


DRIVE = """\
  const int depth = {depth};
  uint64_t held[depth]; int level = 0, first = 0;
  top.rst = 1; top.i_valid = 0; top.o_ready = 0; tick(); top.rst = 0;
  for (int n = 0; n < 4000; n++) {{
    if (!top.i_valid) {{ top.i_valid = rng() % 3 != 0; top.i_payload = rng() & 0xffff; }}
    top.o_ready = (n / 200) % 2 ? rng() % 4 != 0 : rng() % 4 == 0;
    top.eval();
    bool in = top.i_valid && top.i_ready, out = top.o_valid && top.o_ready;
    if (top.i_ready != (level < depth) || top.o_valid != (level > 0)) printf("flags %d\\n", n);
    if (level > 0 && top.o_payload != held[first]) printf("payload %d\\n", n);
    if (in) held[(first + level) % depth] = top.i_payload;
    if (out) first = (first + 1) % depth;
    level += in - out;
    tick();
    if (in) top.i_valid = 0;
  }}
  printf("end\\n");
"""


@pytest.mark.rtl
@pytest.mark.parametrize("ram", RAMS)
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_verilog(depth, ram, tmp_path):
    text = to_verilog(StreamQueue(width=16, depth=depth, ram=ram))
    lint(text, tmp_path, *STYLE)
    assert simulate(text, DRIVE.format(depth=depth), tmp_path) == ["end"]
