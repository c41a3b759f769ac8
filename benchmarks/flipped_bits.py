"""Accuracy of trained networks against the share of their weight bits that are flipped.

``python benchmarks/flipped_bits.py committee.onnx committee-plain.onnx --data digits.npz``

In each draw the given share of the weights that are not 0 change their sign, in every layer that
has both signs; votes, which have weights of 0 and 1, stay as they are. The golden model then
classifies all images. Printed are the mean over the draws and the worst draw.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
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


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path))
@click.option("--draws", default=10, show_default=True, help="Draws of flipped bits per share.")
@click.option("--seed", default=0, show_default=True)
def main(models: tuple[Path, ...], data: Path, draws: int, seed: int) -> None:
    """Print a table of accuracies in percent, one line per network."""
    images = read_images(data)
    print("| network | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |")
    print("|---|" + "---|" * len(SHARES))
    for path in models:
        model = onnx.load(path)
        cells = []
        for share in SHARES:
            found = [
                accuracy(model, images)
                if share == 0
                else accuracy(flipped(model, share, np.random.default_rng([seed, i])), images)
                for i in range(1 if share == 0 else draws)
            ]
            worst = "" if share == 0 else f" ({100 * min(found):.1f})"
            cells.append(f"{100 * np.mean(found):.1f}{worst}")
        print(f"| {path.stem} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
