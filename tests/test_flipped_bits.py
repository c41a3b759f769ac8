"""Networks with flipped weight bits, and their kept figures on the pages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from xnorflow import demo
from xnorflow.data import read_images

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import flipped_bits

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "pictures" / "flipped_bits.json"


def test_a_share_of_the_signs_changes_and_votes_stay() -> None:
    signs = np.resize(np.float32([1, -1, 0]), (10, 12))
    votes = np.resize(np.float32([1, 0]), (12, 2))
    nodes = [
        helper.make_node("Gemm", ["x", "signs"], ["y"]),
        helper.make_node("Gemm", ["y", "votes"], ["z"]),
    ]
    values = [helper.make_tensor_value_info(n, 1, None) for n in "xz"]
    held = [numpy_helper.from_array(signs, "signs"), numpy_helper.from_array(votes, "votes")]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], held))
    made = flipped_bits.flipped(model, 0.25, np.random.default_rng(1))
    found, kept = map(numpy_helper.to_array, made.graph.initializer)
    # 80 of the 120 are not 0.
    assert (found != signs).sum() == 20
    assert (np.abs(found) == np.abs(signs)).all() and (kept == votes).all()


def test_figures_of_the_demo() -> None:
    model = onnx.load(demo.model_path())
    images = read_images(demo.data_path()).first(60)
    found = flipped_bits.measured(model, images, (0.0, 0.3), draws=2, seed=0)
    right = 100 * flipped_bits.accuracy(model, images)
    assert found["mean"][0] == found["worst"][0] == pytest.approx(right, abs=0.01)
    assert found["worst"][1] <= found["mean"][1] < right


@pytest.mark.parametrize("page", ["true_north", "local_entropy"])
def test_the_plot_shows_the_figures_of_the_pages(page: str) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "methods" / f"{page}.md").read_text(encoding="utf-8")
    for name, found in kept["networks"].items():
        pairs = zip(kept["shares"], found["mean"], found["worst"], strict=True)
        cells = [f"{m:.1f} ({w:.1f})" if share else f"{m:.1f}" for share, m, w in pairs]
        assert f"| {name} | " + " | ".join(cells) + " |" in text
