"""The compiled parts of a network, ready to be called: steps and the library that executes them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow_sim.compiled import kernel_library
from xnorflow_sim.compiled.step_table import StepTable, step_tables


@dataclass(frozen=True, eq=False)
class CompiledLayers:
    """Compiled parts of a network; the golden model computes what lies between them.

    Parameters
    ----------
    tables : dict
        The steps of each part, by its first layer.
    run : callable
        The function that executes steps.
    """

    tables: dict[int, StepTable]
    run: kernel_library.Kernels

    @property
    def layers(self) -> int:
        """Number of layers in all parts."""
        return sum(table.end - table.first for table in self.tables.values())

    def __call__(self, table: StepTable, x: NDArray[Any]) -> NDArray[np.int32]:
        """Compute the map behind a part.

        Parameters
        ----------
        table : StepTable
            One of `tables`.
        x : array [N, height, width, channels]
            What the part reads: codes of samples, uint8 or uint16, if it reads the frame; else the
            integers of a map, of any dtype.

        Returns
        -------
        int32 array [N, height, width, channels]
            Values of the map.
        """
        read = x if table.source == 0 else x.astype(np.int32)
        found = kernel_library.execute(self.run, table.steps, read, table.out.size, table.most)
        return found.reshape(len(x), *table.out.shape)


_TABLES: weakref.WeakKeyDictionary[LayerGraph, dict[int, StepTable]] = weakref.WeakKeyDictionary()


def compiled_layers(net: LayerGraph, *, needed: bool) -> CompiledLayers | None:
    """Return the compiled parts of a network; None if it has none that can be.

    Parameters
    ----------
    net : LayerGraph
        The network. Its steps are kept for as long as it lives.
    needed : bool
        Whether to raise what keeps the library from being built: BadInput, CheckFailed or
        ToolMissing. Otherwise there are no compiled layers then.
    """
    if net not in _TABLES:
        _TABLES[net] = {table.first: table for table in step_tables(net)}
    if not _TABLES[net]:
        return None
    try:
        return CompiledLayers(_TABLES[net], kernel_library.kernels())
    except (BadInput, CheckFailed, ToolMissing, OSError):
        if needed:
            raise
        return None
