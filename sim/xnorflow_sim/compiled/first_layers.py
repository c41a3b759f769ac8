"""The first layers of a network, ready to be called: steps and the library that executes them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow_sim.compiled import kernel_library
from xnorflow_sim.compiled.step_table import StepTable, step_table


@dataclass(frozen=True, eq=False)
class FirstLayers:
    """The first `layers` layers of a network, compiled.

    Parameters
    ----------
    table : StepTable
        Their steps.
    run : callable
        The function that executes steps.
    """

    table: StepTable
    run: kernel_library.Kernels

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.table.layers

    def __call__(self, x: NDArray[Any]) -> NDArray[np.int32]:
        """Compute the map after the last of the layers.

        Parameters
        ----------
        x : uint8 or uint16 array [N, height, width, channels]
            Codes of the samples.

        Returns
        -------
        int32 array [N, height, width, channels]
            Values of the map.
        """
        out = self.table.out
        found = kernel_library.execute(self.run, self.table.steps, x, out.size, self.table.most)
        return found.reshape(len(x), *out.shape)


_TABLES: weakref.WeakKeyDictionary[LayerGraph, StepTable | None] = weakref.WeakKeyDictionary()


def first_layers(net: LayerGraph, *, needed: bool) -> FirstLayers | None:
    """Return the compiled first layers of a network; None if it has none that can be.

    Parameters
    ----------
    net : LayerGraph
        The network. Its steps are kept for as long as it lives.
    needed : bool
        Whether to raise what keeps the library from being built: BadInput, CheckFailed or
        ToolMissing. Otherwise there are no compiled layers then.
    """
    if net not in _TABLES:
        _TABLES[net] = step_table(net)
    table = _TABLES[net]
    if table is None:
        return None
    try:
        return FirstLayers(table, kernel_library.kernels())
    except (BadInput, CheckFailed, ToolMissing, OSError):
        if needed:
            raise
        return None
