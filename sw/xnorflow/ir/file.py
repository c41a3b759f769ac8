"""Integer networks as ``.npz`` files: a JSON header and plain arrays, nothing pickled."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.ir.check import verify
from xnorflow.npz import READ_ERRORS, read_archive

FORMAT = "xnorflow-network-1"
MAX_BYTES = 1 << 30
"""Most that the arrays of a network may take, in bytes."""
_KINDS: dict[str, type[ir.Layer]] = {
    c.kind: c
    for c in (ir.InputTable, ir.Flatten, ir.Conv, ir.MaxPool, ir.SumPool, ir.Threshold, ir.Scores)
}


def to_arrays(net: ir.IntegerNetwork) -> tuple[str, dict[str, NDArray[Any]]]:
    """Split a network into a JSON header and named arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    layers = []
    for index, layer in enumerate(net.layers):
        entry: dict[str, Any] = {"kind": layer.kind}
        for f in fields(layer):
            value = getattr(layer, f.name)
            if isinstance(value, np.ndarray):
                arrays[f"{index}.{f.name}"] = value
                value = {"array": f"{index}.{f.name}"}
            elif isinstance(value, ir.Alphabet):
                value = {"alphabet": [value.lo, value.step, value.levels]}
            elif isinstance(value, ir.Window):
                value = {"window": [value.kernel, value.stride, value.dilation, value.pads]}
            entry[f.name] = value
        layers.append(entry)
    header = {
        "format": FORMAT, "name": net.name, "shape": net.shape, "classes": net.classes,
        "notes": net.notes, "layers": layers,
    }
    return json.dumps(header), arrays


def _ints(values: Any, count: int) -> tuple[int, ...]:
    """Take whole numbers, and nothing that only looks like them."""
    if not isinstance(values, list) or [type(v) for v in values] != [int] * count:
        raise ValueError(f"{values!r} is not {count} whole numbers")
    return tuple(values)


def _value(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    match value:
        case {"array": name}:
            return arrays[name]
        case {"alphabet": numbers}:
            return ir.Alphabet(*_ints(numbers, 3))
        case {"window": [kernel, stride, dilation, pads]}:
            sizes: Any = [_ints(kernel, 2), _ints(stride, 2), _ints(dilation, 2), _ints(pads, 4)]
            return ir.Window(*sizes)
        case list():
            return tuple(value)
    return value


def save(net: ir.IntegerNetwork, path: str | Path) -> None:
    """Write a network to an ``.npz`` file."""
    header, arrays = to_arrays(net)
    np.savez_compressed(path, allow_pickle=False, header=np.array(header), **arrays)


def load(path: str | Path) -> ir.IntegerNetwork:
    """Read a network that `save` wrote.

    Raises
    ------
    xnorflow.errors.BadInput
        If the file is anything else.
    """
    try:
        arrays, _ = read_archive(Path(path), MAX_BYTES)
        header = json.loads(str(arrays.pop("header")))
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
        layers = []
        for entry in header["layers"]:
            kind = _KINDS[entry.pop("kind")]
            layers.append(kind(**{k: _value(v, arrays) for k, v in entry.items()}))
        net = ir.IntegerNetwork(
            header["name"], _ints(header["shape"], 3), tuple(layers),  # type: ignore[arg-type]
            tuple(map(str, header["classes"])), tuple(map(str, header["notes"])),
        )
        verify(net)
    except (*READ_ERRORS, LookupError, TypeError, AttributeError, ArithmeticError) as e:
        raise BadInput(f"{path} is not a network that xnorflow wrote: {e}") from e
    return net
