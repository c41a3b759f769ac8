"""How far the integers of a fixed-point network are from the file in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph import execute
from xnorflow.graph.ops import Graph
from xnorflow.ir import IntegerNetwork
from xnorflow.lower.pending import Mark
from xnorflow_sim import golden


@dataclass(frozen=True)
class Distance:
    """Distance of one layer's output from the value it stands for, over the calibration data.

    Parameters
    ----------
    layer : str
        Name of the layer.
    differ, count : int
        Integers that are not the nearest to the float64 value, of so many. In a layer of two
        values these are decisions that differ.
    error : float
        Root of the mean square of the distance, in units of the float64 values' own.
    binary : bool
        The layer has two values.
    """

    layer: str
    differ: int
    count: int
    error: float
    binary: bool

    def __str__(self) -> str:
        """Return the distance as a sentence for users."""
        if self.binary:
            return (
                f"{self.layer}: {self.differ} of {self.count} decisions differ"
                f" ({self.differ / self.count:.2%})"
            )
        return f"{self.layer}: root mean square error {self.error:.2%} of the values"


def distances(
    graph: Graph,
    net: IntegerNetwork,
    marks: Sequence[Mark],
    x: NDArray[np.float64],
    codes: NDArray[Any],
) -> tuple[Distance, ...]:
    """Measure every layer whose output stands for a value of the graph.

    Parameters
    ----------
    graph : Graph
        Tidy, with real weights.
    net : IntegerNetwork
        Written from it, with its weights rounded.
    marks : sequence of Mark
        From `xnorflow.lower.write`. One whose layer was mirrored afterwards is left out.
    x : float64 array [frames, height, width, channels]
        What the graph's first operation reads.
    codes : uint8 or uint16 array [frames, height, width, channels]
        The same frames as the golden model takes them.
    """
    wanted = {id(m.layer): m for m in marks}
    alphabets = dict(zip(map(id, net.layers), net.features[1:], strict=True))
    total: dict[int, list[float]] = {}
    for first in range(0, len(x), execute.BATCH):
        part = slice(first, first + execute.BATCH)
        values = list(execute.values(graph, x[part]))
        for layer, made in golden.trace(net, codes[part]):
            mark = wanted.get(id(layer))
            if mark is None:
                continue
            exact = values[mark.at]
            got = made.astype(np.float64).reshape(exact.shape) * mark.unit
            step = alphabets[id(layer)].alphabet.step * mark.unit
            off = np.abs(got - exact)
            sums = total.setdefault(id(layer), [0, 0, 0, 0])
            sums[0] += int((off > step / 2 * (1 + 1e-9)).sum())
            sums[1] += off.size
            sums[2] += float((off**2).sum())
            sums[3] += float((exact**2).sum())
    found = []
    for key, (differ, count, square, power) in total.items():
        binary = alphabets[key].alphabet.levels == 2
        error = float(np.sqrt(square / power)) if power else float(square > 0)
        found.append(Distance(wanted[key].layer.name, int(differ), int(count), error, binary))
    return tuple(found)
