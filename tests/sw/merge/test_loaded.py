"""Files are loaded with their layers merged, as passes and notes say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto
from tests.sw.frontend.branching import executed, saved
from tests.sw.frontend.onnx_models import Model, f32, signs

import xnorflow as xf
from xnorflow import ir
from xnorflow.cli import main
from xnorflow.errors import BadInput
from xnorflow.merge.rebuild import NOTE


def ints(*values: int) -> np.ndarray:
    return np.array(values[0] if len(values) == 1 else values, np.int64)


def cores(tmp_path: Path, *, scale: float = 1.0) -> tuple[Path, np.ndarray, np.ndarray]:
    """Return a file with cores that read parts of a layer's values, samples and their scores."""
    rng = np.random.default_rng(4)
    m = Model(1, 24)
    x = m("Sign", m("Sub", "x", f32(127.5)))
    made = []
    for k in range(3):
        part = m("Slice", x, ints([8 * k]), ints([8 * k + 8]), ints([1]))
        sums = m("Gemm", part, signs(rng, 8, 5), f32(np.full(5, 0.5)))
        made.append(m("Sign", m("Mul", sums, f32(scale))))
    m("MatMul", m("Concat", *made, axis=1), signs(rng, 15, 4))
    samples = rng.integers(0, 256, (30, 24)).astype(np.uint8)
    path = saved(m, tmp_path)
    return path, samples, executed(path, samples.astype(np.float32))


def test_cores_in_a_file(tmp_path: Path) -> None:
    path, x, want = cores(tmp_path)
    net = xf.load(path)
    core = next(layer for layer in net.layers if isinstance(layer, ir.Conv))
    assert net.chain and core.groups == 3 and core.alphabet == ir.BIPOLAR
    assert (net(x) == want).all()
    assert sum(note.startswith(NOTE) for note in net.notes) == 2
    apart = xf.load(path, merge=False)
    assert len(apart.layers) > len(net.layers) and not apart.notes
    assert (apart(x) == want).all()


def test_a_network_file_is_read_as_it_is(tmp_path: Path) -> None:
    from xnorflow.ir import file

    path, _, _ = cores(tmp_path)
    apart = xf.load(path, merge=False)
    file.save(apart, tmp_path / "network.npz")
    assert xf.load(tmp_path / "network.npz").digest == apart.digest


@pytest.mark.parametrize("merge", [True, False])
def test_fixed_point_is_merged_too(tmp_path: Path, merge: bool) -> None:
    rng = np.random.default_rng(4)
    m = Model(1, 12)
    x = m("Sign", m("Sub", "x", f32(127.5)))
    made = [
        m("Sign", m("Add", m("MatMul", x, f32(rng.normal(0, 1, (12, 5)))), f32(0.1)))
        for _ in range(2)
    ]
    m("MatMul", m("Concat", *made, axis=1), signs(rng, 10, 4))
    net = xf.load(saved(m, tmp_path), fixed_point=8, merge=merge)
    assert any(isinstance(layer, ir.Concat) for layer in net.layers) != merge


def test_passes_say_what_they_merged(tmp_path: Path) -> None:
    path, _, _ = cores(tmp_path)
    done = CliRunner().invoke(main, ["inspect", str(path), "--passes", "--json"])
    assert done.exit_code == 0, done.output
    found = {}
    for report in json.loads(done.stdout)["passes"]:
        found.setdefault(report["name"], report)
    assert any(line.startswith("- concat0") for line in found["join_chains"]["changes"])
    assert "5 integer layers" in found["group_blocks"]["what"]


def test_votes_over_normalised_scores_in_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    m = Model(1, 12)
    s = m("Sign", m("Sub", "x", f32(127.5)))
    votes = []
    for _ in range(3):
        sums = m("MatMul", s, signs(rng, 12, 4))
        gain, shift = (f32(rng.normal(0, 1, 4)) for _ in range(2))
        scores = m("BatchNormalization", sums, gain, shift, f32(shift * 2), f32(gain**2 + 0.2))
        hot = m("OneHot", m("ArgMax", scores, axis=1, keepdims=0), ints(4), f32(0, 1), axis=-1)
        votes.append(m("Cast", hot, to=int(TensorProto.FLOAT)))
    m("Sum", *votes)
    path = saved(m, tmp_path)
    x = rng.integers(0, 256, (100, 12)).astype(np.uint8)
    net = xf.load(path)
    assert (net(x) == executed(path, x.astype(np.float32))).all()


def test_the_option_of_commands_leaves_layers_apart(tmp_path: Path) -> None:
    path, x, _ = cores(tmp_path)
    np.save(tmp_path / "x.npy", x)

    def run(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exit_code == code, result.output
        return result.output

    def layers(*options: str) -> list[str]:
        return [
            row["name"] for row in json.loads(run("inspect", path, "--json", *options))["layers"]
        ]

    apart, whole = ([x.name for x in xf.load(path, merge=m).layers] for m in (False, True))
    assert layers("--no-merge") == apart != whole == layers()
    assert "group_blocks" not in run("inspect", path, "--passes", "--no-merge")
    run("compile", path, "-o", tmp_path / "design", "--cycles", 64, "--no-merge")
    assert [layer.name for layer in xf.load(tmp_path / "design").layers] == apart
    golden = ("--data", tmp_path / "x.npy", "--engine", "golden", "--no-merge")
    assert "compiled already" in run("simulate", tmp_path / "design", *golden, code=2)
    # Nothing is merged where the layers are read as they were written.
    for written in (tmp_path / "design", tmp_path / "design" / "network.npz"):
        for command in (("inspect",), ("compile", "-o", tmp_path / "again")):
            refused = " ".join(run(*command, written, "--no-merge", code=2).split())
            assert "keeps the layers it was written with, merged or not" in refused
        with pytest.raises(BadInput, match="leave out no-merge, or give it with the ONNX file"):
            xf.load(written, merge=False)
    evidence = tmp_path / "e.json"
    run("check", path, "--data", tmp_path / "x.npy", "--no-merge", "-o", evidence)
    assert json.loads(evidence.read_text())["options"]["merge"] == 0
    assert "nothing has changed" in run("check", "--against", evidence)
    useless = run("check", "--against", evidence, "--no-merge", code=2)
    assert "--no-merge: --against takes it from" in useless
