"""Build the data file of the demo: ``python -m xnorflow.train.digits_data -o digits.npz``.

The 1,797 images of 8 x 8 pixels are those of scikit-learn, which are the test set of the UCI
collection (source and licence: ``xnorflow/demo/README.md``). Their samples, 0 to 16, are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from xnorflow.train import needs


def split(labels: NDArray[Any], every: int = 4) -> NDArray[np.bool_]:
    """Choose the images to hold out: the first of every `every` images of each class.

    The choice depends on the order in the file alone, so it never changes, and it holds out the
    same share of each class. Consecutive images are often by the same writer, so a writer may be
    in both sets.

    Parameters
    ----------
    labels : int array [images]
        Class of each image.
    every : int
        Images of a class of which one is held out.

    Returns
    -------
    bool array [images]
        True for an image that is held out.
    """
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held_out[np.flatnonzero(labels == label)[::every]] = True
    return held_out


def load() -> dict[str, NDArray[np.uint8]]:
    """Read the digits of scikit-learn, and split them into training and held-out images.

    Returns
    -------
    dict of str to uint8 array
        ``x_train`` and ``x_test`` [images, 8, 8], samples from 0 to 16; ``y_train`` and ``y_test``
        [images], classes from 0 to 9.

    Raises
    ------
    xnorflow.errors.ToolMissing
        If scikit-learn is not installed.
    """
    digits = needs("sklearn.datasets").load_digits()
    x, y = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    if not np.array_equal(x, digits.images):
        raise ValueError("the digits of this version of scikit-learn are no whole numbers any more")
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
