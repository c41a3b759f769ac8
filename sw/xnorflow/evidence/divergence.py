"""Finds the first layer whose golden values do not go together with the file's own tensors.

The golden model's values are integers in an order of their own, the file's are floats in another.
They go together where, channel by channel, each integer always stands for one float and each float
for one integer. That is asked of quantised layers, whose floats no order of summation changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.evidence.executor import Executor


@dataclass(frozen=True)
class Divergence:
    """A value of the golden model that stands for another float than it does elsewhere."""

    layer: str
    node: str
    frame: int
    row: int
    column: int
    channel: int
    value: int
    got: float

    def __str__(self) -> str:
        """Return one line for a person."""
        return (
            f"layer {self.layer}, frame {self.frame}, row {self.row}, column {self.column}, channel"
            f" {self.channel}: {self.value}, where node {self.node!r} of the file has {self.got:g}"
        )


def first_divergence(
    net: ir.IntegerNetwork, executor: Executor, x: NDArray[np.uint8], frames: NDArray[np.int64]
) -> Divergence | None:
    """Find the first quantised layer that goes astray in some frames.

    Parameters
    ----------
    net : IntegerNetwork
        What was made of the file.
    executor : Executor
        Of the file.
    x : uint8 array [n, ...]
        Frames, those that differ among them.
    frames : int64 array [n]
        Their numbers, for the report.

    Returns
    -------
    Divergence or None
        None where all quantised layers that can be found in the file go together with it: then the
        scores alone differ.
    """
    tensors = executor.tensors(net.input_order.samples(x, net.shape))
    outputs = {node.name or node.output[0]: node.output[0] for node in executor.nodes}
    done = set()
    for layer, node, values in _quantised(net, x):
        tensor = tensors.get(outputs.get(node, ""))
        if layer in done or tensor is None or tensor.size != values.size:
            continue
        done.add(layer)
        best = min(
            (_astray(values, floats) for floats in _readings(tensor, values)), key=np.count_nonzero
        )
        if best.any():
            frame, row, column, channel = (int(i) for i in np.argwhere(best)[0])
            at = (frame, row, column, channel)
            floats = next(
                f for f in _readings(tensor, values) if np.array_equal(_astray(values, f), best)
            )
            return Divergence(
                layer=layer,
                node=node,
                frame=int(frames[frame]),
                row=row,
                column=column,
                channel=channel,
                value=int(values[at]),
                got=float(floats[at]),
            )
    return None


def _quantised(
    net: ir.IntegerNetwork, x: NDArray[np.uint8]
) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Return each quantised layer, the last node of the file it came from, and its values.

    The values come once more as they are behind each pool: where the pool stands ahead of the
    quantiser in the file, only those have the size of the file's tensor.
    """
    from xnorflow_sim import golden

    waiting: tuple[str, str] | None = None
    # Thresholds ahead of a table only number intervals.
    numbering = {id(a) for a, b in pairwise(net.layers) if isinstance(b, ir.CodeTable)}
    for layer, values in golden.trace(net, golden.frames(net, x)):
        if layer.quantises:
            known = layer.sources and id(layer) not in numbering
            waiting = (layer.name, layer.sources[-1]) if known else None
        elif not layer.picks:
            waiting = None
        if waiting:
            yield *waiting, values.astype(np.int64)


def _readings(tensor: NDArray[Any], values: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Return the file's tensor as [N, rows, columns, channels], in each order that it may have."""
    n, height, width, channels = values.shape
    yield tensor.reshape(values.shape)
    if height * width > 1 and channels > 1:
        yield tensor.reshape(n, channels, height, width).transpose(0, 2, 3, 1)


def _astray(values: NDArray[np.int64], floats: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark what does not follow the rule that most values of a channel follow."""
    channels = np.broadcast_to(np.arange(values.shape[-1]), values.shape).ravel()
    _, numbers = np.unique(floats.ravel(), return_inverse=True)
    codes = values.ravel() - values.min()
    pairs = np.stack([channels, codes, numbers.ravel()])
    kinds, kind, counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    kind = kind.ravel()
    wrong = np.zeros(values.size, np.bool_)
    for sides in ((0, 1), (0, 2)):
        _, group = np.unique(kinds[list(sides)], axis=1, return_inverse=True)
        group = group.ravel()
        most = np.zeros(int(group.max()) + 1, np.int64)
        np.maximum.at(most, group, counts)
        wrong |= (counts < most[group])[kind]
        # Of two kinds that are equally frequent, the first is taken as the rule.
        first = np.full(len(most), len(counts))
        rule = counts == most[group]
        np.minimum.at(first, group[rule], np.flatnonzero(rule))
        wrong |= (rule & (np.arange(len(counts)) != first[group]))[kind]
    return wrong.reshape(values.shape)
