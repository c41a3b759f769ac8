"""Integer networks as ``.npz`` files: a JSON header and plain arrays, nothing pickled."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import BadInput

FORMAT = "xnorflow-network-1"
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


def _value(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    match value:
        case {"array": name}:
            return arrays[name]
        case {"alphabet": [lo, step, levels]}:
            return ir.Alphabet(lo, step, levels)
        case {"window": [kernel, stride, dilation, pads]}:
            return ir.Window(tuple(kernel), tuple(stride), tuple(dilation), tuple(pads))
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
        with np.load(path, allow_pickle=False) as z:
            arrays = {name: z[name] for name in z.files}
        header = json.loads(str(arrays.pop("header")))
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
        layers = []
        for entry in header["layers"]:
            kind = _KINDS[entry.pop("kind")]
            layers.append(kind(**{k: _value(v, arrays) for k, v in entry.items()}))
        net = ir.IntegerNetwork(
            header["name"], tuple(header["shape"]), tuple(layers),
            tuple(header["classes"]), tuple(header["notes"]),
        )
        verify(net)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as e:
        raise BadInput(f"{path} is not a network that xnorflow wrote: {e}") from e
    return net


def verify(net: ir.IntegerNetwork) -> None:
    """Check what every pass must leave true; the verifier between passes.

    Raises
    ------
    ValueError
        With the layer and what is wrong with it.
    """
    if not net.name.isidentifier():
        raise ValueError(f"the network's name {net.name!r} is not an identifier")
    if not net.layers or not isinstance(net.layers[-1], ir.Scores):
        raise ValueError("the last layer is not a Scores")
    names = [layer.name for layer in net.layers]
    if len(set(names)) != len(names):
        raise ValueError(f"two layers share a name: {names}")
    for layer, inp, out in net:
        def need(truth: bool, what: str, layer: ir.Layer = layer) -> None:
            if not truth:
                raise ValueError(f"layer {layer.name!r}: {what}")

        need(layer.name.isidentifier(), "its name is not an identifier")
        need(out.alphabet.bits <= ir.MAX_BITS, f"{out.alphabet.bits} bits are too wide")
        if isinstance(layer, ir.InputTable):
            need(layer.table.dtype == np.int64, "its table is not int64")
            need(layer.table.min() >= 0 and layer.table.max() < layer.alphabet.levels,
                 "a code of its table is out of range")
        elif isinstance(layer, ir.Conv):
            need(layer.weights.dtype == np.int64, "its weights are not int64")
            codes, rest = np.divmod(layer.weights - layer.alphabet.lo, layer.alphabet.step)
            need(not rest.any() and codes.min() >= 0 and codes.max() < layer.alphabet.levels,
                 f"a weight is not in {layer.alphabet}")
        elif isinstance(layer, ir.SumPool):
            need(0 <= layer.pad_code < inp.alphabet.levels, "its pad code is out of range")
        elif isinstance(layer, ir.Threshold):
            need(layer.thresholds.dtype == np.int64, "its thresholds are not int64")
            need(bool((np.diff(layer.thresholds, axis=1) >= 0).all()), "thresholds descend")
        elif isinstance(layer, ir.Scores):
            need(layer is net.layers[-1], "scores can only be last")
