"""Design folders: written whole or not at all, read back as they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xnorflow.compiler import compile_network
from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow.ir import file as ir_file

from ..folding.test_narrowest import network


@pytest.fixture(scope="module")
def made() -> Design:
    return compile_network(network(5, 7), "ulx3s-85f", cycles=90)


@pytest.fixture
def folder(made: Design, tmp_path: Path) -> Path:
    return made.write(tmp_path / "out")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_design_is_read_as_it_was_written(made: Design, folder: Path) -> None:
    read = Design.read(folder)
    assert read.digest == made.digest and read.net.digest == made.net.digest
    assert (read.folds, read.board, read.clock, read.timing) == (
        made.folds,
        made.board,
        made.clock,
        made.timing,
    )
    assert read.summary() == made.summary()
    assert names(folder) == ["design.json", "net.v", "network.npz"]


def test_the_summary_is_the_file(made: Design, folder: Path) -> None:
    content = json.loads((folder / "design.json").read_text())
    assert content == json.loads(json.dumps(made.summary()))
    assert content["ii"] == made.ii == content["ii_bound"]
    assert content["network_digest"] == made.net.digest
    assert [(e["pe"], e["simd"]) for e in content["layers"]] == [(f.pe, f.simd) for f in made.folds]
    assert sorted(content["files"]) == ["net.v"]
    assert content["resources"]["lut"] > 0


def test_large_memories_lie_beside_the_verilog(tmp_path: Path) -> None:
    design = compile_network(network(64, 300), cycles=5000)
    out = design.write(tmp_path / "out")
    rom = json.loads((out / "design.json").read_text())["layers"][0]["rom"]
    tiles = [f"net_conv0_weights_{k}.hex" for k in range(rom["tiles"])]
    assert rom["kind"] == "block" and len(tiles) > 1
    assert names(out) == sorted(["design.json", "net.v", *tiles, "network.npz"])
    assert Design.read(out).digest == design.digest


def test_a_design_replaces_one_that_was_there(made: Design, folder: Path) -> None:
    (folder / "stale.bit").write_text("of the former design")
    other = compile_network(network(4, 3), cycles=200)
    assert other.write(folder) == folder
    assert names(folder) == ["design.json", "net.v", "network.npz"]
    assert Design.read(folder).digest == other.digest


def test_a_design_below_a_design_is_left_alone(made: Design, folder: Path) -> None:
    (folder / "build").mkdir()
    made.write(folder)
    assert names(folder) == ["design.json", "net.v", "network.npz"]
    made.write(folder / "other")
    with pytest.raises(BadInput, match="holds other files"):
        made.write(folder)
    assert Design.read(folder / "other").digest == made.digest


def test_an_empty_folder_and_missing_parents_will_do(made: Design, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    made.write(tmp_path / "empty")
    made.write(tmp_path / "a" / "b" / "c")
    assert Design.read(tmp_path / "a/b/c").digest == made.digest


def test_a_link_is_followed(made: Design, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    made.write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and names(folder)[0] == "design.json"


@pytest.mark.parametrize("content", [None, "{}", "[]", "3", '{"format": "of another tool"}', "{"])
def test_the_files_of_others_are_left_alone(
    made: Design, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    if content is not None:
        (tmp_path / "design.json").write_text(content)
    before = names(tmp_path)
    with pytest.raises(BadInput, match="holds other files; give a new folder or an empty one"):
        made.write(tmp_path)
    with pytest.raises(BadInput, match="is a file, not a folder"):
        made.write(tmp_path / "thesis.tex")
    assert names(tmp_path) == before


def test_nothing_is_left_of_a_failure(
    made: Design, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ir_file, "save", full)
    for target in (folder, tmp_path / "new"):
        with pytest.raises(BadInput, match=r"cannot write .*: No space left on device"):
            made.write(target)
    assert names(tmp_path) == ["out"]
    assert Design.read(folder).digest == made.digest


def test_a_file_cannot_be_a_parent(made: Design, folder: Path) -> None:
    with pytest.raises(BadInput, match="cannot write"):
        made.write(folder / "net.v" / "deeper")


def edited(folder: Path, change: Any) -> None:
    path = folder / "design.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="xnorflow-design-99"), "its format is 'xnorflow-design-99'"),
        (lambda c: c.pop("layers"), "layers"),
        (lambda c: c.update(layers=3), "not a design"),
        (lambda c: c["layers"].pop(), "the folding has 2 entries"),
        (lambda c: c["layers"][0].update(pe=10**9), "cannot have PE 1000000000"),
        (lambda c: c["layers"][0].update(pe=None), "not a design"),
        (lambda c: c["layers"][1].update(pe=1, simd=2), "is a pool"),
        (lambda c: c["interface"]["s_axis"].update(lanes=10**12), "beat are not possible"),
        (lambda c: c["interface"]["m_axis"].update(lanes=0), "beat are not possible"),
        (lambda c: c.update(board="none-such"), "none-such"),
        (lambda c: c.update(board=["ulx3s-85f"]), "not a design"),
        (lambda c: c["layers"][0].update(pe=True), "pe has to be a whole number, not True"),
        (lambda c: c["layers"][0].update(simd=5.0), "simd has to be a whole number, not 5.0"),
        (lambda c: c["layers"][0].update(pe=-1), "cannot have PE -1"),
        (lambda c: c.update(clock_mhz=0), "a clock of 0|its clock of 0"),
        (lambda c: c.update(clock_mhz=True), "clock of True"),
        (lambda c: c.update(clock_mhz=1e308), "clock of 1e"),
        (lambda c: c.update(clock_mhz=float("inf")), "it holds Infinity"),
        (
            lambda c: c.update(network_digest="0" * 64),
            "network.npz is not the network that design.json describes",
        ),
        (lambda c: c["layers"][0].update(pe=1, simd=1), "net.v is not what this version writes"),
    ],
)
def test_a_folder_that_was_tampered_with_is_refused(
    folder: Path, change: Any, message: str
) -> None:
    edited(folder, change)
    with pytest.raises(BadInput, match=message):
        Design.read(folder)


@pytest.mark.parametrize("name", ["design.json", "net.v", "network.npz"])
def test_a_folder_with_a_file_missing_or_broken_is_refused(folder: Path, name: str) -> None:
    for content in (b"", b"\xff\xfe", b"[" * 50_000, None):
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(BadInput):
            Design.read(folder)


@pytest.mark.parametrize("name", ["design.json", "net.v", "network.npz"])
def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BadInput, match="it is no regular file"):
        Design.read(folder)


def test_golden_taps_are_codes(made: Design) -> None:
    x = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 5)).astype(np.uint8)
    taps = made.golden_taps(x)
    assert [t.name for t in made.taps] == list(taps)
    np.testing.assert_array_equal(taps["input"], x)
    assert set(np.unique(taps["conv0"])) <= {0, 1}
    np.testing.assert_array_equal(taps["dense"].reshape(2, -1), made.net(x))


def test_comments_of_the_verilog_may_read_otherwise(made: Design, folder: Path) -> None:
    verilog = folder / "net.v"
    text = verilog.read_text()
    verilog.write_text(f"// a comment of another version\n\n{text.replace('// ', '//  ')}")
    assert Design.read(folder).digest == made.digest
    verilog.write_text(text.replace("module net(", "module net (", 1))
    with pytest.raises(BadInput, match="net.v is not what this version writes"):
        Design.read(folder)
