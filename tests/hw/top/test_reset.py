"""A reset at any time drops what is in the pipeline, and the next frame is right."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from xnorflow_hw.stage.feature_buffer import FeatureBuffer
from xnorflow_hw.stream.gearbox import Gearbox
from xnorflow_hw.stream.input import InputStage

from ..harness import Drive, Sink, Source, Watch, pack, run, stalls, unpack

RESET_AT = [5, 16, 23, 38]


def after_reset(dut, payloads, cycle, *others):
    """Run with a reset in `cycle`; return the payloads that are accepted after it."""
    reset = Signal()
    source = Source(dut.i, payloads, stalls(cycle, 0.2))
    top = ResetInserter(reset)(dut)
    run(top, source, Drive(reset, lambda now: now == cycle), *others, drain=60)
    assert source.cycles[0] < cycle < source.cycles[-1]
    return payloads[sum(accepted <= cycle for accepted in source.cycles) :]


class Taker(Sink):
    """Takes whatever is offered; an offer may vanish in a reset."""

    def sample(self, ctx, cycle):
        self.held = None
        super().sample(ctx, cycle)

    @property
    def done(self):
        return True


@pytest.mark.parametrize("cycle", RESET_AT)
@pytest.mark.parametrize(("lanes_in", "lanes_out"), [(2, 6), (6, 2), (3, 5), (5, 3), (4, 4)])
def test_gearbox(cycle, lanes_in, lanes_out):
    rng = np.random.default_rng(cycle)
    dut = Gearbox(bits=3, group_in=7, lanes_in=lanes_in, group_out=7, lanes_out=lanes_out)
    per_group = -(-7 // lanes_in)
    beats = [pack(beat, 3) for beat in rng.integers(0, 8, (40 * per_group, lanes_in))]
    sink = Taker(dut.o, len(beats) * 6, stalls(cycle + 1, 0.4))
    left = after_reset(dut, beats, cycle, sink)
    whole = len(left) // per_group * per_group
    expected = dut.model(np.array([unpack(beat, 3, lanes_in) for beat in left[:whole]])).tolist()
    seen = [unpack(beat, 3, lanes_out) for now, beat in sink.transfers if now > cycle]
    assert len(expected) > 20
    assert seen[: len(expected)] == expected


@pytest.mark.parametrize("cycle", RESET_AT)
def test_input(cycle):
    rng = np.random.default_rng(cycle)
    dut = InputStage(lanes=2, bits=4, table=rng.integers(0, 16, (3, 256)), group=9)
    beats = [pack(beat, 8) for beat in rng.integers(0, 256, (40, 2))]
    sink = Taker(dut.o, len(beats), stalls(cycle + 1, 0.4))
    left = after_reset(dut, beats, cycle, sink)
    whole = len(left) // 5 * 5
    samples = np.array([unpack(beat, 8, 2) for beat in left[:whole]]).reshape(-1, 10)[:, :9]
    seen = [unpack(beat, 4, 2) for now, beat in sink.transfers if now > cycle]
    assert seen[:whole] == dut.model(samples).tolist()


@pytest.mark.parametrize("cycle", RESET_AT)
def test_buffer(cycle):
    rng = np.random.default_rng(cycle)
    shape = {
        "height": 4,
        "width": 3,
        "words": 2,
        "kernel": (3, 2),
        "stride": (1, 1),
        "dilation": (1, 1),
        "pads": (1, 1, 0, 0),
    }
    dut = FeatureBuffer(
        **shape, word_bits=6, pad_word=9, repeat=1, groups=1, classes=True, depth=20
    )
    words = rng.integers(0, 64, 4 * 24).tolist()
    names = ["o_data", "o_pad", "o_first", "o_last", "o_row"]
    pulses = Watch(dut, names)
    block = stalls(cycle + 1, 0.3)
    permit = Drive(dut.permit, lambda now: not block(now))
    left = after_reset(dut, words, cycle, permit, pulses)
    whole = len(left) // 24
    model = dut.model(np.array(left[: whole * 24]).reshape(whole, 4, 3, 2))
    seen = [values for now, values in pulses.events if now > cycle]
    # The last frame may be incomplete when the bench ends.
    count = (whole - 1) * len(model["data"]) // whole
    assert count > 0 and len(seen) >= count
    for name in names:
        assert [beat[name] for beat in seen[:count]] == model[name[2:]][:count].tolist()
