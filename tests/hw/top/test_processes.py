"""Joined processes: proved equal, and with one condition for everything under it."""

import re

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.base.loop import Nest
from xnorflow_hw.stream.gearbox import Gearbox
from xnorflow_hw.top import processes
from xnorflow_hw.top.verilog import plain_names

from ..prove import equal, share


class Counters(wiring.Component):
    """Loops, one with a register that follows it, slices, and registers that no reset clears."""

    step: In(1)
    data: In(6)
    index: Out(6)
    followed: Out(7)
    kept: Out(6)

    def elaborate(self, platform):
        m = Module()
        nest = Nest((2, 3, 4), ("a", "b", "c"))
        follow = nest.loops[2].follow([3, 3, 9, 100], 7, "follow")
        kept = Signal(6, reset_less=True)
        last = Signal(init=1)
        with m.If(self.step):
            nest.advance(m)
            m.d.sync += [last.eq(self.data[0]), kept[:3].eq(self.data[3:])]
            with m.If(nest.last(2)):
                m.d.sync += kept.eq(self.data)
        with m.Elif(self.data[5]):
            m.d.sync += kept[4].eq(last)
        indices = [loop.index for loop in nest.loops]
        m.d.comb += [
            self.index.eq(indices[0] + indices[1] + indices[2]),
            self.followed.eq(follow),
            self.kept.eq(kept),
        ]
        return m


PARTS = {
    "counters": Counters,
    "gearbox": lambda: Gearbox(bits=1, group_in=6, lanes_in=3, group_out=6, lanes_out=2),
}


def text(part, name):
    return plain_names(
        verilog.convert(part(), name=name, emit_src=False, strip_internal_attrs=True)
    )


@pytest.mark.parametrize("part", list(PARTS))
def test_meaning_stays(part, tmp_path):
    share()
    plain, joined = text(PARTS[part], "reference"), processes.join(text(PARTS[part], "joined"))
    assert joined.count("always") < plain.count("always") / 2
    assert equal(plain, joined, "joined", "generic", tmp_path)


def test_the_proof_would_see_a_difference(tmp_path):
    share()
    plain, joined = text(Counters, "reference"), processes.join(text(Counters, "joined"))
    wrong = joined.replace("last <= data[0];", "last <= data[1];")
    assert wrong != joined
    assert not equal(plain, wrong, "joined", "generic", tmp_path)


def test_registers_under_one_condition_share_it():
    joined = processes.join(text(Counters, "joined"))
    assert joined.count("if (step)") <= 2 and joined.count("if (rst)") == 1


def test_processes_of_another_form_stay():
    other = """\
module other(clk, a, q, r);
  always @(posedge clk)
    q <= _1;
  always @(posedge clk)
    r <= _2;
  always @* begin
    if (_auto) begin end
    { _1, _2 } = a;
    if (rst) begin
      _1 = 1'h0;
    end
  end
endmodule
"""
    assert processes.join(other) == other


def test_a_value_that_is_read_elsewhere_stays():
    plain = text(Counters, "reference")
    following = re.search(r"<= (_\d+);", plain)[1]
    read = plain.replace("endmodule", f"  assign seen = {following};\nendmodule")
    assert len(re.findall(rf"\b{following}\b", processes.join(read))) > 2


def test_text_that_has_no_processes_stays():
    assert processes.join("module m(a);\nendmodule\n") == "module m(a);\nendmodule\n"
