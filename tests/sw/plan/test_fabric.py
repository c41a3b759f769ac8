"""The board decides for which fabric the arrays are built."""

import pytest

from xnorflow import compile as compile_network
from xnorflow import demo, load
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpgas
from xnorflow.errors import BadInput
from xnorflow.plan.fabric import fabric
from xnorflow_hw.fabric.popcount import forms
from xnorflow_hw.spec import DotSpec
from xnorflow_hw.spec.latency import popcount_latency


@pytest.fixture(scope="module")
def net():
    return load(demo.model_path())


@pytest.mark.parametrize(
    ("board", "expected", "form"),
    [
        (None, "generic", "tree"),
        ("zcu104", "generic", "tree"),
        ("icebreaker", "ice40", "recoded"),
        ("ulx3s-85f", "ecp5", "dense"),
        ("tangnano9k", "gowin", "recoded"),
        ("tangnano20k", "gowin", "recoded"),
        ("pynq-z1", "xilinx7", "dense"),
    ],
)
def test_arrays_are_placed_for_the_board(net, board, expected, form, tmp_path):
    design = compile_network(net, board, cycles=1152)
    arrays = [s.array for s in design.spec.stages if isinstance(s.array, DotSpec)]
    assert {a.fabric for a in arrays} == {expected} and fabric(design.spec) == expected
    assert form in {a.form for a in arrays}
    names = {"ecp5": "CCU2C", "ice40": "SB_CARRY", "gowin": "ALU", "xilinx7": "CARRY4"}
    assert (names.get(expected, "no primitive") in design.verilog) == (expected in names)
    again = Design.read(design.write(tmp_path / "out"))
    assert again.digest == design.digest


def test_every_board_has_a_form():
    for device in fpgas().values():
        name = device.family.fabric
        assert popcount_latency(64, form=forms(name)[-1], fabric=name) > 0


def test_a_placed_design_is_built_for_its_own_fabric_only(net, tmp_path):
    build = pytest.importorskip("xnorflow_boards.build.bitstream").build
    folder = compile_network(net, "ulx3s-85f", cycles=1152).write(tmp_path / "out")
    with pytest.raises(BadInput, match="primitives that icebreaker lacks; compile it with --board"):
        build(folder, board="icebreaker")
