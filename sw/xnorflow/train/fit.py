"""The loop around every method: epochs, checkpoints, and the file at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from xnorflow.errors import BadInput
from xnorflow.outputs import whole_file
from xnorflow.train.chain_file import ChainFile
from xnorflow.train.checkpoints import TrainingOrigin, check_same, read, save
from xnorflow.train.data_sets import DataSet
from xnorflow.train.methods import Method
from xnorflow.train.training import Epoch, Task, Training

CALIBRATION = 500
"""Training images, the first, that fixed point is calibrated on."""

Progress = Callable[[int, int, Epoch], object]


def fit(
    method: Method,
    task: Task,
    *,
    checkpoint: Path | None = None,
    resume: Path | None = None,
    progress: Progress | None = None,
) -> Training:
    """Train a network.

    Parameters
    ----------
    method : Method
        How.
    task : Task
        What.
    checkpoint : Path, optional
        File that is written after every epoch.
    resume : Path, optional
        Checkpoint to go on from; the weights become those of a training without interruption.
    progress : callable, optional
        Is called after every epoch with the number done, that of all, and what it came to.

    Returns
    -------
    Training
        The network after its last epoch.

    Raises
    ------
    BadInput
        If the checkpoint belongs to another training.
    ToolMissing
        If a package of the extra ``train`` is not installed.
    """
    origin = TrainingOrigin(
        method.name, task.net, task.seed, task.epochs, 0, task.data.digest, task.shift
    )
    training = method.start(task)
    done = 0
    if resume is not None:
        found, state = read(resume)
        check_same(resume, found, origin)
        try:
            training.restore(state)
        except (KeyError, ValueError, RuntimeError) as e:
            raise BadInput(f"{resume} does not hold this network's arrays: {e}") from e
        done = found.done
    for number in range(done, task.epochs):
        came_to = training.epoch(number)
        if checkpoint is not None:
            save(checkpoint, replace(origin, done=number + 1), training.state())
        if progress is not None:
            progress(number + 1, task.epochs, came_to)
    return training


def write_file(training: Training, method: Method, task: Task, path: Path) -> None:
    """Write a trained network as ONNX; the same training gives the same bytes.

    Parameters
    ----------
    training : Training
        The network.
    method, task : Method, Task
        Where it comes from, for the text in the file.
    path : Path
        File to write, as a whole or not at all.
    """
    file = ChainFile(f"{method.name}_{task.data.name}", task.data.frame)
    training.write(file)
    moved = f", images moved by up to {task.shift} pixels" if task.shift else ""
    about = (
        f"{method.title} ({method.paper}), trained by xnorflow train {method.name} on"
        f" {task.data.name}: net {task.net or 'none'}, {task.epochs} epochs, seed"
        f" {task.seed}{moved}. Takes raw samples 0 to {task.data.most}."
    )
    with whole_file(path) as part:
        file.save(part, task.data.classes, about)


def write_calibration(data: DataSet, path: Path) -> None:
    """Write the first training images, for ``--calibrate``, as a whole or not at all."""
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, x=data.x_train[:CALIBRATION])
