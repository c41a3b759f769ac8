"""The export of model files, each of which is executed and compared with the golden model."""

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
from xnorflow.lower.fixed_point import FixedPoint
from xnorflow.lower.rounding import ORDER_OF_SUMMATION

Tick = Callable[[int, int], object]
"""Is called with the numbers of frames done and of all frames."""
Stages = Callable[[str], AbstractContextManager[Tick]]
"""Opens a progress bar with a title; it yields a `Tick`."""

FRAMES = 16
"""Number of random frames on which a file is executed if no images are given."""
MAX_FILE_BYTES = 1 << 31
"""Most bytes of a protobuf file."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and executed.

    Parameters
    ----------
    path : Path
        The file.
    tool : str
        Name and version of the executor.
    frames : int
        Number of frames on which it was executed.
    differing : int
        Number of frames whose order of scores differs from the golden model's; always 0, except for
        a step of a network with float32 sums that depend on the order of summation, or one that
        was rounded to fixed point.
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
    """Write an integer network as an ONNX file, and check its scores in an executor.

    Parameters
    ----------
    net : IntegerNetwork
        A network, from `xnorflow.load`.
    path : path
        The file. Its input ``x`` is [frames, rows, columns, channels] in samples of the network's
        kind, its output ``scores`` int64 [frames, classes]; a network with named outputs gives each
        of them by its name, int64 in the shape that it has in the imported file.
    qonnx : bool
        Write thresholds as QONNX MultiThreshold nodes; everything is of standard operators
        otherwise. Types are annotated as QONNX does either way.
    x : array [N, ...], optional
        Frames of a user's samples to execute it on; random ones otherwise.
    progress : callable, optional
        Called with the numbers of frames done and of all frames, after each.

    Returns
    -------
    Exported
        The file and its executor.

    Raises
    ------
    UnsupportedModel
        If float32 cannot hold the network's sums, or no integers of 16 bits its samples.
    CheckFailed
        If a score differs from the golden model's; the file is then removed.
    BadInput
        If the file cannot be written.
    ToolMissing
        If the executor is not installed.
    """
    path = Path(path)
    _save(integer_model(net, qonnx=qonnx), path)
    samples, frames = _frames(net, x)
    try:
        executor = Executor(path, outputs=_output_names(path))
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
    fixed: FixedPoint | None = None,
    x: NDArray[Any] | None = None,
    stages: Stages | None = None,
) -> tuple[Exported, ...]:
    """Write each step of the lowering as an ONNX file, and check the order of its scores.

    Parameters
    ----------
    graph : Graph
        An imported network, from `xnorflow.frontend.read`.
    folder : path
        Existing folder, which gets ``00_imported.onnx`` and so on.
    fixed : FixedPoint, optional
        How to round what has no exact integer form.
    x : array [N, ...], optional
        Frames of a user's samples on which the files are executed; random ones by default.
    stages : callable, optional
        Opens a progress bar for each file, see `Stages`.

    Returns
    -------
    tuple of Exported
        The files in the order of the steps.

    Raises
    ------
    UnsupportedModel
        If the network cannot be lowered, or a step cannot be written as ONNX.
    CheckFailed
        If a step orders scores differently, and neither a float32 sum of the network nor fixed
        point explains it.
    BadInput
        If a file cannot be written.
    ToolMissing
        If the executor is not installed.
    """
    opened = stages or (lambda title: nullcontext(lambda done, total: None))
    steps = list(lowering_steps(graph, fixed))
    net = steps[-1][1]
    assert isinstance(net, ir.IntegerNetwork)
    samples, frames = _frames(net, x)
    expected = _golden(net, frames)
    rounded = fixed is not None or any(ORDER_OF_SUMMATION in note for note in net.notes)
    made = []
    for number, (name, step) in enumerate(steps):
        path = Path(folder) / f"{number:02d}_{name}.onnx"
        with opened(path.name) as tick:
            if isinstance(step, ir.IntegerNetwork):
                made.append(export_network(step, path, x=x, progress=tick))
                continue
            _save(step_model(step), path)
            executor = Executor(path, outputs=_output_names(path))
            found = executor.run(samples, tick)
            order = compare_orders(found.scores, expected, found.sizes).order
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


def _golden(net: ir.IntegerNetwork, frames: NDArray[Any]) -> ir.Ints:
    """Compute the elements of all outputs, in the file's order, of frames of codes."""
    from xnorflow_sim import golden

    parts = [frames[first : first + FRAMES] for first in range(0, len(frames), FRAMES)]
    scores = np.concatenate([golden.run_frames(net, part) for part in parts])
    return scores[:, np.concatenate([output.gather for output in net.named])]


def _output_names(path: Path) -> list[str]:
    """Return the names of a file's outputs."""
    return [output.name for output in onnx.load(path, load_external_data=False).graph.output]


def _save(model: onnx.ModelProto, path: Path) -> None:
    if model.ByteSize() > MAX_FILE_BYTES:
        raise BadInput(
            f"{path}: the network takes {model.ByteSize()} bytes, and one ONNX file holds at most"
            f" {MAX_FILE_BYTES}; the weights alone can be written as .npz, hex or C"
        )
    try:
        onnx.save(model, path)
    except OSError as e:
        raise BadInput(f"cannot write {path}: {e.strerror or e}") from e
