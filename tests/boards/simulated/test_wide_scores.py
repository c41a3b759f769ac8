"""Scores of more than 32 bits on every way to a host: streams, AXI and the serial link."""

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow_boards.gateware.axi_core import axi_spec, wrapper_name, wrapper_verilog
from xnorflow_boards.host.driver import Driver
from xnorflow_boards.host.transport import SerialTransport
from xnorflow_boards.simulated.design_board import simulated
from xnorflow_sim.bench.cocotb_bench import AXI_BENCH, run_cocotb

pytestmark = pytest.mark.rtl


@pytest.fixture(scope="module", params=[36, 58], ids=["40 bits", "64 bits"])
def design(request):
    """A network whose scores need so many bits."""
    rng = np.random.default_rng(request.param)
    classes, zeros = 5, np.zeros(5, np.int64)
    largest = 1 << (request.param - 10)
    first = ir.ScoreStep(rng.integers(-(1 << 23), 1 << 23, classes), zeros, 0)
    scale = np.full(classes, max(1, largest >> 23))
    steps = (first, ir.ScoreStep(scale, rng.integers(-9, 9, classes) * scale, 0))
    net = ir.IntegerNetwork(
        "wide",
        (1, 1, 12),
        (
            ir.InputTable("input", (np.arange(256) // 128)[None], ir.BIPOLAR),
            ir.Conv("dense", rng.integers(-30, 31, (classes, 1, 1, 12)), ir.Alphabet(-32, 1, 64)),
            ir.Scores("scores", zeros, steps=steps),
        ),
    )
    made = compile_network(net, cycles=20)
    assert made.interface.out_bits == (40 if request.param == 36 else 64)
    return made


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).integers(0, 256, (12, 1, 1, 12)).astype(np.uint8)


def frames(design, x):
    return x.reshape(len(x), -1)


def test_cocotb(design, x):
    run_cocotb(
        design.verilog,
        design.interface,
        frames(design, x),
        design.net(x),
        images=design.emitted.images,
        seed=3,
    )


def test_axi(design, x):
    pytest.importorskip("cocotbext.axi")
    from dataclasses import replace

    spec = axi_spec(design)
    run_cocotb(
        f"{wrapper_verilog(design)}\n{design.verilog}",
        replace(design.interface, top=wrapper_name(design)),
        frames(design, x[:4]),
        design.net(x[:4]),
        images=design.emitted.images,
        seed=3,
        bench=AXI_BENCH,
        constants=spec.constants,
        idle_limit=20_000,
    )


def test_serial_link(design, x):
    pytest.importorskip("serial")
    face = design.interface
    with simulated(design, seed=0) as board:
        transport = SerialTransport(board.port, 1_000_000)
        driver = Driver(transport, timeout=5)
        try:
            known = driver.expect(design.digest, face.frame, face.out_beats * face.out_bytes)
            answers = driver.run(face.pack(frames(design, x)).reshape(len(x), -1), known)
        finally:
            transport.close()
    scores = face.unpack(answers.results.reshape(len(x), face.out_beats, face.out_bytes))
    assert answers.answered.all() and np.array_equal(scores, design.net(x))
    assert np.abs(scores).max() >= 1 << (face.out_bits - 16)


def test_simulation_returns_them_as_int64(design, x):
    run = design.simulate(x)
    assert run.scores.dtype == np.int64 and np.array_equal(run.scores, design.net(x))
    design.simulate(x, stalls=(0.3, 0.6), seed=4)
