"""XNOR popcount equals plain counting, in Amaranth's simulator, in Verilator and by a SAT proof."""

import numpy as np
import pytest

from xnorflow_hw.fabric import popcount
from xnorflow_hw.fabric.popcount import XnorPopcount, module_name
from xnorflow_hw.fabric.popcount_tree import levels, plan
from xnorflow_hw.fabric.recode import triples
from xnorflow_hw.spec.latency import popcount_latency

from ..harness import Drive, Watch, pack, run
from ..verilog import lint, simulate

WIDTHS = [*range(1, 71), 96, 100, 127, 128, 129, 256]


def latencies(simd):
    return sorted({0, 1, popcount_latency(simd), levels(simd), levels(simd) + 2})


@pytest.mark.parametrize("simd", WIDTHS)
def test_every_path_of_the_plan_has_the_latency(simd):
    for latency in latencies(simd):
        delay = {}
        for node in plan(simd, latency):
            before = {delay[i] for i in node.inputs} if node.kind != "product" else {0}
            assert len(before) == 1, "the inputs of a node belong to one cycle"
            delay[node.name] = before.pop() + (node.kind == "register")
        assert delay[node.name] == latency
        assert node.width == simd.bit_length()


@pytest.mark.parametrize("simd", [1, 2, 3, 4, 7, 8, 13, 32, 65])
@pytest.mark.parametrize("latency", [None, 0, 9])
def test_amaranth_counts(simd, latency):
    dut = XnorPopcount(simd=simd, latency=latency)
    rng = np.random.default_rng(simd)
    x, w = rng.integers(0, 2, (2, 60, simd))
    x[:3], w[:3] = [[0], [1], [1]], [[0], [0], [1]]
    xs, ws = [pack(row, 1) for row in x], [pack(row, 1) for row in w]
    watch = Watch(dut, ["n"], valid=None, count=60 + dut.latency)
    run(
        dut,
        Drive(dut.x, lambda cycle: xs[min(cycle, 59)]),
        Drive(dut.w, lambda cycle: ws[min(cycle, 59)]),
        watch,
        drain=0,
    )
    counts = [values["n"] for _, values in watch.events][dut.latency :]
    assert counts == XnorPopcount.model(x, w).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"simd": 0}, "simd is 0"),
        ({"simd": 4, "latency": -1}, "-1"),
        ({"simd": 4, "style": "vhdl"}, "vhdl"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        XnorPopcount(**arguments)


def test_verilog_has_each_module_once_in_order():
    text = popcount.verilog([(8, 2), (3, 1), (8, 2)])
    names = [line.split()[1] for line in text.splitlines() if line.startswith("module")]
    assert names == [module_name(3, 1), module_name(8, 2)]
    assert text == popcount.verilog([(3, 1), (8, 2)])
    assert popcount.verilog([]) == ""


def lanes_of(name, simd, form="tree", **_):
    """Write what a popcount of a form takes from a vector of lanes."""
    bits = [f"{name}[{k}]" for k in range(simd)]
    for k in triples(simd) if form == "recoded" else ():
        a, b, c = bits[k : k + 3]
        bits[k : k + 3] = f"{a} ^ {b}", f"{b} ^ {c}", f"{a} ^ {b} ^ {c}"
    return "{" + ", ".join(reversed(bits)) + "}"


def bench(sizes, **form):
    """Write a top that compares every size with a delayed $countones: a bit of `wrong` for each."""
    most = max(simd for simd, _ in sizes)
    # Verilator represents wide ports as arrays of 32-bit words.
    bits = max(len(sizes), 65)
    lines = [
        f"module top(input clk, input [{most - 1}:0] x, w, output [{bits - 1}:0] wrong);",
        *([f"assign wrong[{bits - 1}:{len(sizes)}] = 0;"] if len(sizes) < bits else []),
    ]
    for i, (simd, latency) in enumerate(sizes):
        clk = ".clk(clk), " if latency else ""
        lines += [
            f"wire [{simd.bit_length() - 1}:0] n_{i};",
            f"{module_name(simd, latency, **form)} u_{i}({clk}.x({lanes_of('x', simd, **form)}),"
            f" .w({lanes_of('w', simd, **form)}), .n(n_{i}));",
            f"int e_{i}_0 = 0;",
            f"always_comb e_{i}_0 = $countones(~(x[{simd - 1}:0] ^ w[{simd - 1}:0]));",
        ]
        for k in range(latency):
            lines.append(
                f"int e_{i}_{k + 1} = 0; always @(posedge clk) e_{i}_{k + 1} <= e_{i}_{k};"
            )
        lines.append(f"assign wrong[{i}] = 32'(n_{i}) != e_{i}_{latency};")
    return "\n".join([*lines, "endmodule", popcount.verilog(sizes, **form)])


DRIVE = """
  // All lanes equal, all different, one lane equal, one different, then random.
  const int words = WORDS, warm = 40;
  long wrong = 0, compared = 0;
  for (int t = 0; t < 6000; t++) {
    for (int i = 0; i < words; i++) {
      uint32_t a = (uint32_t)rng(), b = (uint32_t)rng();
      int lane = (t >> 2) - 32 * i;
      uint32_t one = lane >= 0 && lane < 32 ? 1u << lane : 0;
      if (t < 4 * 32 * words) b = (t & 1 ? ~a : a) ^ (t & 2 ? one : 0);
      top.x[i] = a; top.w[i] = b;
    }
    top.clk = 0; top.eval();
    if (t >= warm) {
      compared++;
      for (size_t i = 0; i < sizeof(top.wrong) / 4; i++) wrong += top.wrong[i] != 0;
    }
    tick();
  }
  printf("%ld %ld\\n", compared, wrong);
"""


@pytest.mark.rtl
@pytest.mark.parametrize("body", ["structural", "countones"])
def test_verilog_bodies_count(body, tmp_path):
    some = {1, 3, 8, 31, 64, 70, 128, 256}
    sizes = [
        (simd, latency)
        for simd in WIDTHS
        for latency in (latencies(simd) if simd in some else [popcount_latency(simd)])
        if body == "structural" or simd in some
    ]
    options = ["-DXNORFLOW_STRUCTURAL"] if body == "structural" else []
    out = simulate(bench(sizes), DRIVE.replace("WORDS", "8"), tmp_path, *options)
    assert out == ["5960 0"]


@pytest.mark.rtl
@pytest.mark.parametrize("options", [(), ("-DXNORFLOW_STRUCTURAL",)])
def test_verilog_is_lint_clean(options, tmp_path):
    for simd, latency in [(1, 0), (1, 1), (2, 0), (3, 1), (8, 2), (65, 3)]:
        lint(
            popcount.verilog([(simd, latency)]), tmp_path, *options, top=module_name(simd, latency)
        )


REFERENCE = """
module reference(input [{high}:0] x, w, output reg [{top}:0] n);
  integer i;
  always @* begin
    n = 0;
    for (i = 0; i <= {high}; i = i + 1) n = n + (x[i] == w[i]);
  end
endmodule
"""


def miter(reference, simd, folder):
    """Run Yosys's SAT solver on `reference` against the structural body and return its log."""
    yosys = pytest.importorskip("pyosys.libyosys")
    text = popcount.verilog([(simd, 0)])
    (folder / "popcount.v").write_text(
        text + reference.format(high=simd - 1, top=simd.bit_length() - 1)
    )
    design = yosys.Design()
    for command in [
        f"read_verilog {folder / 'popcount.v'}",
        "proc",
        f"miter -equiv -flatten -make_outputs reference {module_name(simd, 0)} miter",
        "opt -full",
        f"tee -q -o {folder / 'log'} sat -prove trigger 0 miter",
    ]:
        yosys.run_pass(command, design)
    return (folder / "log").read_text()


@pytest.mark.parametrize("simd", [*range(1, 13), 15, 16])
def test_structure_is_proved_equal_to_a_sum(simd, tmp_path):
    """A miter of both has no counterexample among all 4^simd inputs."""
    assert "no model found: SUCCESS" in miter(REFERENCE, simd, tmp_path)


def test_proof_finds_a_difference(tmp_path):
    wrong = REFERENCE.replace("(x[i] == w[i])", "((x[i] == w[i]) | (x == 5 && i == 0))")
    assert "model found: FAIL" in miter(wrong, 8, tmp_path)
