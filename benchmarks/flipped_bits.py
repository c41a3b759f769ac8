"""Accuracy of trained networks against the share of their weight bits that are flipped.

``python benchmarks/flipped_bits.py committee.onnx committee-plain.onnx --data digits.npz``

In each draw the given share of the weights that are not 0 change their sign, in every layer that
has both signs; votes, which have weights of 0 and 1, stay as they are. The golden model then
classifies all images. Printed are the mean over the draws and the worst draw.
"""

from __future__ import annotations

import argparse
import tempfile
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


def main() -> None:
    """Print a table of accuracies in percent, one line per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, help="ONNX files of trained networks")
    parser.add_argument("--data", required=True, type=Path, help="images with labels")
    parser.add_argument("--draws", default=10, type=int, help="draws of flipped bits per share")
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--seed", default=0, type=int)
    given = parser.parse_args()
    images = read_images(given.data).first(given.limit)
    print("| network | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |")
    print("|---|" + "---|" * len(SHARES))
    for path in given.models:
        model = onnx.load(path)
        cells = [f"{100 * accuracy(model, images):.1f}"]
        for share in SHARES[1:]:
            drawn = (np.random.default_rng([given.seed, i]) for i in range(given.draws))
            found = [accuracy(flipped(model, share, random), images) for random in drawn]
            cells.append(f"{100 * np.mean(found):.1f} ({100 * min(found):.1f})")
        print(f"| {path.stem} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
