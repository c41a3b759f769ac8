"""Accumulators with placed primitives, proved equal to the expression by Yosys's SAT solver."""

import itertools

import pytest

from xnorflow_hw.fabric.accumulate import module_name, verilog_module

from ..prove import PLACED, equal

OPTIONS = [
    dict(zip(("turn", "lane"), o, strict=True)) for o in itertools.product([False, True], repeat=2)
]


def reference(width, step, turn, lane):
    """Write the accumulator as a plain expression."""
    ports = ["clk, en, first", f"[{width - 1}:0] t", f"[{step - 1}:0] n"]
    ports += ["turn", f"[{width - 1}:0] from"] if turn else []
    ports += ["x, w"] if lane else []
    return f"""
module reference({", ".join("input " + port for port in ports)}, output reg [{width - 1}:0] q);
  reg [{width - 1}:0] old;
  always @* begin
    old = q;
    {"if (turn) old = from;" if turn else ""}
    if (first) old = t;
  end
  always @(posedge clk) if (en) q <= old + n {"+ (x == w)" if lane else ""};
endmodule
"""


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("width", "step"), [(1, 1), (2, 1), (4, 4), (5, 2), (9, 7)])
@pytest.mark.parametrize("fabric", PLACED)
def test_placed_accumulator_is_proved(fabric, width, step, options, tmp_path):
    name = module_name(width, step, fabric=fabric, **options)
    text = verilog_module(width, step, fabric=fabric, **options)
    gold = reference(width, step, **options)
    assert equal(gold, text, name, fabric, tmp_path)


def test_proof_finds_a_wrong_truth_table(tmp_path):
    text = verilog_module(3, 2, fabric="ecp5")
    wrong = text.replace("16'h596a", "16'h596b", 1)
    assert wrong != text
    gold = reference(3, 2, turn=False, lane=False)
    assert not equal(gold, wrong, module_name(3, 2, fabric="ecp5"), "ecp5", tmp_path)
