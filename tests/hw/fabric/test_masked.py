"""Masked popcounts and sums equal a loop, by proof, in Amaranth's simulator and in Verilator."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.fabric import xnor_sum
from xnorflow_hw.fabric.popcount import XnorPopcount, forms, module_name, verilog_module
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec.kinds import FABRICS
from xnorflow_hw.spec.latency import popcount_latency, xnor_sum_latency

from ..harness import Drive, Watch, pack, run
from ..prove import PLACED, equal
from ..verilog import lint

KINDS = [("tree", "generic"), *(("dense", f) for f in FABRICS if "dense" in forms(f))]
SIZES = [(1, 4), (2, 1), (2, 3), (3, 2), (4, 2), (5, 3), (7, 2), (9, 2)]


def counted(simd, latency):
    """Write the count as a loop, delayed by as many cycles."""
    width = simd.bit_length()
    line = [f"reg [{width - 1}:0] n{k};" for k in range(latency + 1)]
    line += [f"always @(posedge clk) n{k + 1} <= n{k};" for k in range(latency)]
    return f"""
module reference({"input clk, " if latency else ""}input [{simd - 1}:0] x, w, m,
    output [{width - 1}:0] n);
  {" ".join(line)}
  integer i;
  always @* begin
    n0 = 0;
    for (i = 0; i < {simd}; i = i + 1) n0 = n0 + ((x[i] == w[i]) & m[i]);
  end
  assign n = n{latency};
endmodule
"""


@pytest.mark.parametrize("simd", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15])
@pytest.mark.parametrize(("form", "fabric"), KINDS)
def test_popcount_is_proved_equal_to_a_loop(form, fabric, simd, tmp_path):
    kind = {"form": form, "fabric": fabric, "masked": True}
    for latency in {0, popcount_latency(simd, form=form, fabric=fabric)}:
        text, name = (make(simd, latency, **kind) for make in (verilog_module, module_name))
        settle = latency or None
        assert equal(counted(simd, latency), text, name, fabric, tmp_path, settle)


@pytest.mark.parametrize(
    ("fabric", "right", "wrong"),
    [
        ("ecp5", "16'h6a9a", "16'h6a9b"),
        ("gowin", "& m[3]", "| m[3]"),
        ("ice40", "& m[3]", "& m[2]"),
        ("xilinx7", "CYINIT(1'b0)", "CYINIT(1'b1)"),
    ],
)
def test_proof_finds_a_wrong_mask(fabric, right, wrong, tmp_path):
    kind = {"form": "dense", "fabric": fabric, "masked": True}
    gate = verilog_module(7, 0, **kind)
    assert right in gate
    changed = gate.replace(right, wrong)
    assert not equal(counted(7, 0), changed, module_name(7, 0, **kind), fabric, tmp_path)


def test_lanes_are_not_recoded():
    with pytest.raises(ValueError, match="'recoded'; known for the fabric 'ice40' are tree, dense"):
        verilog_module(8, 2, form="recoded", fabric="ice40", masked=True)


@pytest.mark.parametrize("simd", [1, 2, 3, 7, 8, 33])
def test_amaranth_counts(simd):
    dut = XnorPopcount(simd=simd, masked=True)
    rng = np.random.default_rng(simd)
    bits = rng.integers(0, 2, (3, 60, simd))
    words = [[pack(row, 1) for row in port] for port in bits]
    watch = Watch(dut, ["n"], valid=None, count=60 + dut.latency)
    drives = [
        Drive(port, lambda cycle, own=own: own[min(cycle, 59)])
        for port, own in zip((dut.x, dut.w, dut.m), words, strict=True)
    ]
    run(dut, *drives, watch, drain=0)
    counts = [values["n"] for _, values in watch.events][dut.latency :]
    assert counts == XnorPopcount.model(*bits).tolist()
    x, w, m = bits
    assert counts == ((x == w) * m).sum(1).tolist()


def summed(simd, bits):
    """Write the sum of masked codes as a loop, delayed by as many cycles."""
    latency, width = xnor_sum_latency(simd), xnor_sum.width_for(simd, bits)
    line = [f"reg [{width - 1}:0] n{k};" for k in range(latency + 1)]
    line += [f"always @(posedge clk) n{k + 1} <= n{k};" for k in range(latency)]
    return f"""
module reference({"input clk, " if latency else ""}input [{simd * bits - 1}:0] x,
    input [{simd - 1}:0] flip, m, output [{width - 1}:0] n);
  {" ".join(line)}
  integer i, a;
  always @* begin
    n0 = 0;
    for (i = 0; i < {simd}; i = i + 1)
      for (a = 0; a < {bits}; a = a + 1)
        n0 = n0 + (((x[i * {bits} + a] ^ flip[i]) & m[i]) << a);
  end
  assign n = n{latency};
endmodule
"""


@pytest.mark.parametrize(("simd", "bits"), SIZES)
@pytest.mark.parametrize("fabric", ["generic", *PLACED])
def test_sum_is_proved(fabric, simd, bits, tmp_path):
    text = xnor_sum.verilog_module(simd, bits, fabric=fabric, masked=True)
    name = xnor_sum.module_name(simd, bits, fabric=fabric, masked=True)
    settle = xnor_sum_latency(simd)
    assert equal(summed(simd, bits), text, name, fabric, tmp_path, settle)


class Plain(wiring.Component):
    """The same sum in Amaranth."""

    def __init__(self, simd, bits):
        self.size = {"simd": simd, "bits": bits}
        ports = {"x": In(simd * bits), "flip": In(simd), "mask": In(simd)}
        super().__init__({**ports, "n": Out(xnor_sum.width_for(simd, bits))})

    def elaborate(self, platform):
        m = Module()
        xnor_sum.plain(m, **self.size, x=self.x, flip=self.flip, mask=self.mask, n=self.n)
        return m


@pytest.mark.parametrize(("simd", "bits"), SIZES)
def test_plain_amaranth(simd, bits):
    rng = np.random.default_rng(simd)
    codes = rng.integers(0, 1 << bits, (50, simd))
    flips, masks = rng.integers(0, 2, (2, 50, simd))
    expected = ((codes ^ flips * ((1 << bits) - 1)) * masks).sum(1).tolist()
    dut, latency = Plain(simd, bits), xnor_sum_latency(simd)
    watch = Watch(dut, ["n"], valid=None)
    ports = ((dut.x, codes, bits), (dut.flip, flips, 1), (dut.mask, masks, 1))
    drives = [
        Drive(port, lambda now, own=own, width=width: pack(own[now % 50], width))
        for port, own, width in ports
    ]
    run(dut, *drives, watch, drain=49)
    seen = [out["n"] for _, out in watch.events]
    assert seen[latency:] == expected[: 50 - latency]


@pytest.mark.rtl
def test_modules_are_lint_clean(tmp_path):
    for form, fabric in KINDS:
        kind = {"form": form, "fabric": fabric, "masked": True}
        for size in [(1, 0), (3, 1), (65, 3)]:
            text = PROLOGUE + verilog_module(*size, **kind)
            for options in ((), ("-DXNORFLOW_STRUCTURAL",)):
                lint(text, tmp_path, *options, top=module_name(*size, **kind))
    for fabric in FABRICS:
        for simd, bits in SIZES:
            kind = {"fabric": fabric, "masked": True}
            text = PROLOGUE + xnor_sum.verilog_module(simd, bits, **kind)
            lint(text, tmp_path, top=xnor_sum.module_name(simd, bits, **kind))
