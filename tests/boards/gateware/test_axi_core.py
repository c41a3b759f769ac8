"""The AXI wrapper of a design: its registers for C, Python and the page are one map."""

import shutil
import subprocess

import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow_boards.gateware import axi_core as axi
from xnorflow_hw.axi.register_map import MAGIC, REGISTERS


@pytest.fixture(scope="module")
def design():
    return xf.compile(xf.load(demo.model_path()), board="pynq-z1")


def test_the_python_module_has_the_map(design):
    names = {}
    exec(compile(axi.python_module(design), "registers", "exec"), names)
    assert names["OFFSETS"] == {r.name: r.offset for r in REGISTERS}
    assert names["MASKS"]["STATUS.IN_FLIGHT"] == 0xFFFF0000
    assert names["VALUES"]["DIGEST"] == design.digest
    assert names["VALUES"]["PREDICTED_INTERVAL"] == design.ii
    assert names["VALUES"]["PREDICTED_LATENCY"] == design.latency + 1


def test_the_c_header_compiles_and_has_the_same(design, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "digits_registers.h").write_text(axi.c_header(design))
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
