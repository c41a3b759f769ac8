"""The search for the first layer whose golden values do not match the file's own tensors.

The golden model's values are integers, the file's are floats in a layout of their own. They match
if, in each channel, each integer always corresponds to the same float and each float to the same
integer. Only quantised layers are compared, as the order of summation does not change their floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.evidence.executor import Executor


@dataclass(frozen=True)
class Divergence:
    """A value of the golden model that corresponds to another float than elsewhere in its channel.

    Parameters
    ----------
    layer : str
        Layer of the integer network.
    node : str
        Node of the file that corresponds to the layer.
    frame, row, column, channel : int
        Place of the value.
    value : int
        The golden model's value.
    got : float
        The file's value at that place.
    """

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
    """Find the first quantised layer whose values do not match the file's.

    Parameters
    ----------
    net : IntegerNetwork
        The network that was made of the file.
    executor : Executor
        Executor of the file.
    x : uint8 array [n, ...]
        Frames, including some whose scores differ.
    frames : int64 array [n]
        Numbers of the frames, for the report.

    Returns
    -------
    Divergence or None
        None if all quantised layers that the file has match: then only the scores differ.
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
    """Yield each quantised layer, the last node of the file that it came from, and its values.

    The layer is yielded once more after each max-pool behind it, with the pooled values: if the
    file has the pool before the quantiser, only these have the size of the file's tensor.
    """
    from xnorflow_sim import golden

    # What each map's values correspond to: a layer and a node.
    stands: list[tuple[str, str] | None] = [None]
    steps = zip(golden.trace(net, golden.frames(net, x)), net.reads, net.readers[1:], strict=True)
    for (layer, values), reads, readers in steps:
        found = stands[reads[0]] if layer.picks else None
        if layer.quantises:
            # Thresholds before a table only number intervals, so they correspond to no node.
            numbers = any(isinstance(net.layers[k], ir.CodeTable) for k in readers)
            found = (layer.name, layer.sources[-1]) if layer.sources and not numbers else None
        stands.append(found)
        if found:
            yield *found, values.astype(np.int64)


def _readings(tensor: NDArray[Any], values: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Yield the file's tensor as [N, rows, columns, channels], for each layout it may have."""
    n, height, width, channels = values.shape
    yield tensor.reshape(values.shape)
    if height * width > 1 and channels > 1:
        yield tensor.reshape(n, channels, height, width).transpose(0, 2, 3, 1)


def _astray(values: NDArray[np.int64], floats: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the values whose floats are not those of most equal values in their channel.

    1. Count how often each pair of integer and float occurs in each channel.
    2. For each integer, the most frequent pair is the rule; for each float likewise.
    3. Mark the values of all other pairs.
    """
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
        # If several pairs are equally frequent, the first is the rule.
        first = np.full(len(most), len(counts))
        rule = counts == most[group]
        np.minimum.at(first, group[rule], np.flatnonzero(rule))
        wrong |= (rule & (np.arange(len(counts)) != first[group]))[kind]
    return wrong.reshape(values.shape)
