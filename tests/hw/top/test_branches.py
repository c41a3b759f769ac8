"""An accelerator with forks, joins and stretched maps: values in both simulators, and queues."""

from dataclasses import replace

import numpy as np
import pytest

from xnorflow_hw.spec import (
    AcceleratorSpec,
    BufferSpec,
    GearboxSpec,
    InputSpec,
    JoinedSpec,
    JoinSpec,
    MaxSpec,
    PortSpec,
    StageSpec,
    StreamSpec,
    StretchSpec,
    SumSpec,
    ThresholdSpec,
)
from xnorflow_hw.top.accelerator import Accelerator
from xnorflow_hw.top.verilog import emit

from ...bench import Bench
from ..verilog import lint, simulate

THRESHOLDS = np.array([[[200, 900, 1500]], [[100, 700, 2000]]])
ADD = np.array([[[3, 1], [5, 2]]])
ZERO = 9
CROP = (1, 0, 0, 1)


def window(**options):
    shape = {"height": 4, "width": 4, "stride": (1, 1), "dilation": (1, 1), "classes": False}
    return BufferSpec(**shape, pad_word=0, pad_word_last=0, **options)


def joined(op, bits, factors, offsets, out_bits):
    factors, offsets = np.array(factors), np.array(offsets)
    return JoinedSpec(op, bits, factors, offsets, out_bits, (False,) * len(bits))


def branching(shortcut=16, pooled=32):
    """Return the spec of a gated shortcut, two stretched copies of it, and these joined in turn.

    The parts are: 0 input, 1 pool, 2 sum of all pixels, 3 product of 1 and 2, 4 sum of 0 and 3,
    5 and 6 stretched maps of 4, and 7 these two, pixel by pixel.

    Parameters
    ----------
    shortcut, pooled : int
        Beats of the queues on the way from part 0 to part 4 and from part 1 to part 3, where all
        pixels have to wait for the sum.
    """
    pool = StageSpec(
        "pool",
        window(
            word_bits=4, words=2, kernel=(3, 3), pads=(1, 1, 1, 1), repeat=2, groups=2, depth=32
        ),
        MaxSpec(1, 4, np.zeros((2, 1), bool)),
        (),
        channels=2,
        queue_depth=4,
    )
    total = StageSpec(
        "total",
        window(
            word_bits=8, words=1, kernel=(4, 4), pads=(0, 0, 0, 0), repeat=1, groups=1, depth=16
        ),
        SumSpec(2, 4, 8),
        (),
        channels=2,
        queue_depth=2,
    )
    gate = StageSpec(
        "gate",
        JoinSpec((PortSpec(4, 1, 2), PortSpec(8, 1, 2, "frame")), 4, 4, 2),
        joined("product", (4, 8), [[[1], [1]]], [[[3], [5]]], 13),
        (ThresholdSpec(THRESHOLDS, 2),),
        channels=2,
        queue_depth=12,
    )
    add = StageSpec(
        "add",
        JoinSpec((PortSpec(4, 2, 1), PortSpec(2, 2, 1)), 4, 4, 1),
        joined("sum", (4, 2), ADD, np.zeros_like(ADD), 6),
        (),
        channels=2,
        queue_depth=8,
    )
    copy = joined("copy", (6,), [[[1, 1]]], [[[0, 0]]], 6)
    zero = ZERO | ZERO << 6
    up, spread = (
        StageSpec(
            name,
            StretchSpec(12, 1, 4, 4, (2, 2), fill, CROP, zero, zero, depth=6),
            copy,
            (),
            channels=2,
            queue_depth=8,
        )
        for name, fill in (("up", "repeat"), ("spread", "zeros"))
    )
    both = StageSpec(
        "both",
        JoinSpec((PortSpec(6, 2, 1), PortSpec(6, 2, 1)), 7, 7, 2, (1, 1)),
        joined("copy", (6, 6), [[[1, 1], [2, 2]]], [[[0, 0], [1, 1]]], 7),
        (),
        channels=4,
        queue_depth=8,
    )
    streams = (
        StreamSpec(0, 0, GearboxSpec(4, 2, 2, 2, 1)),
        StreamSpec(1, 1, GearboxSpec(4, 2, 1, 2, 2)),
        StreamSpec(1, 2, GearboxSpec(4, 2, 1, 2, 1), port=0, queue=pooled, ram="block"),
        StreamSpec(2, 2, GearboxSpec(8, 2, 2, 2, 1), port=1),
        StreamSpec(0, 3, GearboxSpec(4, 2, 2, 2, 2), port=0, queue=shortcut, ram="distributed"),
        StreamSpec(3, 3, GearboxSpec(2, 2, 1, 2, 2), port=1),
        StreamSpec(4, 4, GearboxSpec(6, 2, 2, 2, 2)),
        StreamSpec(4, 5, GearboxSpec(6, 2, 2, 2, 2)),
        StreamSpec(5, 6, GearboxSpec(6, 2, 2, 2, 2), port=0, queue=1),
        StreamSpec(6, 6, GearboxSpec(6, 2, 2, 2, 2), port=1, queue=2),
        StreamSpec(7, 7, GearboxSpec(7, 4, 2, 196, 2)),
    )
    table = (np.arange(256) % 16)[None]
    return AcceleratorSpec(
        name="top",
        input=InputSpec(lanes=2, bits=4, table=table, group=2, frame=32),
        stages=(pool, total, gate, add, up, spread, both),
        streams=streams,
        classes=196,
        out_lanes=2,
        score_bits=8,
        score_signed=False,
    )


def reference(frames):
    """Compute what `branching` computes, uint8 [n, 4, 4, 2] to [n, 7 * 7 * 4], in plain NumPy."""
    x = frames.astype(np.int64) % 16
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    pool = windows.max((-2, -1))
    gate = (pool + 3) * (pool.sum((1, 2), keepdims=True) + 5)
    codes = (gate[..., None] >= THRESHOLDS[:, 0]).sum(-1)
    total = x * ADD[0, 0] + codes * ADD[0, 1]
    up = total.repeat(2, 1).repeat(2, 2)
    spread = np.full_like(up, ZERO)
    spread[:, ::2, ::2] = total
    both = np.concatenate([up, 2 * spread + 1], 3)
    return both[:, 1:, :-1].reshape(len(x), -1)


FRAMES = np.random.default_rng(5).integers(0, 256, (4, 4, 4, 2)).astype(np.uint8)


def beats_of(results):
    return [int(a) | int(b) << 8 for a, b in results.reshape(-1, 2)]


@pytest.mark.parametrize("stalls", [(0, 0), (0.4, 0), (0, 0.4), (0.3, 0.6)])
def test_values(stalls):
    """No frame depends on those before it, with any stalls."""
    found = []

    def script(bench):
        bench.reset()
        for seed in range(2):
            found.append(bench.send(FRAMES, stalls=stalls, seed=seed).beats)

    Bench(branching(), script)
    assert found == [beats_of(reference(FRAMES))] * 2


@pytest.mark.parametrize("cycles", [7, 90, 311])
def test_a_reset_empties_all_parts(cycles):
    found = []

    def script(bench):
        bench.reset()
        bench.send(FRAMES[::-1], cycles=cycles)
        bench.reset()
        found.extend(bench.send(FRAMES).beats)

    Bench(branching(), script)
    assert found == beats_of(reference(FRAMES))


def test_a_queue_that_is_too_short_leaves_the_accelerator_stuck():
    """The sum of all pixels needs the whole frame, and so has everything else to keep it."""
    for queues in ({"shortcut": 4}, {"pooled": 4}):
        with pytest.raises(AssertionError, match="stuck"):
            Bench(branching(**queues), lambda bench: (bench.reset(), bench.send(FRAMES)))


def test_verilog_text():
    text = emit(branching()).verilog
    for fork in ("input_stage", "pool", "add"):
        assert f"module top_{fork}_fork(" in text
    for queue in ("gate_i0", "add_i0", "both_i0", "both_i1"):
        assert f"module top_{queue}_stream_queue(" in text
    assert text.count("_fork(") == 3 and text.count("_stream_queue(") == 4


DRIVE = """\
  const uint64_t words[] = {{{words}}};
  const int count = {count}, due = {due};
  int sent = 0, got = 0;
  top.rst = 1; top.s_axis_tvalid = 0; top.m_axis_tready = 0; tick(); top.rst = 0;
  for (int cycle = 0; got < due && cycle < 20000; cycle++) {{
    if (!top.s_axis_tvalid && sent < count && {i_goes}) top.s_axis_tvalid = 1;
    if (top.s_axis_tvalid) top.s_axis_tdata = words[sent];
    top.m_axis_tready = {o_goes};
    top.eval();
    if (top.m_axis_tvalid && top.m_axis_tready) {{
      printf("%d %d %d\\n", cycle, int(top.m_axis_tdata), int(top.m_axis_tlast));
      got++;
    }}
    bool taken = top.s_axis_tvalid && top.s_axis_tready;
    tick();
    if (taken) {{ top.s_axis_tvalid = 0; sent++; }}
  }}
"""


@pytest.mark.rtl
def test_verilog_in_verilator(tmp_path):
    emitted = emit(branching())
    lint(emitted.verilog, tmp_path)
    words = FRAMES.reshape(-1, 2).astype(int)
    options = {
        "words": ", ".join(str(a | b << 8) for a, b in words.tolist()),
        "count": len(words),
        "due": 98 * len(FRAMES),
    }
    ends = [int(k % 98 == 97) for k in range(options["due"])]
    wanted = list(zip(beats_of(reference(FRAMES)), ends, strict=True))
    sent = []
    for k, goes in enumerate(("true", "rng() % 3 != 0")):
        folder = tmp_path / str(k)
        folder.mkdir()
        body = DRIVE.format(**options, i_goes=goes, o_goes=goes)
        printed = simulate(emitted.verilog, body, folder)
        lines = [tuple(map(int, line.split())) for line in printed]
        assert [line[1:] for line in lines] == wanted
        sent.append([line[0] for line in lines])

    def script(bench):
        bench.reset()
        assert bench.send(FRAMES).sent == sent[0]

    Bench(branching(), script)


def with_stream(k, **changes):
    spec = branching()
    streams = list(spec.streams)
    streams[k] = replace(streams[k], **changes)
    return replace(spec, streams=tuple(streams))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (with_stream(3, port=0), "streams lead to"),
        (with_stream(3, source=5), "port 1 of stage 2 comes from part 5"),
        (with_stream(9, source=5), "no stream leaves part 6"),
    ],
)
def test_bad_streams(spec, message):
    with pytest.raises(ValueError, match=message):
        Accelerator(spec)


def test_a_front_that_does_not_fit_its_array_is_named():
    spec = branching()
    stages = list(spec.stages)
    stages[3] = replace(stages[3], array=joined("sum", (4, 3), ADD, ADD, 8))
    with pytest.raises(ValueError, match="beats of 12 bits do not fit the array of 'add'"):
        Accelerator(replace(spec, stages=tuple(stages)))
