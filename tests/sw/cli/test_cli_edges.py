"""Edges of layers on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

import xnorflow as xf
from xnorflow.cli import main
from xnorflow.train.chain_file import ChainFile


def invoke(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, " ".join(result.output.split())


def test_edges_on_the_command_line(tmp_path: Path) -> None:
    """The golden model with fewer edges, and files without any, by simulate, check and inspect."""
    rng = np.random.default_rng(7)
    file = ChainFile("net", (1, 4, 4))
    edges = [rng.integers(-1, 2, (6, 16)) * size for size in (4, 2, 1)]
    file.sum_of_layers([np.asarray(edge, np.float32) for edge in edges])
    file.save(tmp_path / "net.onnx", 6, "")
    x = rng.integers(0, 256, (12, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x)
    net = xf.load(tmp_path / "net.onnx", edges=True)
    given = ("--data", str(tmp_path / "x.npz"), "--with-edges", "--edges", "1")
    out, scores = str(tmp_path / "net.onnx"), str(tmp_path / "scores.npz")
    code, text = invoke("simulate", out, *given, "--engine", "golden", "-o", scores)
    assert code == 0 and "enabled edges of each layer: 1" in text
    with np.load(scores) as found:
        np.testing.assert_array_equal(found["scores"], net(x, edges=1))
    evidence = str(tmp_path / "evidence.json")
    code, text = invoke("check", out, *given, "-o", evidence)
    assert code == 0 and "the file was not executed" in text
    code, text = invoke("check", "--against", evidence)
    assert code == 0 and "nothing has changed" in text
    code, text = invoke("check", out, *given[:3], "-o", evidence)
    assert code == 0 and "EQUAL" in text
    code, text = invoke("simulate", out, "--data", given[1], "--edges", "2", "--engine", "golden")
    assert code == 2 and "at most 1" in text
    code, text = invoke("inspect", out, "--with-edges")
    assert code == 0
