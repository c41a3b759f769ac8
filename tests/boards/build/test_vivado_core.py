"""The IP core's project: its script runs in a Tcl interpreter and finds the wrapper's ports."""

import re

import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow_boards import boards
from xnorflow_boards.build.vivado_core import CONSTRAINTS, SCRIPT, core_project
from xnorflow_boards.gateware import axi_core as axi

BUSES = {("bus_interfaces", bus) for bus in ("s_axis", "m_axis", "s_axi_ctrl")}


@pytest.fixture(scope="module")
def design():
    return xf.compile(xf.load(demo.model_path()), board="pynq-z1")


@pytest.fixture(scope="module")
def project(design):
    return core_project(design, boards()["pynq-z1"], 125)


def tcl(project, known):
    """Run the script and return Vivado's commands; look-ups find the given (kind, name) only."""
    tkinter = pytest.importorskip("tkinter")
    interpreter = tkinter.Tcl()
    calls = []

    def vivado(*words):
        calls.append(words)
        kind = words[0].removeprefix("ipx::get_")
        if kind != words[0]:
            return words[1] if (kind, words[1]) in known else ""
        return "_".join(words[:2])

    interpreter.createcommand("vivado", vivado)
    interpreter.eval("proc unknown {args} { return [vivado {*}$args] }")
    interpreter.eval(project[SCRIPT])
    return calls


def test_the_script_names_the_core_and_everything_it_needs(design, project):
    calls = tcl(project, BUSES)
    sources = next(c[1] for c in calls if c[0] == "add_files").split()
    assert sorted(sources) == sorted(["digits_axi.v", "digits.v", *design.emitted.images])
    assert ("read_xdc", CONSTRAINTS) in calls
    assert (
        "synth_design",
        "-top",
        "digits_axi",
        "-part",
        "xc7z020clg400-1",
        "-mode",
        "out_of_context",
    ) in calls
    assert [c[2] for c in calls if c[0] == "ipx::associate_bus_interfaces"] == [
        "s_axis",
        "m_axis",
        "s_axi_ctrl",
        "aclk",
    ]
    inferred = {c[1]: c[2] for c in calls if c[0] == "ipx::infer_bus_interface"}
    assert inferred == {
        "aclk": "xilinx.com:signal:clock_rtl:1.0",
        "aresetn": "xilinx.com:signal:reset_rtl:1.0",
    }
    assert any(c[:3] == ("set_property", "value", "ACTIVE_LOW") for c in calls)
    assert any(c[:3] == ("set_property", "range", "4096") for c in calls)
    assert calls[-1][0] == "ipx::save_core"
    assert project[CONSTRAINTS] == "create_clock -name aclk -period 8.0000 [get_ports aclk]\n"


def test_the_script_adds_nothing_that_is_there(project):
    calls = tcl(
        project,
        BUSES
        | {
            ("bus_interfaces", "aclk"),
            ("bus_interfaces", "aresetn"),
            ("bus_parameters", "POLARITY"),
            ("memory_maps", "s_axi_ctrl"),
        },
    )
    done = {c[0] for c in calls}
    assert not done & {"ipx::infer_bus_interface", "ipx::add_bus_parameter", "ipx::add_memory_map"}


def test_the_script_stops_at_a_stream_that_is_not_recognised(project):
    with pytest.raises(Exception, match="m_axis were not recognised"):
        tcl(project, BUSES - {("bus_interfaces", "m_axis")})


def test_the_project_has_the_registers_for_c_and_python(design, project):
    assert project["digits_registers.h"] == axi.c_header(design)
    assert project["digits_registers.py"] == axi.python_module(design)


def test_the_wrapper_has_the_ports_that_the_script_names(project):
    ports = re.search(r"module digits_axi\((.*?)\);", project["digits_axi.v"], re.DOTALL)[1]
    ports = {port.strip() for port in ports.split(",")}
    assert {
        "aclk",
        "aresetn",
        "s_axis_tdata",
        "s_axis_tvalid",
        "s_axis_tready",
        "s_axis_tlast",
        "m_axis_tdata",
        "m_axis_tvalid",
        "m_axis_tready",
        "m_axis_tlast",
    } <= ports
    control = {p.removeprefix("s_axi_ctrl_") for p in ports if p.startswith("s_axi_ctrl_")}
    assert control == {
        "awaddr",
        "awprot",
        "awvalid",
        "awready",
        "wdata",
        "wstrb",
        "wvalid",
        "wready",
        "bresp",
        "bvalid",
        "bready",
        "araddr",
        "arprot",
        "arvalid",
        "arready",
        "rdata",
        "rresp",
        "rvalid",
        "rready",
    }
    assert len(ports) == 10 + len(control)
