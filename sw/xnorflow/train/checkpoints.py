"""Checkpoints of a training: an ``.npz`` of plain arrays, and a line of JSON that says whose."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput
from xnorflow.npz import read_archive
from xnorflow.outputs import whole_file

ABOUT = "about"
"""Name of the array with the bytes of the JSON."""
LIMIT = 1 << 33
"""Most bytes that the arrays of a checkpoint may take."""


@dataclass(frozen=True)
class TrainingOrigin:
    """What a checkpoint belongs to.

    Parameters
    ----------
    method, net : str
        Name of the method, and the layers.
    seed : int
        Seed of everything drawn.
    epochs : int
        Epochs that the training was to have.
    done : int
        Epochs that it had.
    data : str
        Digest of the training images.
    shift : int
        Most pixels that they were moved by; 0 in checkpoints that do not say it.
    """

    method: str
    net: str
    seed: int
    epochs: int
    done: int
    data: str
    shift: int = 0


def save(path: Path, origin: TrainingOrigin, state: dict[str, NDArray[Any]]) -> None:
    """Write a checkpoint; an older one at `path` is replaced once the new one is complete."""
    about = np.frombuffer(json.dumps(asdict(origin)).encode(), np.uint8)
    with whole_file(path) as part, part.open("wb") as file:
        arrays: dict[str, Any] = {ABOUT: about, **state}
        np.savez(file, **arrays)


def read(path: Path) -> tuple[TrainingOrigin, dict[str, NDArray[Any]]]:
    """Read a checkpoint.

    Raises
    ------
    BadInput
        If the file is none.
    """
    if not path.is_file():
        raise BadInput(f"there is no checkpoint {path}")
    state, _ = read_archive(path, LIMIT, what="a readable checkpoint")
    try:
        about = {"shift": 0, **json.loads(state.pop(ABOUT).tobytes())}
        kinds = {
            field.name: str if field.type == "str" else int for field in fields(TrainingOrigin)
        }
        if about.keys() != kinds.keys() or not all(type(about[n]) is k for n, k in kinds.items()):
            raise ValueError("it does not say what it belongs to")
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        raise BadInput(f"{path} is no checkpoint of xnorflow train: {e}") from e
    return TrainingOrigin(**about), state


def check_same(path: Path, found: TrainingOrigin, wanted: TrainingOrigin) -> None:
    """Check that a checkpoint belongs to a training; only the number of epochs may differ.

    Raises
    ------
    BadInput
        If it belongs to another.
    """
    names = {
        "method": "method",
        "net": "--net",
        "seed": "--seed",
        "shift": "--shift",
        "data": "training images",
    }
    for name, shown in names.items():
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            values = "" if name == "data" else f": {there!r} there, {here!r} here"
            raise BadInput(f"{path} is a checkpoint of another training, {shown} differ{values}")
    if found.done > wanted.epochs:
        raise BadInput(
            f"{path} has had {found.done} epochs already, more than --epochs {wanted.epochs}"
        )
