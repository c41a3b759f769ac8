"""Dense popcounts: placed primitives against a plain count, in Yosys's models of the cells."""

import pytest

from xnorflow_hw.popcount import forms, latency_for, module_name, verilog, verilog_module
from xnorflow_hw.primitives import FABRICS

from .prove import equal, simulated
from .test_popcount import DRIVE, REFERENCE, bench
from .verilog import lint, simulate

DENSE = [fabric for fabric in FABRICS if "dense" in forms(fabric)]
PROVED = [*range(1, 11), 12, 15]
SIMULATED = [*range(1, 18), 24, 27, 32, 33, 48, 63, 64, 96, 127, 128, 144, 256]


def form(fabric):
    return {"form": "dense", "fabric": fabric}


@pytest.mark.parametrize("simd", PROVED)
@pytest.mark.parametrize("fabric", DENSE)
def test_dense_is_proved_equal_to_a_sum(fabric, simd, tmp_path):
    """For all 4^simd inputs: a miter of both has no counterexample."""
    gold = REFERENCE.format(high=simd - 1, top=simd.bit_length() - 1)
    gate = verilog_module(simd, 0, **form(fabric))
    assert equal(gold, gate, module_name(simd, 0, **form(fabric)), fabric, tmp_path)


@pytest.mark.parametrize(("fabric", "right", "wrong"), [
    ("ecp5", "16'h6996", "16'h6997"), ("gowin", "ALU_MODE(2)", "ALU_MODE(1)"),
    ("ice40", "16'hc33c", "16'hc33d"), ("xilinx7", "CYINIT(1'b0)", "CYINIT(1'b1)"),
])
def test_proof_finds_a_wrong_cell(fabric, right, wrong, tmp_path):
    gate = verilog_module(7, 0, **form(fabric))
    assert right in gate
    gold = REFERENCE.format(high=6, top=2)
    name = module_name(7, 0, **form(fabric))
    assert not equal(gold, gate.replace(right, wrong, 1), name, fabric, tmp_path)


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize("fabric", DENSE)
def test_primitives_count(fabric, tmp_path):
    """All lanes equal, all different, each lane alone, then random: with every latency."""
    sizes = {(simd, latency_for(simd, **form(fabric))) for simd in SIMULATED}
    sizes |= {(simd, latency) for simd in (1, 2, 3, 8, 31) for latency in range(7)}
    text = bench(sorted(sizes), **form(fabric))
    options = ["-DXNORFLOW_STRUCTURAL", "-DXNORFLOW_PRIMITIVES", *simulated(fabric)]
    out = simulate(text, DRIVE.replace("WORDS", "8"), tmp_path, *options)
    assert out == ["5960 0"]


@pytest.mark.rtl
@pytest.mark.parametrize("options", [(), ("-DXNORFLOW_STRUCTURAL",)], ids=["countones", "loop"])
def test_bodies_for_simulators_count(options, tmp_path):
    sizes = [(simd, latency) for simd in (1, 2, 3, 8, 64, 65, 256) for latency in (0, 1, 3)]
    text = bench(sizes, **form(DENSE[0]))
    out = simulate(text, DRIVE.replace("WORDS", "8"), tmp_path, *options)
    assert out == ["5960 0"]


@pytest.mark.rtl
@pytest.mark.parametrize("options", [(), ("-DXNORFLOW_STRUCTURAL",)])
@pytest.mark.parametrize("fabric", DENSE)
def test_dense_is_lint_clean(fabric, options, tmp_path):
    for simd, latency in [(1, 0), (1, 1), (2, 0), (3, 1), (8, 2), (65, 3)]:
        name = module_name(simd, latency, **form(fabric))
        lint(verilog([(simd, latency)], **form(fabric)), tmp_path, *options, top=name)


def test_a_fabric_without_the_form_is_refused():
    with pytest.raises(ValueError, match="known for the fabric 'generic' are tree"):
        verilog_module(8, 1, form="dense")
    with pytest.raises(ValueError, match="known are generic"):
        verilog_module(8, 1, fabric="stratix")
