"""Files that an earlier version wrote are still read, and mean the same."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import xnorflow as xf
from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow.ir import file as ir_file

WRITTEN = Path(__file__).parents[1] / "data" / "written_by_85fb471"
NETWORK = "6591655a05cd249d0e24dd807c83379160d1b7a57b12bb7cc25afbd85e4b3849"
DESIGN_NETWORK = "4ad3b0d3b48f1277c54f4a0a7b2e28a7bd96dd8e6f76c831823a523480d069e2"


def frames(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (3, *shape)).astype(np.uint8)


def test_a_network_has_the_digest_and_the_scores_that_it_had() -> None:
    net = ir_file.load(WRITTEN / "every_kind.npz")
    assert net.digest == NETWORK
    assert net.name == "every_kind" and net.classes == ("cat", "dog", "é", "fox")
    assert net.notes == ("A note.",) and net.layers[0].sources == ("a", "b")
    kinds = [layer.kind for layer in net.layers]
    assert kinds == [
        "input",
        "conv",
        "threshold",
        "maxpool",
        "sumpool",
        "flatten",
        "conv",
        "scores",
    ]
    scores = [[25, 37, 18, 16], [30, 32, 18, 20], [23, 32, 16, 20]]
    assert net(frames(net.shape)).tolist() == scores
    assert xf.load(WRITTEN / "every_kind.npz").digest == NETWORK


def test_a_network_that_is_written_again_keeps_its_digest(tmp_path: Path) -> None:
    ir_file.save(ir_file.load(WRITTEN / "every_kind.npz"), tmp_path / "again.npz")
    assert ir_file.load(tmp_path / "again.npz").digest == NETWORK


def without_comments(verilog: str) -> str:
    lines = re.sub(r"//.*|/\*[\s\S]*?\*/", "", verilog).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def test_a_design_is_read_and_is_the_same_hardware() -> None:
    folder = WRITTEN / "design"
    design = Design.read(folder)
    assert design.net.digest == DESIGN_NETWORK
    assert (design.board, design.ii, design.latency) == ("ulx3s-85f", 2304, 4207)
    stored = (folder / "stored.v").read_text()
    assert "//" in stored and without_comments(design.verilog) == without_comments(stored)
    assert design.emitted.images == {
        "stored_dense_weights.hex": (folder / "stored_dense_weights.hex").read_text()
    }
    scores = design.net(frames(design.net.shape))
    assert scores[:, :4].tolist() == [[-8, 9, 7, 30], [22, -13, 9, 8], [-2, 23, 33, 20]]
    digest = hashlib.sha256(scores.astype("<i8").tobytes()).hexdigest()
    assert digest == "90ce72672c13c3bb5576a56702a2b4edb779b82cc6f27ae92a1a26af684271d7"


def test_what_its_summary_said_is_still_said() -> None:
    folder = WRITTEN / "design"
    old, new = json.loads((folder / "design.json").read_text()), Design.read(folder).summary()
    for name in ("format", "network_digest", "ii", "ii_bound", "latency", "files", "interface"):
        assert json.loads(json.dumps(new[name])) == old[name], name
    for before, now in zip(old["layers"], new["layers"], strict=True):
        for name in ("name", "pe", "simd", "pixels", "rom"):
            assert json.loads(json.dumps(now[name])) == before[name], name


def test_a_design_with_other_hardware_in_its_folder_is_refused(tmp_path: Path) -> None:
    for name in ("stored.v", "stored_dense_weights.hex", "network.npz"):
        folder = tmp_path / name
        shutil.copytree(WRITTEN / "design", folder)
        assert Design.read(folder).ii == 2304
        if name == "network.npz":
            shutil.copy(WRITTEN / "every_kind.npz", folder / name)
        else:
            text = (folder / name).read_text()
            before, _, after = text.rpartition("0")  # The first one is in a comment.
            (folder / name).write_text(f"{before}1{after}")
        with pytest.raises(BadInput, match=f"{name} is not"):
            Design.read(folder)
