"""Makes the data file of the demo: ``python -m xnorflow.train.digits_data -o digits.npz``.

The 1,797 images of 8 x 8 pixels come with scikit-learn, whose copy is the test set of the UCI
collection (source and licence: ``xnorflow/demo/README.md``). Samples stay as they are, 0 to 16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from xnorflow.train import needs


def split(labels: NDArray[Any], every: int = 4) -> NDArray[np.bool_]:
    """Mark the held-out images: the first of every `every` images of each class, in file order.

    No random generator is involved, so the split never changes; the classes are held out in
    proportion. Consecutive images are often by the same writer, so a writer may be on both sides.

    Parameters
    ----------
    labels : int array [images]
        Class of each image.

    Returns
    -------
    bool array [images]
    """
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held_out[np.flatnonzero(labels == label)[::every]] = True
    return held_out


def load() -> dict[str, NDArray[np.uint8]]:
    """Read scikit-learn's digits and split them.

    Returns
    -------
    dict of uint8 arrays
        ``x_train`` and ``x_test`` [images, 8, 8], samples 0 to 16; ``y_train`` and ``y_test``
        [images], classes 0 to 9.

    Raises
    ------
    xnorflow.errors.ToolMissing
        If scikit-learn is not installed.
    """
    digits = needs("sklearn.datasets").load_digits()
    x, y = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    if not np.array_equal(x, digits.images):
        raise ValueError("scikit-learn's digits are not what they were: samples are not uint8")
    test = split(y)
    return {"x_train": x[~test], "y_train": y[~test], "x_test": x[test], "y_test": y[test]}


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The .npz.")
def main(output: Path) -> None:
    """Write the 8 x 8 digits, split into training and held-out images."""
    arrays: dict[str, Any] = load()
    np.savez_compressed(output, **arrays)
    click.echo(f"{output}: {len(arrays['x_train'])} training, {len(arrays['x_test'])} held out")


if __name__ == "__main__":
    main()
