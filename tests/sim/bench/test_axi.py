"""The AXI wrapper in Verilator, driven by cocotbext-axi, around a real network and with faults."""

from __future__ import annotations

from dataclasses import replace

import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow.errors import CheckFailed
from xnorflow_boards.gateware.axi_core import axi_spec, wrapper_name, wrapper_verilog
from xnorflow_hw.axi.wrapper import AxiAccelerator, AxiSpec, emit_axi
from xnorflow_sim.bench.cocotb_bench import AXI_BENCH, run_cocotb

from ..small import INTERFACE, small

pytestmark = pytest.mark.rtl
pytest.importorskip("cocotbext.axi")

TESTS = [
    "identity", "full_speed", "paused_on_every_channel", "counters_of_a_whole_run",
    "reset_through_the_register", "reset_of_everything", "bad_addresses", "wrong_tlast",
]  # fmt: skip
SMALL = AxiSpec(
    module="accelerator",
    in_bytes=3,
    frame_beats=4,
    frame_samples=10,
    out_lanes=2,
    score_bits=24,
    result_beats=3,
    classes=5,
    digest=bytes(range(100, 132)),
    interval=4,
    latency=6,
)
TOP = "wrapped"
WRAPPER = emit_axi(AxiAccelerator(SMALL), name=TOP)


def run_small(wrapper: str = WRAPPER, *, fault: int = 0, tests: tuple[str, ...] = ()) -> list[str]:
    design = small(6, fault=fault)
    results = run_cocotb(
        f"{wrapper}\n{design.verilog}", replace(INTERFACE, top=TOP), design.x, design.scores,
        images=design.images, seed=5, bench=AXI_BENCH, constants=SMALL.constants, tests=tests,
        idle_limit=2000,
    )  # fmt: skip
    return [result.name for result in results]


def test_a_small_accelerator_passes_every_test() -> None:
    assert run_small() == TESTS


@pytest.mark.slow
def test_the_demo_network_passes_every_test() -> None:
    design = xf.compile(xf.load(demo.model_path()))
    x = demo.data()["x_test"][:3]
    results = run_cocotb(
        f"{wrapper_verilog(design)}\n{design.verilog}",
        replace(design.interface, top=wrapper_name(design)), x, design.net(x),
        images=design.emitted.images, bench=AXI_BENCH, constants=axi_spec(design).constants,
    )  # fmt: skip
    assert [result.name for result in results] == TESTS


OTHER = emit_axi(
    AxiAccelerator(replace(SMALL, digest=bytes(32), frame_beats=5, result_beats=2)), name=TOP
)


@pytest.mark.parametrize(
    ("wrapper", "fault", "test", "reason"),
    [
        (OTHER, 0, "identity", "word 0x8 reads 0x5, response 0; expected 0x4"),
        (OTHER, 0, "wrong_tlast", "word 0x1[0-9a-f]+ reads"),
        (OTHER, 0, "reset_through_the_register", "m_axis_tlast is 1"),
        (WRAPPER, 3, "full_speed", "m_axis_tlast is"),
        (WRAPPER, 5, "paused_on_every_channel", "the streams are stuck for 2001 cycles"),
        # A register that the accelerator's reset leaves out.
        (WRAPPER, 8, "reset_through_the_register", "m_axis_tlast is|result 0 is"),
    ],
)
def test_what_is_wrong_is_found(wrapper: str, fault: int, test: str, reason: str) -> None:
    with pytest.raises(CheckFailed, match=f"{test} fails: .*({reason})"):
        run_small(wrapper, fault=fault, tests=(test,))
