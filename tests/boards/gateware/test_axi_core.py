"""The IP core's project: a Tcl interpreter runs its script, and its files have the register map."""

import re
import shutil
import subprocess

import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow_boards import boards
from xnorflow_boards.build.vivado_core import CONSTRAINTS, SCRIPT, core_project
from xnorflow_boards.gateware import axi_core as axi
from xnorflow_hw.axi.register_map import MAGIC, REGISTERS

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


def test_the_python_file_has_the_map(design, project):
    names = {}
    exec(compile(project["digits_registers.py"], "registers", "exec"), names)
    assert names["OFFSETS"] == {r.name: r.offset for r in REGISTERS}
    assert names["MASKS"]["STATUS.IN_FLIGHT"] == 0xFFFF0000
    assert names["VALUES"]["DIGEST"] == design.digest
    assert names["VALUES"]["PREDICTED_INTERVAL"] == design.ii
    assert names["VALUES"]["PREDICTED_LATENCY"] == design.latency + 1


def test_the_c_header_compiles_and_has_the_same(design, project, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "digits_registers.h").write_text(project["digits_registers.h"])
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "digits_registers.h"\n#include "digits_registers.h"\n'
        "static const unsigned char digest[] = XNORFLOW_DIGEST_VALUE;\n"
        "int main(void) {\n"
        '    printf("%u %u %u %u\\n", XNORFLOW_MAGIC_VALUE, XNORFLOW_INTERVAL_MIN_OFFSET,\n'
        "           XNORFLOW_STATUS_IN_FLIGHT_MASK, XNORFLOW_CLASSES_VALUE);\n"
        '    for (unsigned k = 0; k < sizeof digest; k++) printf("%02x", digest[k]);\n'
        "    return 0;\n}\n"
    )
    subprocess.run([compiler, "-Wall", "-Werror", "-o", "main", "main.c"], cwd=tmp_path, check=True)
    out = subprocess.run(
        [tmp_path / "main"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert out == [str(MAGIC), str(0x190), str(0xFFFF0000), "10", design.digest]


def test_the_page_has_the_map(request):
    page = (request.config.rootpath / "docs/axi.md").read_text()
    assert axi.register_table() in page


def test_a_module_of_the_design_keeps_its_name(design, monkeypatch):
    monkeypatch.setitem(
        vars(design),
        "emitted",
        type(design.emitted)(
            f"{design.verilog}\nmodule digits_axi (a);\nendmodule\n", design.emitted.images
        ),
    )
    assert axi.wrapper_name(design) == "digits_axi_"
