"""The synthesised accelerator, made of the family's cells, against the golden model."""

import re
from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.compiler import DEFAULT_CLOCK
from xnorflow.design.design import Design
from xnorflow.errors import CheckFailed, ToolMissing
from xnorflow.plan.reductions import Fold
from xnorflow_boards.catalogue import board
from xnorflow_boards.flows import tools
from xnorflow_boards.simulated import gates

pytest.importorskip("amaranth_boards")


@pytest.fixture(scope="module", autouse=True)
def synthesiser():
    try:
        tools.yosys()
    except ToolMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def small():
    """Return a design with a convolution, thresholds, pooling and two fully connected layers."""
    rng = np.random.default_rng(1)

    def weights(*shape):
        return rng.choice([-1, 1], shape)

    net = ir.IntegerNetwork(
        "small",
        (5, 5, 1),
        (
            ir.Conv("conv", weights(4, 2, 2, 1), ir.BIPOLAR, ir.Window((2, 2))),
            ir.Threshold("steps", rng.integers(-150, 150, (4, 1)), ir.BIPOLAR),
            ir.MaxPool("pool", ir.Window((2, 2), (2, 2)), np.zeros(4, bool)),
            ir.Flatten("flat"),
            ir.Conv("hidden", weights(24, 1, 1, 16), ir.BIPOLAR),
            ir.Threshold("signs", rng.integers(-3, 3, (24, 1)), ir.BIPOLAR),
            ir.Conv("dense", weights(5, 1, 1, 24), ir.BIPOLAR),
            ir.Scores("scores", np.arange(5)),
        ),
    )
    folds = (Fold(2, 1), Fold(2, 2), Fold(3, 2), Fold(1, 3))
    return Design.assemble(net, folds, in_lanes=1, out_lanes=1, board=None, clock=DEFAULT_CLOCK)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(2).integers(0, 256, (40, 5, 5, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def netlists(small):
    """Return netlists by board; each is made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = gates.netlist(small, board(name))
        return made[name]

    return get


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("icebreaker", {"SB_LUT4", "SB_CARRY", "SB_DFFESR", "SB_RAM40_4K"}),
        ("ulx3s-25f", {"LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4"}),
        ("tangnano9k", {"LUT4", "ALU", "DFFRE", "RAM16SDP4"}),
        ("pynq-z1", {"LUT6", "CARRY4", "FDRE", "RAM32M"}),
    ],
)
def test_a_netlist_is_the_golden_model_and_keeps_its_times(small, x, netlists, name, expected):
    made = netlists(name)
    assert expected <= made.cells.keys()
    scores = small.net(x)
    assert len(np.unique(scores, axis=0)) > 20
    run = gates.simulate(small, made, x)
    np.testing.assert_array_equal(run.scores, scores)
    assert (run.ii, run.latency) == (small.ii, small.latency)
    first = small.timing.last_out
    assert run.last_out[: len(first)].tolist() == list(first)
    for stalls in ((0.4, 0.4), (0.0, 0.8), (0.8, 0.0)):
        gates.simulate(small, made, x, stalls=stalls, seed=3)


@pytest.mark.slow
def test_a_single_wrong_lut_is_found(small, x, netlists):
    """Invert the content of the LUT in the middle of the netlist."""
    made = netlists("ulx3s-25f")
    luts = list(re.finditer(r"\bLUT4 #\(\s*\.INIT\(16'h([0-9a-f]{4})\)", made.verilog))
    assert len(luts) == made.cells["LUT4"]
    start, stop = luts[len(luts) // 2].span(1)
    wrong = f"{int(made.verilog[start:stop], 16) ^ 0xFFFF:04x}"
    broken = made.verilog[:start] + wrong + made.verilog[stop:]
    with pytest.raises(CheckFailed):
        gates.simulate(small, replace(made, verilog=broken), x)


def test_black_boxes_are_told_from_models():
    for folder, box, model in (
        ("ecp5", "DP16KD", "TRELLIS_FF"),
        ("gowin", "SP", "MUX2_LUT8"),
        ("xilinx", "RAMB18E1", "LUT6"),
        ("ice40", "SB_WARMBOOT", "SB_RAM40_4K"),
    ):
        assert gates._lacking([box, model, "NONE"], gates._shipped(folder)) == sorted([box, "NONE"])
