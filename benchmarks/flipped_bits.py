"""Accuracy of trained networks against the share of their weight bits that are flipped.

``python benchmarks/flipped_bits.py committee.onnx committee-plain.onnx --data digits.npz``

In each draw the given share of the weights that are not 0 change their sign, in every layer that
has both signs; votes, which have weights of 0 and 1, stay as they are. The golden model then
classifies all images. Printed are the mean over the draws and the worst draw; ``--figures FILE``
writes them as JSON too: ``python docs/pictures/draw.py`` draws the documentation's plot from
``docs/pictures/flipped_bits.json``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import xnorflow
from xnorflow.data import Images, read_images

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)


def flipped(model: onnx.ModelProto, share: float, drawn: np.random.Generator) -> onnx.ModelProto:
    """Return a copy of a model with the signs of a share of its weights flipped."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    weights = {n.input[1] for n in made.graph.node if n.op_type in ("Gemm", "Conv")}
    for tensor in made.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.name not in weights or not ((array < 0).any() and (array > 0).any()):
            continue
        places = np.flatnonzero(array)
        chosen = drawn.choice(places, round(share * len(places)), replace=False)
        changed = array.copy()
        changed.flat[chosen] *= -1
        tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    return made


def accuracy(model: onnx.ModelProto, images: Images) -> float:
    """Return the share of the images that the golden model of a network gets right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flipped.onnx"
        onnx.save(model, str(path))
        labels = xnorflow.load(path)(images.x).argmax(1)
    return float((labels == images.y).mean())


def measured(
    model: onnx.ModelProto, images: Images, shares: Sequence[float], draws: int, seed: int
) -> dict[str, list[float]]:
    """Return the accuracies of a network in percent, one per share of flipped weights.

    Returns
    -------
    dict
        "mean" and "worst" over the draws, each of the length of `shares`. A share of 0 has nothing
        to draw and is computed once.
    """
    mean, worst = [], []
    for share in shares:
        drawn = [np.random.default_rng([seed, i]) for i in range(draws if share else 1)]
        found = [100 * accuracy(flipped(model, share, random), images) for random in drawn]
        mean.append(round(float(np.mean(found)), 2))
        worst.append(round(min(found), 2))
    return {"mean": mean, "worst": worst}


def main() -> None:
    """Print a table of accuracies in percent, one line per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, help="ONNX files of trained networks")
    parser.add_argument("--data", required=True, type=Path, help="images with labels")
    parser.add_argument("--draws", default=10, type=int, help="draws of flipped bits per share")
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--figures", type=Path, help="write the figures to this JSON file too")
    given = parser.parse_args()
    images = read_images(given.data).first(given.limit)
    print("| network | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |")
    print("|---|" + "---|" * len(SHARES))
    networks = {}
    for path in given.models:
        found = measured(onnx.load(path), images, SHARES, given.draws, given.seed)
        networks[path.stem] = found
        cells = [
            f"{mean:.1f} ({worst:.1f})" if share else f"{mean:.1f}"
            for share, mean, worst in zip(SHARES, found["mean"], found["worst"], strict=True)
        ]
        print(f"| {path.stem} | " + " | ".join(cells) + " |", flush=True)
    if given.figures:
        kept = {"images": len(images.x), "draws": given.draws, "shares": SHARES}
        text = json.dumps(kept | {"networks": networks}, indent=1)
        given.figures.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
