"""Placed popcounts equal a plain count, in Yosys's models of the cells."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from xnorflow_hw.fabric.carry_chains import Tree
from xnorflow_hw.fabric.popcount import forms, module_name, verilog, verilog_module
from xnorflow_hw.fabric.recode import recoded, recoded_value, triples
from xnorflow_hw.spec.kinds import FABRICS
from xnorflow_hw.spec.latency import popcount_latency

from ..harness import pack
from ..prove import equal, simulated
from ..verilog import lint, simulate
from .test_popcount import DRIVE, REFERENCE, bench, lanes_of

PLACED = [(f, form) for f in FABRICS for form in ("dense", "recoded") if form in forms(f)]
PROVED = [*range(1, 11), 12, 15]
SIMULATED = [*range(1, 18), 24, 27, 32, 33, 48, 63, 64, 96, 127, 128, 144, 256]


def kind(fabric, form="dense"):
    return {"form": form, "fabric": fabric}


def wrapped(simd, fabric, form):
    """Write a module `gate` that connects plain lanes to the popcount."""
    name = module_name(simd, 0, **kind(fabric, form))
    return f"""
module gate(input [{simd - 1}:0] x, w, output [{simd.bit_length() - 1}:0] n);
  {name} inner(.x({lanes_of("x", simd, form)}), .w({lanes_of("w", simd, form)}), .n(n));
endmodule
{verilog_module(simd, 0, **kind(fabric, form))}"""


@pytest.mark.parametrize("simd", PROVED)
@pytest.mark.parametrize(("fabric", "form"), PLACED)
def test_placed_is_proved_equal_to_a_sum(fabric, form, simd, tmp_path):
    """A miter of both has no counterexample among all 4^simd inputs."""
    gold = REFERENCE.format(high=simd - 1, top=simd.bit_length() - 1)
    assert equal(gold, wrapped(simd, fabric, form), "gate", fabric, tmp_path)


@pytest.mark.parametrize(
    ("fabric", "form", "right", "wrong"),
    [
        ("ecp5", "dense", "16'h6996", "16'h6997"),
        ("gowin", "dense", "ALU_MODE(2)", "ALU_MODE(1)"),
        ("ice40", "dense", "16'hc33c", "16'hc33d"),
        ("ice40", "recoded", "16'hc33c", "16'hc33d"),
        ("xilinx7", "dense", "CYINIT(1'b0)", "CYINIT(1'b1)"),
    ],
)
def test_proof_finds_a_wrong_cell(fabric, form, right, wrong, tmp_path):
    gate = wrapped(7, fabric, form)
    assert right in gate
    gold = REFERENCE.format(high=6, top=2)
    assert not equal(gold, gate.replace(right, wrong, 1), "gate", fabric, tmp_path)


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize(("fabric", "form"), PLACED)
def test_primitives_count(fabric, form, tmp_path):
    """All lanes equal, all different, each lane alone, then random, with every latency."""
    sizes = {(simd, popcount_latency(simd, **kind(fabric, form))) for simd in SIMULATED}
    sizes |= {(simd, latency) for simd in (1, 2, 3, 8, 31) for latency in range(7)}
    text = bench(sorted(sizes), **kind(fabric, form))
    options = ["-DXNORFLOW_STRUCTURAL", "-DXNORFLOW_PRIMITIVES", *simulated(fabric)]
    out = simulate(text, DRIVE.replace("WORDS", "8"), tmp_path, *options)
    assert out == ["5960 0"]


@pytest.mark.rtl
@pytest.mark.parametrize("options", [(), ("-DXNORFLOW_STRUCTURAL",)], ids=["countones", "loop"])
@pytest.mark.parametrize("form", ["dense", "recoded"])
def test_bodies_for_simulators_count(form, options, tmp_path):
    sizes = [(simd, latency) for simd in (1, 2, 3, 8, 64, 65, 256) for latency in (0, 1, 3)]
    text = bench(sizes, **kind("ice40", form))
    out = simulate(text, DRIVE.replace("WORDS", "8"), tmp_path, *options)
    assert out == ["5960 0"]


@pytest.mark.rtl
@pytest.mark.parametrize("options", [(), ("-DXNORFLOW_STRUCTURAL",)])
@pytest.mark.parametrize(("fabric", "form"), PLACED)
def test_placed_is_lint_clean(fabric, form, options, tmp_path):
    for simd, latency in [(1, 0), (1, 1), (2, 0), (3, 1), (8, 2), (65, 3)]:
        name = module_name(simd, latency, **kind(fabric, form))
        lint(verilog([(simd, latency)], **kind(fabric, form)), tmp_path, *options, top=name)


class Leaves(Tree):
    """Records the first lane of each leaf of three."""

    nothing = None

    def leaf(self, lanes, level):
        self.found = [*getattr(self, "found", []), *([self.lane] if lanes == 3 else [])]
        self.lane += lanes
        return self.end(["1'b0", "1'b0"], level)

    def node(self, a, b, level, full):
        self.lane += 1
        return self.end(["1'b0"] * (level + 1), level)

    def write(self, positions):
        raise AssertionError("there are no sums")


@pytest.mark.parametrize("simd", [*range(4, 70), 127, 128, 255, 300])
def test_threes_are_the_leaves_of_the_tree(simd):
    tree = Leaves(simd, 0, limit=8)
    tree.count(simd)
    assert tree.found == triples(simd)


@pytest.mark.parametrize("simd", [1, 2, 3, 6, 7, 31, 64])
def test_values_are_recoded_like_arrays(simd):
    """Recoding also loses nothing: words that differ stay different."""
    rng = np.random.default_rng(simd)
    words = rng.integers(0, 2, (20, simd + 2))
    out = recoded(words, simd)
    m, x, y = Module(), Signal(simd + 2), Signal(simd + 2)
    m.d.comb += y.eq(recoded_value(x, simd))

    async def compare(ctx):
        for bits, new in zip(words, out, strict=True):
            ctx.set(x, pack(bits, 1))
            assert ctx.get(y) == pack(new, 1)

    sim = Simulator(m)
    sim.add_testbench(compare)
    sim.run()
    assert (out[:, simd:] == words[:, simd:]).all()
    assert len(np.unique(out, axis=0)) == len(np.unique(words, axis=0))


def test_a_fabric_without_the_form_is_refused():
    with pytest.raises(ValueError, match="known for the fabric 'generic' are tree"):
        verilog_module(8, 1, form="dense")
    with pytest.raises(ValueError, match="known for the fabric 'ecp5' are tree, dense"):
        verilog_module(8, 1, form="recoded", fabric="ecp5")
    with pytest.raises(ValueError, match="known are generic"):
        verilog_module(8, 1, fabric="stratix")
