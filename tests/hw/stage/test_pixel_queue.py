"""Queue of pixels: order, cycles and the places that become free, under stalls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.stage.pixel_queue import PixelQueue

from ..convert import STYLE, to_verilog
from ..harness import Agent, Sink, run, stalls
from ..verilog import lint

BITS = 5


def queue(pixels, columns, repeat, depth):
    return PixelQueue(
        width=BITS, banks=Banks(pixels, columns, 1, 1, 1, 0, 0), repeat=repeat, depth=depth
    )


class Array(Agent):
    """Sends results as long as there are free places, as the stage's credit does."""

    def __init__(self, dut, results, stall):
        self.dut, self.results, self.stall = dut, results, stall
        self.sent, self.freed = [], 0

    def drive(self, ctx, cycle):
        free = len(self.sent) - self.freed < self.dut.depth
        self.now = free and len(self.sent) < len(self.results) and not self.stall(cycle)
        ctx.set(self.dut.i_valid, self.now)
        values = (
            self.results[len(self.sent)] if self.now else [cycle * 7 % 32] * len(self.results[0])
        )
        ctx.set(self.dut.i_values, sum(v << (BITS * j) for j, v in enumerate(values)))

    def sample(self, ctx, cycle):
        self.freed += ctx.get(self.dut.o_freed)
        if self.now:
            self.sent.append(cycle)

    @property
    def done(self):
        return len(self.sent) == len(self.results) == self.freed

    def progress(self):
        return f"{len(self.sent)} sent, {self.freed} places given back"


def rules(dut, rows, i_stall, o_stall):
    """Follow the rules cycle by cycle; return the cycles of results and transfers."""
    b = dut.banks
    order, frees = [], []
    for row in range(rows):
        for group in range(b.groups):
            real = min(b.pixels, b.columns - group * b.pixels)
            for pixel in range(real):
                for rep in range(dut.repeat):
                    order.append(((row * b.groups + group) * dut.repeat + rep, pixel))
                    frees.append(pixel == real - 1)
    came, went, freed, cycle = [], [], 0, 0
    while len(went) < len(order):
        free = len(came) - freed < dut.depth
        offered = order[len(went)][0] < len(came)
        if free and len(came) < rows * b.groups * dut.repeat and not i_stall(cycle):
            came.append(cycle)
        if offered and not o_stall(cycle):
            freed += frees[len(went)]
            went.append(cycle)
        cycle += 1
    return order, came, went


def check(dut, rows=3, seed=0, i_stalled=0.0, o_stalled=0.0):
    rng = np.random.default_rng(seed)
    b = dut.banks
    results = rng.integers(0, 1 << BITS, (rows * b.groups * dut.repeat, b.pixels))
    i_stall, o_stall = stalls(seed, i_stalled), stalls(seed + 1, o_stalled)
    order, came, went = rules(dut, rows, i_stall, o_stall)
    source = Array(dut, results.tolist(), i_stall)
    sink = Sink(dut.o, len(order), o_stall)
    run(dut, source, sink)
    assert source.sent == came
    assert [cycle for cycle, _ in sink.transfers] == went
    values = [value for _, value in sink.transfers]
    assert values == [results[result, pixel] for result, pixel in order]
    assert values == dut.model(results).tolist()


@settings(max_examples=60, deadline=None)
@given(
    pixels=st.integers(2, 6),
    columns=st.integers(1, 9),
    repeat=st.integers(1, 5),
    extra=st.integers(0, 8),
    seed=st.integers(0, 999),
    i_stalled=st.sampled_from([0.0, 0.3, 0.8]),
    o_stalled=st.sampled_from([0.0, 0.3, 0.8]),
)
def test_any_grouping(pixels, columns, repeat, extra, seed, i_stalled, o_stalled):
    check(queue(pixels, columns, repeat, repeat + extra), 3, seed, i_stalled, o_stalled)


def test_fewer_places_than_repeats_would_never_empty():
    with pytest.raises(ValueError, match="depth is 3; it has to be at least repeat 4"):
        queue(2, 4, 4, 3)
    dut = queue(2, 4, 4, 4)
    dut.depth = 3
    with pytest.raises(AssertionError, match="not done"):
        run(dut, Array(dut, [[0, 1]] * 8, lambda _: False), Sink(dut.o, 16), timeout=200)


def test_two_groups_pass_without_a_pause():
    """With places for two groups, each read in pixels * repeat cycles, the output never waits."""
    dut = queue(3, 9, 4, 8)
    sink = Sink(dut.o, 2 * 9 * 4)
    run(dut, Array(dut, [[1, 2, 3]] * 24, lambda _: False), sink)
    cycles = [cycle for cycle, _ in sink.transfers]
    assert cycles == list(range(1, 73))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "width is 0"),
        ({"repeat": 0}, "repeat is 0"),
        ({"depth": 1}, "depth is 1"),
    ],
)
def test_bad_parameters(wrong, message):
    good = {"width": 4, "banks": Banks(2, 6, 3, 1, 1, 0, 0), "repeat": 2, "depth": 4}
    with pytest.raises(ValueError, match=message):
        PixelQueue(**good | wrong)


@pytest.mark.rtl
@pytest.mark.parametrize("shape", [(2, 6, 1, 1), (3, 7, 4, 9), (5, 3, 2, 4)])
def test_verilog_is_clean(tmp_path, shape):
    lint(to_verilog(queue(*shape)), tmp_path, *STYLE)
