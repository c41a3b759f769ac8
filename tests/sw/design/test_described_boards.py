"""Designs for boards that a file describes: the description travels with the design."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import xnorflow as xf
from xnorflow.compiler import compile_network
from xnorflow.design.design import Design
from xnorflow.errors import BadInput

from ..folding.test_narrowest import network

EXAMPLE = Path(__file__).parents[3] / "examples/boards/ulx3s-12f.toml"
PLATFORM = "amaranth_boards.ulx3s:ULX3S_45F_Platform"


@pytest.fixture
def described(tmp_path: Path) -> Path:
    path = tmp_path / "my_board.toml"
    path.write_text(EXAMPLE.read_text())
    return path


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a design for a board that is known by name."""
    made = compile_network(network(5, 7), "ulx3s-25f", cycles=90)
    return made.write(tmp_path_factory.mktemp("named") / "out")


def test_the_folder_holds_the_board(described: Path, tmp_path: Path) -> None:
    made = compile_network(network(5, 7), str(described), cycles=90)
    assert made.board_name == "ulx3s-12f"
    folder = made.write(tmp_path / "out")
    content = json.loads((folder / "design.json").read_text())
    assert (content["board"], content["board_file"]) == ("ulx3s-12f", "board.toml")
    assert content["resources"]["device"]["lut"] == 24288
    assert (folder / "board.toml").read_text() == EXAMPLE.read_text()
    described.unlink()
    read = Design.read(folder.rename(tmp_path / "moved"))
    assert read.digest == made.digest
    assert json.loads(json.dumps(read.summary())) == content
    again = Design.read(read.write(tmp_path / "copy"))
    assert (again.board_name, again.digest) == ("ulx3s-12f", made.digest)


def test_the_same_fpga_gets_the_same_verilog(described: Path, named: Path) -> None:
    text = (named / "net.v").read_text()
    assert compile_network(network(5, 7), str(described), cycles=90).verilog == text
    assert compile_network(network(5, 7), "lfe5u-25f", cycles=90).verilog == text


@pytest.mark.parametrize("part", ["LFE5U-45F", "GW1NR-LV9QN88PC6/I5"])
def test_a_part_is_kept_by_its_name(part: str, tmp_path: Path) -> None:
    folder = compile_network(network(5, 7), part.lower(), cycles=90).write(tmp_path / "out")
    assert "board_file" not in json.loads((folder / "design.json").read_text())
    assert not (folder / "board.toml").exists()
    assert Design.read(folder).board == part


def test_a_platform_is_not_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("amaranth_boards")
    folder = compile_network(network(5, 7), PLATFORM, cycles=90).write(tmp_path / "out")
    monkeypatch.delitem(sys.modules, "amaranth_boards.ulx3s")
    assert Design.read(folder).board_name == "ULX3S_45F_Platform"
    assert "amaranth_boards.ulx3s" not in sys.modules


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"board": "antigravity:Board"}, "its board is 'antigravity:Board', which is no name"),
        ({"board": "../my_board.toml"}, "which is no name"),
        ({"board": 3}, "its board is 3, which is no name"),
        ({"board_file": "../my_board.toml"}, "its board_file is '../my_board.toml', not 'board"),
    ],
)
def test_a_folder_from_elsewhere_imports_nothing(
    said: dict[str, object], message: str, named: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(named, tmp_path / "out"))
    path = folder / "design.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    with pytest.raises(BadInput, match=message):
        Design.read(folder)
    assert "antigravity" not in sys.modules


def test_boards_of_all_forms_are_compared(described: Path) -> None:
    result = xf.compare(network(5, 7), ["ulx3s-25f", str(described), "LFE5U-45F"], [], cycles=90)
    assert [row.device for row in result.rows] == ["ulx3s-25f", "ulx3s-12f", "LFE5U-45F"]
