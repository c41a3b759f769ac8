"""Tails of whole networks: from float32 operations to hardware, each against the one before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.devices.tables import fpga, fpgas
from xnorflow.graph import ops as g
from xnorflow.lower import lower
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.memories import blocks
from xnorflow.plan.reductions import Fold
from xnorflow.plan.tail_choice import DSP_OPERANDS, array_dsps, dsp_blocks, free_dsps
from xnorflow.resources.score_form import inspected
from xnorflow.resources.usage import design_resources
from xnorflow_hw.spec import AffineSpec, TableSpec, ThresholdSpec
from xnorflow_sim import golden
from xnorflow_sim.locate import locate

from .bench import check, check_verilog, design
from .strategies import Case

Floats = NDArray[np.float32]
WEIGHTS = {1: (-1, 1), 8: range(-127, 128)}


def floats(values: object) -> Floats:
    return np.asarray(values, np.float32)


def norm(rng: np.random.Generator, channels: int, spread: float) -> g.BatchNormOp:
    return g.BatchNormOp(
        floats(rng.normal(1, 0.3, channels)),
        floats(rng.normal(0, 1, channels)),
        floats(rng.normal(0, spread / 3, channels)),
        floats((spread * rng.uniform(0.7, 1.5, channels)) ** 2),
        1e-5,
    )


def dense(rng: np.random.Generator, inputs: int, outputs: int, bits: int, scale: float) -> g.ConvOp:
    weights = rng.choice(WEIGHTS[bits], (outputs, 1, 1, inputs)).astype(np.int64)
    return g.ConvOp(weights, floats(scale))


def graph(end: str, *, inputs: int = 40, classes: int = 12, bits: int = 1) -> g.Graph:
    """Return a network of one dense layer with an end that has another form of scores."""
    rng = np.random.default_rng(3)
    scale = 1.0 if bits == 1 else 0.0123
    ends: dict[str, list[g.Op]] = {
        "plain": [],
        "norm": [norm(rng, classes, inputs**0.5)],
        "bias": [g.AddOp(floats(rng.normal(0, 5, classes) * scale))],
        "scaled": [
            g.MultiplyOp(floats(rng.uniform(-2, 2, classes))),
            g.AddOp(floats(rng.normal(0, 1, classes))),
        ],
        "clipped": [norm(rng, classes, inputs**0.5), g.ClipOp(0.0)],
    }
    first = [g.SubtractOp(floats(127.5)), g.BipolarQuantOp(floats(1))]
    layer = dense(rng, inputs, classes, bits, scale)
    return g.Graph("net", (1, 1, inputs), (*first, layer, *ends[end]))


def truth(given: g.Graph, x: NDArray[np.uint8]) -> Floats:
    """Execute a graph of dense layers in float32, all sums exact integers times one scale."""
    values = x.reshape(len(x), -1).astype(np.float32)
    for op in given.ops:
        if isinstance(op, g.ConvOp):
            sums = values.astype(np.int64) @ op.weights[:, 0, 0].T
            values = (sums * np.float64(op.scale)).astype(np.float32)
        else:
            assert isinstance(op, g.Elementwise)
            values = op.apply(values)
    return values


def samples(net: ir.IntegerNetwork, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(9).integers(0, 256, (count, *net.shape)).astype(np.uint8)


FORMS = [
    ("plain", 1, "sums plus offsets"),
    ("norm", 1, "float32 operations as 2 integer steps"),
    ("bias", 1, "sums times 12, plus offsets"),
    ("scaled", 1, "float32 operations as 2 integer steps"),
    ("clipped", 1, "table of ranks"),
    ("bias", 8, "sums times 12, plus offsets"),
    ("scaled", 8, "float32 operations as 3 integer steps"),
    ("norm", 8, "float32 operations as 3 integer steps"),
]


@pytest.mark.parametrize(("end", "bits", "form"), FORMS)
def test_scores_are_those_of_float32(end: str, bits: int, form: str) -> None:
    given = graph(end, bits=bits)
    net = lower(given)
    assert net.scores.form == form
    x = samples(net, 300)
    scores, wanted = net(x), truth(given, x)
    np.testing.assert_array_equal(net.scores.to_float(scores), wanted)
    # Every pair of scores of a frame has the order that the floats have, ties too.
    for pair in (scores, wanted):
        assert pair.shape == (300, 12)
    np.testing.assert_array_equal(
        np.sign(scores[:, :, None] - scores[:, None]), np.sign(wanted[:, :, None] - wanted[:, None])
    )


@pytest.mark.parametrize(("end", "bits", "form"), FORMS[1:])
@pytest.mark.parametrize("lanes", [1, 5])
def test_hardware_computes_every_form(end: str, bits: int, form: str, lanes: int) -> None:
    net = lower(graph(end, bits=bits))
    check(Case(net, (Fold(5, 8),), 8, lanes, samples(net, 4)))


def test_a_pool_and_thresholds_may_come_before_a_chain() -> None:
    rng = np.random.default_rng(0)
    w = ir.Window((2, 2))
    layers = (
        ir.Conv("conv", rng.choice((-1, 1), (5, 2, 2, 3)), ir.BIPOLAR, ir.Window((2, 2))),
        ir.Threshold("codes", np.sort(rng.integers(-300, 300, (5, 7)), 1), ir.Alphabet(-3, 1, 8)),
        ir.SumPool("pool", w),
        ir.Scores(
            "scores",
            np.zeros(5, np.int64),
            steps=(
                ir.ScoreStep(rng.integers(-(1 << 23), 1 << 23, 5), np.zeros(5, np.int64), 0),
                ir.ScoreStep(np.full(5, 2), rng.integers(-(1 << 23), 1 << 23, 5), 1),
            ),
        ),
    )
    net = ir.IntegerNetwork("net", (3, 3, 3), layers)
    check(Case(net, (Fold(2, 3), Fold(2, 2)), 3, 2, samples(net, 3)))
    last = (*layers[:2], ir.MaxPool("most", w, np.zeros(5, bool)), layers[-1])
    net = ir.IntegerNetwork("net", (3, 3, 3), last)
    check(Case(net, (Fold(3, 3), Fold(1, 1)), 2, 1, samples(net, 3)))
    net = ir.IntegerNetwork("net", (2, 2, 3), (*layers[:2], layers[-1]))
    check(Case(net, (Fold(3, 3),), 2, 5, samples(net, 3)))


@pytest.mark.rtl
@pytest.mark.parametrize("board", [None, "ulx3s-85f"])
@pytest.mark.parametrize(("end", "bits"), [("norm", 1), ("scaled", 8)])
def test_verilog_computes_a_chain(end: str, bits: int, board: str | None) -> None:
    net = lower(graph(end, bits=bits))
    made = compile_network(net, board, cycles=100)
    x = samples(net, 50)
    run = made.simulate(x)
    assert (run.ii, run.latency) == (made.ii, made.latency)
    made.simulate(x, stalls=(0.3, 0.5), seed=2)
    multipliers = [s.multiplier for s in made.spec.scores.steps if s.places is None]  # type: ignore[union-attr]
    assert set(multipliers) == {"dsp" if board else "logic"}
    # The probes show the sums that the unit starts from.
    taps = made.simulator(taps=True).run(golden.frames(net, x[:1]), taps=True)
    assert locate(made.golden_taps(golden.frames(net, x[:1])), taps.taps, made.taps) is None
    entry = made.summary()["scores"]
    assert entry["form"] == net.scores.form and entry["multipliers"] == multipliers
    assert entry["bits"] == made.spec.scores.out_bits <= made.interface.out_bits  # type: ignore[union-attr]


def quantised(bits: int, kind: str = "uniform", channels: int = 6) -> ir.IntegerNetwork:
    """Return a convolution with thresholds of so many bits, and a dense layer."""
    rng = np.random.default_rng(bits)
    a = ir.Alphabet(0, 1, 1 << bits)
    conv = ir.Conv(
        "conv", rng.integers(-4, 4, (channels, 2, 2, 3)), ir.Alphabet(-4, 1, 8), ir.Window((2, 2))
    )
    inner = conv.output(ir.Features(3, 3, 3, ir.UINT8)).alphabet
    steps = np.arange(1, a.levels)
    width = (inner.hi - inner.lo) / a.levels * rng.uniform(0.3, 0.9, (channels, 1))
    at = np.ceil(rng.normal(0, 100, (channels, 1)) + (steps - a.levels / 2) * width)
    t = at.astype(np.int64)
    if kind == "late":
        t += rng.random(t.shape) < 0.3
    elif kind == "free":
        t = np.sort(rng.integers(inner.lo, inner.hi, t.shape), axis=1)
    elif kind == "ties":
        even = 16 * steps - 8 + rng.integers(-50, 50, (channels, 1))
        t = even + (steps % 2 == 1)
    t = np.maximum.accumulate(t, axis=1)
    return ir.IntegerNetwork(
        "net",
        (3, 3, 3),
        (
            conv,
            ir.Threshold("codes", t, a),
            ir.Flatten("flat"),
            ir.Conv("dense", rng.choice((-1, 1), (4, 1, 1, 4 * channels)), ir.BIPOLAR),
            ir.Scores("scores", np.zeros(4, np.int64)),
        ),
    )


def tail_of(net: ir.IntegerNetwork, board: str | None = None, folds: Sequence[Fold] = ()) -> object:
    device = None if board is None else fpga(board)
    chosen = folds or (Fold(1, 3), Fold(1, 6))
    return accelerator(net, chosen, in_lanes=3, device=device).stages[0].tails[0]


@pytest.mark.parametrize("kind", ["uniform", "ties", "late"])
@pytest.mark.parametrize("folds", [(Fold(1, 3), Fold(1, 6)), (Fold(6, 1), Fold(2, 6))])
def test_hardware_computes_codes_of_eight_bits(kind: str, folds: tuple[Fold, ...]) -> None:
    net = quantised(8, kind)
    tail = tail_of(net, folds=folds)
    assert isinstance(tail, AffineSpec) and tail.multiplier == "logic"
    assert (tail.late is not None, bool(tail.ties.any())) == (kind == "late", kind == "ties")
    check(Case(net, folds, 3, 1, samples(net, 3)))


@pytest.mark.rtl
@pytest.mark.parametrize("kind", ["uniform", "ties", "late"])
def test_verilog_computes_codes_of_eight_bits(kind: str) -> None:
    net = quantised(8, kind)
    check_verilog(Case(net, (Fold(2, 3), Fold(1, 6)), 3, 1, samples(net, 4)))
    made = compile_network(net, "ulx3s-85f", cycles=200)
    tail = made.spec.stages[0].tails[0]
    assert isinstance(tail, AffineSpec) and tail.multiplier == "dsp"
    made.simulate(samples(net, 20))


def test_which_tail_is_taken() -> None:
    for bits in (1, 2):
        assert isinstance(tail_of(quantised(bits)), ThresholdSpec)
    assert isinstance(tail_of(quantised(8, "free")), ThresholdSpec)
    assert isinstance(tail_of(quantised(8)), AffineSpec)
    # A search in three steps is cheaper than a multiplier of logic, but not than a DSP block.
    assert isinstance(tail_of(quantised(3)), ThresholdSpec)
    assert isinstance(tail_of(quantised(4, channels=40), "ulx3s-85f"), AffineSpec)


def test_the_chosen_tail_keeps_no_other() -> None:
    tail = tail_of(quantised(3))
    assert isinstance(tail, ThresholdSpec) and tail.affine is None


def test_products_take_dsp_blocks_as_long_as_there_are_some() -> None:
    assert free_dsps(None) == 0 == free_dsps(fpga("icebreaker"))
    assert free_dsps(fpga("ulx3s-85f")) == 156
    assert set(DSP_OPERANDS) <= {f.family.fabric for f in fpgas().values()}
    for widths, number in (
        ((18, 18), 1),
        ((19, 18), 2),
        ((18, 19), 2),
        ((36, 18), 2),
        ((37, 18), 3),
        ((19, 19), 4),
    ):
        assert dsp_blocks(widths, (18, 18)) == number
    assert dsp_blocks((17, 24), (24, 17)) == 1 and dsp_blocks((18, 24), (24, 17)) == 2


def test_dsp_blocks_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from xnorflow.plan import tail_choice

    net, folds = quantised(8), (Fold(6, 3), Fold(1, 6))
    device = fpga("ulx3s-85f")
    stages = accelerator(net, folds, in_lanes=3, device=device).stages
    arrays = sum(array_dsps(stage.array, device.family) for stage in stages)
    for free, multiplier in ((11, "logic"), (12, "dsp")):
        free += arrays
        monkeypatch.setattr(tail_choice, "free_dsps", lambda device, free=free: free)
        tail = tail_of(net, "ulx3s-85f", folds)
        assert isinstance(tail, AffineSpec) and tail.multiplier == multiplier


def test_resources_of_tails_are_counted() -> None:
    net = quantised(8, "late")
    made = compile_network(net, "ulx3s-85f", cycles=400)
    family = fpga("ulx3s-85f").family
    assert design_resources(made.shape, family).ram_blocks == blocks(made.spec, family)
    chained = compile_network(lower(graph("norm", classes=100)), "ulx3s-85f", cycles=2000)
    taken = design_resources(chained.shape, family)
    assert taken.ram_blocks == blocks(chained.spec, family)
    assert chained.shape.scores is not None and chained.shape.scores.luts > 100


def test_inspect_says_the_form() -> None:
    family = fpga("ulx3s-85f").family
    found = {end: inspected(lower(graph(end)), family)[0] for end in ("plain", "norm", "clipped")}
    assert found["plain"].luts < 60 < found["norm"].luts < 900
    assert found["norm"].bits > 24 and found["clipped"].form == "table of ranks"
    net = lower(graph("clipped"))
    part = reductions(net)[0]
    made = design(Case(net, (Fold(1, 1),), 1, 1, samples(net, 1)))
    tail = made.spec.stages[0].tails[0]
    assert isinstance(tail, TableSpec) and len(part.tails) == 1
