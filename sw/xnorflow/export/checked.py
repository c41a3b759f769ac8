"""Writes model files, and executes them before they count as written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.evidence.executor import Executor
from xnorflow.evidence.score_orders import compare_orders
from xnorflow.export.integer_model import integer_model
from xnorflow.export.samples import random_samples
from xnorflow.export.step_model import step_model
from xnorflow.graph.ops import Graph
from xnorflow.lower import lowering_steps
from xnorflow.lower.rounding import ORDER_OF_SUMMATION

Tick = Callable[[int, int], object]
Stages = Callable[[str], AbstractContextManager[Tick]]

FRAMES = 16
"""Random frames that a file is executed on, unless there are images."""
MAX_FILE_BYTES = 1 << 31
"""A protobuf file cannot be larger."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and executed.

    Parameters
    ----------
    path : Path
        The file.
    tool : str
        What executed it.
    frames, differing : int
        How many frames it was executed on; of those, frames whose order of scores differs. That is
        0 but for a step of a network whose float32 sums round otherwise in another order.
    """

    path: Path
    tool: str
    frames: int
    differing: int = 0


def export_network(
    net: ir.IntegerNetwork,
    path: str | Path,
    *,
    qonnx: bool = False,
    x: NDArray[Any] | None = None,
    progress: Tick | None = None,
) -> Exported:
    """Write an integer network as an ONNX file, and execute it.

    Parameters
    ----------
    net : IntegerNetwork
        From `xnorflow.load`.
    path : path
        The file. Its input ``x`` is [frames, rows, columns, channels] in samples of the network's
        kind, its output ``scores`` int64 [frames, classes].
    qonnx : bool
        Write thresholds as QONNX MultiThreshold nodes; everything is of standard operators
        otherwise. Types are annotated as QONNX does either way.
    x : array [N, ...], optional
        Frames of a user's samples to execute it on; random ones otherwise.
    progress : callable, optional
        Is told of frames done and in all.

    Raises
    ------
    UnsupportedModel
        If float32 cannot hold the network's sums, or no integers of 16 bits its samples.
    CheckFailed
        If the file's scores are not the golden model's; the file is removed.
    BadInput
        If it cannot be written.
    """
    path = Path(path)
    _save(integer_model(net, qonnx=qonnx), path)
    samples, frames = _frames(net, x)
    try:
        executor = Executor(path)
        found = executor.run(samples, progress).scores
        wrong = (found != _golden(net, frames)).any(axis=1)
        if wrong.any():
            raise CheckFailed(
                f"{path.name}: {int(wrong.sum())} of {len(frames)} frames have other scores in"
                f" {executor.tool} than in the golden model, the first is frame {wrong.argmax()}"
            )
    except CheckFailed:
        path.unlink()
        raise
    return Exported(path, executor.tool, len(frames))


def export_steps(
    graph: Graph,
    folder: str | Path,
    *,
    x: NDArray[Any] | None = None,
    stages: Stages | None = None,
) -> tuple[Exported, ...]:
    """Write each step of the lowering as a file, and execute them all.

    Parameters
    ----------
    graph : Graph
        As the frontend read it.
    folder : path
        Where to write ``00_imported.onnx`` and so on; it is there.
    x : array [N, ...], optional
        Frames of a user's samples to execute them on; random ones otherwise.
    stages : callable, optional
        Opens a bar with a title; what it gives is told of frames done and in all.

    Raises
    ------
    UnsupportedModel
        If the network cannot be lowered, or a step has no file.
    CheckFailed
        If a step orders scores differently, and no float32 sum of the network explains it.
    """
    opened = stages or (lambda title: nullcontext(lambda done, total: None))
    steps = list(lowering_steps(graph))
    net = steps[-1][1]
    assert isinstance(net, ir.IntegerNetwork)
    samples, frames = _frames(net, x)
    expected = _golden(net, frames)
    rounded = any(ORDER_OF_SUMMATION in note for note in net.notes)
    made = []
    for number, (name, step) in enumerate(steps):
        path = Path(folder) / f"{number:02d}_{name}.onnx"
        with opened(path.name) as tick:
            if isinstance(step, ir.IntegerNetwork):
                made.append(export_network(step, path, x=x, progress=tick))
                continue
            _save(step_model(step), path)
            executor = Executor(path)
            order = compare_orders(executor.run(samples, tick).scores, expected).order
        if order.any() and not rounded:
            raise CheckFailed(
                f"{path.name} orders the scores of {int(order.sum())} of {len(frames)} frames"
                f" differently than the golden model, the first is frame {order.argmax()}"
            )
        made.append(Exported(path, executor.tool, len(frames), int(order.sum())))
    return tuple(made)


def _frames(net: ir.LayerGraph, x: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return frames in the order of the stream, which is the file's: samples, and their codes."""
    from xnorflow_sim import golden

    if x is None:
        samples = random_samples(net.samples, net.shape, FRAMES)
        return samples, net.samples.encode(samples)
    codes = golden.frames(net, x)
    return net.input_order.frames(np.asarray(x), net.shape), codes


def _golden(net: ir.LayerGraph, frames: NDArray[Any]) -> ir.Ints:
    """Compute the golden model's scores of frames of codes."""
    from xnorflow_sim import golden

    scores = []
    for first in range(0, len(frames), FRAMES):
        *_, (_, values) = golden.trace(net, frames[first : first + FRAMES])
        scores.append(values.reshape(len(values), -1))
    return np.concatenate(scores)


def _save(model: onnx.ModelProto, path: Path) -> None:
    if model.ByteSize() > MAX_FILE_BYTES:
        raise BadInput(f"{path}: the network is too large for one ONNX file")
    try:
        onnx.save(model, path)
    except OSError as e:
        raise BadInput(f"cannot write {path}: {e.strerror or e}") from e
