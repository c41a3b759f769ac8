"""Sums of whole codes: the adders of every fabric equal a loop, by proof and in simulators."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.fabric import xnor_sum
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec.kinds import FABRICS
from xnorflow_hw.spec.latency import xnor_sum_latency

from ..harness import Drive, Watch, pack, run
from ..prove import PLACED, equal
from ..verilog import lint

SIZES = [(1, 4), (2, 1), (2, 3), (3, 2), (3, 8), (4, 2), (5, 3), (6, 1), (7, 2), (9, 2), (11, 1)]


def reference(simd, bits):
    """Write the sum as a loop, delayed by as many cycles."""
    latency, width = xnor_sum_latency(simd), xnor_sum.width_for(simd, bits)
    line = [f"reg [{width - 1}:0] n{k};" for k in range(latency + 1)]
    line += [f"always @(posedge clk) n{k + 1} <= n{k};" for k in range(latency)]
    return f"""
module reference({"input clk, " if latency else ""}input [{simd * bits - 1}:0] x,
    input [{simd - 1}:0] flip, output [{width - 1}:0] n);
  {" ".join(line)}
  integer i, a;
  always @* begin
    n0 = 0;
    for (i = 0; i < {simd}; i = i + 1)
      for (a = 0; a < {bits}; a = a + 1)
        n0 = n0 + ((x[i * {bits} + a] ^ flip[i]) << a);
  end
  assign n = n{latency};
endmodule
"""


@pytest.mark.parametrize(("simd", "bits"), SIZES)
@pytest.mark.parametrize("fabric", ["generic", *PLACED])
def test_module_is_proved(fabric, simd, bits, tmp_path):
    text = xnor_sum.verilog_module(simd, bits, fabric=fabric)
    name = xnor_sum.module_name(simd, bits, fabric=fabric)
    settle = xnor_sum_latency(simd)
    assert equal(reference(simd, bits), text, name, fabric, tmp_path, settle)


def test_proof_finds_a_wrong_truth_table(tmp_path):
    text = xnor_sum.verilog_module(3, 2, fabric="ecp5")
    wrong = text.replace("16'h6996", "16'h6997", 1)
    assert wrong != text
    name = xnor_sum.module_name(3, 2, fabric="ecp5")
    assert not equal(reference(3, 2), wrong, name, "ecp5", tmp_path, 1)


@pytest.mark.rtl
@pytest.mark.parametrize("fabric", FABRICS)
def test_modules_are_lint_clean(fabric, tmp_path):
    for simd, bits in SIZES:
        name = xnor_sum.module_name(simd, bits, fabric=fabric)
        text = PROLOGUE + xnor_sum.verilog_module(simd, bits, fabric=fabric)
        lint(text, tmp_path, top=name)


class Plain(wiring.Component):
    """The same sum in Amaranth."""

    def __init__(self, simd, bits):
        self.size = {"simd": simd, "bits": bits}
        width = xnor_sum.width_for(simd, bits)
        super().__init__({"x": In(simd * bits), "flip": In(simd), "n": Out(width)})

    def elaborate(self, platform):
        m = Module()
        xnor_sum.plain(m, **self.size, x=self.x, flip=self.flip, n=self.n)
        return m


@pytest.mark.parametrize(("simd", "bits"), SIZES)
def test_plain_amaranth(simd, bits):
    rng = np.random.default_rng(simd)
    codes, flips = rng.integers(0, 1 << bits, (50, simd)), rng.integers(0, 2, (50, simd))
    expected = (codes ^ flips * ((1 << bits) - 1)).sum(1).tolist()
    dut, latency = Plain(simd, bits), xnor_sum_latency(simd)
    watch = Watch(dut, ["n"], valid=None)
    run(
        dut,
        Drive(dut.x, lambda now: pack(codes[now % 50], bits)),
        Drive(dut.flip, lambda now: pack(flips[now % 50], 1)),
        watch,
        drain=49,
    )
    seen = [out["n"] for _, out in watch.events]
    assert seen[latency:] == expected[: 50 - latency]


def test_unknown_fabric():
    with pytest.raises(ValueError, match="'virtex'"):
        xnor_sum.verilog_module(3, 8, fabric="virtex")
