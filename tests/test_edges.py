"""Layers whose weights are sums of edges: golden model, cycle model and hardware agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.ir.verify import verify
from xnorflow.plan.arrays.edge_array import shared_channels
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow_boards.gateware.axi_core import axi_spec, wrapper_name, wrapper_verilog
from xnorflow_hw.spec import AcceleratorSpec, EdgeSpec
from xnorflow_hw.top.accelerator import Accelerator
from xnorflow_sim.bench.cocotb_bench import EDGE_BENCH, run_cocotb

from .bench import Bench, check
from .hw.verilog import lint
from .strategies import Case

SAME = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
BYTES = ir.Alphabet(0, 1, 16)


def drawn(
    rng: np.random.Generator, shape: tuple[int, ...], group: int, most: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return ternary weights times a factor for each group of input channels."""
    ternary = rng.integers(-1, 2, shape)
    groups = -(-shape[-1] // group)
    factors = rng.integers(0, most + 1, (*shape[:-1], groups)).repeat(group, axis=-1)
    return np.asarray(ternary * factors[..., : shape[-1]])


def conv(name: str, edges: np.ndarray, window: ir.Window, pad: int = 0, groups: int = 1) -> ir.Conv:
    weights = np.asarray(edges.sum(0))
    several = edges if len(edges) > 1 else None
    return ir.Conv(name, weights, weight_alphabet(weights), window, pad, groups, several)


def network(
    *,
    channels: int = 4,
    out: int = 4,
    groups: int = 1,
    codes: ir.Alphabet = BYTES,
    pad: int | None = 0,
    levels: int = 8,
    size: tuple[int, int] = (3, 4),
    edges: int = 3,
    last: int = 2,
    group: int = 2,
    most: int = 5,
    seed: int = 1,
) -> ir.IntegerNetwork:
    """Build a layer of several edges between an input table and a dense layer of several."""
    rng = np.random.default_rng(seed)
    window = ir.Window((3, 3)) if pad is None else SAME
    shape = (edges, out, 3, 3, channels // groups)
    layers: list[ir.Layer] = [
        ir.InputTable("samples", rng.integers(0, codes.levels, (channels, 256)), codes),
        conv("layer", drawn(rng, shape, group, most), window, pad or 0, groups),
    ]
    sums = ir.IntegerNetwork("net", (*size, channels), tuple(layers)).features[-1]
    low, high = sums.alphabet.lo, sums.alphabet.hi
    steps = np.sort(rng.integers(low // 3, high // 3 + 1, (out, levels - 1)), axis=1)
    whole = ir.Window((sums.height, sums.width))
    layers += [
        ir.Threshold("steps", steps, ir.Alphabet(0, 1, levels)),
        conv("end", drawn(rng, (last, 3, *whole.kernel, out), out, 3), whole),
        ir.Scores("scores", np.arange(3)),
    ]
    net = ir.IntegerNetwork("net", (*size, channels), tuple(layers))
    verify(net)
    return net


def cased(net: ir.IntegerNetwork, fold: Fold, end: Fold, frames: int = 4) -> Case:
    rng = np.random.default_rng(8)
    x = rng.integers(0, 256, (frames, *net.shape)).astype(np.uint8)
    return Case(net, (fold, end), 1, 1, x)


NETWORKS = {
    "a factor for two channels": (network(), Fold(2, 4)),
    "lanes that no factor divides": (network(group=2), Fold(3, 3)),
    "signed codes": (network(codes=ir.Alphabet(-8, 1, 16)), Fold(4, 3)),
    "several pixels": (network(), Fold(2, 2, 3)),
    "two edges, then three": (network(edges=2, last=3), Fold(2, 4)),
    "groups, several at once": (network(channels=6, out=6, groups=3), Fold(4, 4)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_beat_is_that_of_the_models(name: str) -> None:
    net, fold = NETWORKS[name]
    most = net.edge_count
    check(cased(net, fold, Fold(2, 2)), edges=[most, 1, 2, min(3, most)])


def test_layers_with_edges_on_both_sides_of_a_branch() -> None:
    """A shortcut around one of them: each stage has its own frame's setting."""
    rng = np.random.default_rng(9)
    codes = ir.Alphabet(0, 1, 4)
    steps = np.array([[-3, 0, 4]] * 3)
    whole = ir.Window((3, 3))
    net = ir.IntegerNetwork(
        "net",
        (3, 3, 3),
        (
            ir.InputTable("samples", np.arange(256)[None] >> 6, codes),
            conv("first", drawn(rng, (2, 3, 3, 3, 3), 3, 2), SAME),
            ir.Threshold("codes0", steps, codes),
            conv("second", drawn(rng, (3, 3, 3, 3, 3), 3, 2), SAME),
            ir.Threshold("codes1", steps, codes),
            ir.Add("add", np.array([[1], [2]]), inputs=("codes1", "codes0")),
            conv("end", drawn(rng, (2, 2, 3, 3, 3), 3, 2), whole),
            ir.Scores("scores", np.arange(2)),
        ),
    )
    verify(net)
    x = rng.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8)
    case = Case(net, (Fold(3, 3), Fold(3, 3), Fold(1, 1), Fold(1, 3)), 3, 1, x)
    check(case, edges=[1, 3, 2, 1])


@pytest.mark.rtl
def test_edges_are_switched_between_frames_in_verilator(tmp_path: Path) -> None:
    """Every frame of the Verilog has its own number of edges, with and without stalls."""
    net = network(channels=4, out=6, levels=16, edges=3, last=2)
    made = compile_network(net, "ulx3s-85f", cycles=300)
    assert made.summary()["edges"] == 3 and made.spec.edges == 3
    rng = np.random.default_rng(4)
    x = rng.integers(0, 256, (24, *net.shape)).astype(np.uint8)
    edges = rng.integers(1, 4, len(x))
    assert (net(x, edges=1) != net(x)).any() and (net(x, edges=2) != net(x)).any()
    # Compares every score with the golden model.
    run = made.simulate(x, edges=edges)
    assert (run.ii, run.latency) == (made.ii, made.latency)
    for stalls in ((0.5, 0.5), (0.0, 0.95), (0.8, 0.0)):
        made.simulate(x, edges=edges, stalls=stalls, seed=7)
    assert made.simulate(x).scores.tolist() == net(x).tolist()
    lint(made.verilog, tmp_path, top="net")
    with pytest.raises(BadInput, match="1 to 3 would work"):
        made.simulate(x, edges=4)


@pytest.mark.rtl
def test_the_register_switches_edges_between_frames() -> None:
    """The AXI register counts with a frame's first beat; no frame is lost or mixed."""
    pytest.importorskip("cocotbext.axi")
    net = network(channels=2, out=3, edges=3, last=2, size=(3, 3))
    design = xf.compile(net, cycles=100)
    edges = [3, 1, 2, 3, 1, 1, 2]
    x = np.random.default_rng(5).integers(0, 256, (len(edges), *net.shape)).astype(np.uint8)
    scores = net(x, edges=np.array(edges))
    assert (scores != net(x)).any()
    results = run_cocotb(
        f"{wrapper_verilog(design)}\n{design.verilog}",
        replace(design.interface, top=wrapper_name(design)),
        x,
        scores,
        images=design.emitted.images,
        bench=EDGE_BENCH,
        constants=axi_spec(design).constants,
        edges=edges,
    )
    assert [r.name for r in results] == ["switched_between_frames", "reset_keeps_the_number"]


@pytest.mark.rtl
@pytest.mark.parametrize("codes", [BYTES, ir.Alphabet(-5, 2, 6)])
def test_a_factor_for_each_group_is_multiplied_once_on_boards(codes: ir.Alphabet) -> None:
    """Ternary groups are no edges, but have the array where it takes fewer LUTs."""
    net = network(channels=8, out=8, edges=1, last=1, group=8, codes=codes, levels=16)
    made = compile_network(net, "icebreaker", cycles=1000)
    array = made.spec.stages[0].array
    assert isinstance(array, EdgeSpec) and array.edges == 1 and made.spec.edges == 1
    x = np.random.default_rng(4).integers(0, 256, (6, *net.shape)).astype(np.uint8)
    run = made.simulate(x)  # Compares every score with the golden model.
    assert (run.ii, run.latency) == (made.ii, made.latency)
    made.simulate(x, stalls=(0.5, 0.5))


def test_channels_that_share_a_factor_are_found() -> None:
    rng = np.random.default_rng(6)
    for group in (1, 2, 3, 4, 6, 12):
        edges = drawn(rng, (2, 5, 3, 3, 12), group, 90)
        # Ternary weights of 0 may let neighbours share by chance, but never fewer channels.
        assert shared_channels(conv("c", edges, SAME)) % group == 0
    assert shared_channels(conv("c", drawn(rng, (2, 5, 3, 3, 12), 12, 90), SAME)) == 12


@pytest.mark.parametrize(
    ("codes", "pad", "reason"),
    [
        (ir.BIPOLAR, None, "cannot be 0"),
        (ir.Alphabet(-5, 2, 6), None, "cannot be 0"),
        (BYTES, 1, "padded with 1"),
    ],
)
def test_what_no_disabled_edge_can_see_is_refused(
    codes: ir.Alphabet, pad: int | None, reason: str
) -> None:
    net = network(codes=codes, pad=pad)
    with pytest.raises(UnsupportedModel, match=f"layer.*{reason}") as error:
        accelerator(net, (Fold(2, 2), Fold(1, 1)), in_lanes=1)
    assert "without edges" in str(error.value)


def test_sums_of_all_numbers_of_edges_are_within_the_bounds() -> None:
    """One edge may take back what another adds, so fewer edges can make larger sums."""
    edges = np.array([7, -5]).reshape(2, 1, 1, 1, 1)
    low, high = conv("c", edges, ir.Window()).bounds(BYTES)
    assert (low.tolist(), high.tolist()) == ([0], [105])


def test_only_layers_with_edges_have_the_array_and_the_port() -> None:
    spec = accelerator(network(edges=1), (Fold(2, 2), Fold(1, 1)), in_lanes=1)
    assert [isinstance(s.array, EdgeSpec) for s in spec.stages] == [False, True]
    spec = accelerator(network(edges=1, last=1), (Fold(2, 2), Fold(1, 1)), in_lanes=1)
    assert spec.edges == 1
    assert "edges" not in {port.name for port in Accelerator(spec).ports}


def test_no_frame_waits_for_room_for_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many frames enter a jammed accelerator as with settings queues of any depth."""
    rng = np.random.default_rng(3)
    codes = ir.Alphabet(0, 1, 4)
    layers: list[ir.Layer] = [ir.InputTable("samples", np.arange(256)[None] >> 6, codes)]
    for k in range(3):
        layers += [
            conv(f"dense{k}", drawn(rng, (2, 3, 1, 1, 3), 3, 2), ir.Window()),
            ir.Threshold(f"steps{k}", np.array([[-2, 0, 3]] * 3), codes),
        ]
    layers += [
        conv("end", drawn(rng, (2, 2, 1, 1, 3), 3, 2), ir.Window()),
        ir.Scores("scores", np.arange(2)),
    ]
    net = ir.IntegerNetwork("net", (1, 1, 3), tuple(layers))
    spec = accelerator(net, [Fold(3, 3)] * 3 + [Fold(1, 1)], in_lanes=3)
    x = rng.integers(0, 256, (90, 1, 1, 3)).astype(np.uint8)
    counts = rng.integers(1, 3, len(x)).tolist()
    found = []
    for endless in (False, True):
        if endless:
            monkeypatch.setattr(AcceleratorSpec, "frames_before", lambda self, k: 200)

        def script(bench: Bench) -> None:
            seen = bench.send(x, stalls=(0, 0.95), cycles=250, edges=counts)
            found.append((seen.accepted, seen.sent))

        Bench(spec, script)
    assert found[0] == found[1]
    assert len(found[0][0]) > 5 and len(found[0][0]) < 90
