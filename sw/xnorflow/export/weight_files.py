"""The parameters of an integer network for other programs, as npz, hex images or a C header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.version import __version__

WeightFormat = Literal["npz", "hex", "c"]
C_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
AXES = {
    "weights": "output channel, kernel row, kernel column, input channel of its group",
    "thresholds": "channel, threshold in ascending order",
    "table": "input channel or one for all, sample",
    "minimum": "channel whose minimum is taken",
    **dict.fromkeys(("rescale.multiply", "offset", "least", "most"), "channel"),
    **dict.fromkeys(("add.multiply", "maximum.multiply"), "input, channel or one for all"),
    "values": "row or one for all, column or one for all, channel or one for all",
    "offsets": "class",
    "ranks": "class, value - rank_lo",
    "rank_lo": "class",
    "scores.multiply": "step, class",
    "scores.add": "step, class",
    "scores.shift": "step",
    "places": "element of the output in its own order; its place among the scores of a frame",
}
"""Meaning of the axes of each parameter, by its field, or by the layer's kind and the field."""
OUTPUT = "output"
"""Begins the name of what belongs to an output; no layer's name has the dot behind it."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """An integer array of a layer.

    Parameters
    ----------
    layer, field : str
        Name of the layer, and of its field.
    values : int64 array
        The content of the field; for weights these are values, not codes.
    alphabet : Alphabet or None
        Alphabet of the values; None if they may be any integers.
    kind : str
        Kind of the layer.
    """

    layer: str
    field: str
    values: NDArray[np.int64]
    alphabet: ir.Alphabet | None
    kind: str = ""

    @property
    def axes(self) -> str:
        """Meaning of the axes of the values."""
        return AXES.get(f"{self.kind}.{self.field}") or AXES.get(self.field, "")

    @property
    def name(self) -> str:
        """Name of the layer and the field, ``layer.field``."""
        return f"{self.layer}.{self.field}"

    @property
    def codes(self) -> tuple[NDArray[np.int64], int]:
        """Unsigned codes, and the width of each in bits.

        They are codes of the alphabet if there is one. Otherwise they are the values, in two's
        complement if one is negative.
        """
        if self.alphabet is not None:
            a = self.alphabet
            return (self.values - a.lo) // a.step, a.bits
        low, high = int(self.values.min(initial=0)), int(self.values.max(initial=0))
        if low >= 0:
            return self.values, max(1, high.bit_length())
        bits = 1 + max((-low - 1).bit_length(), high.bit_length())
        return self.values & ((1 << bits) - 1), bits


def parameters(net: ir.IntegerNetwork) -> Iterator[Parameter]:
    """Yield the integer arrays of a network, layer by layer, then the places of its outputs."""
    for layer in net.layers:
        for f in fields(layer):
            values = getattr(layer, f.name)
            if not isinstance(values, np.ndarray) or values.dtype.kind == "f":
                continue
            alphabet = None
            if isinstance(layer, ir.Conv) and f.name == "weights":
                alphabet = layer.alphabet
            yield Parameter(layer.name, f.name, values.astype(np.int64), alphabet, layer.kind)
        if isinstance(layer, ir.Scores) and layer.steps:
            for name in ("multiply", "add", "shift"):
                stacked = np.array([getattr(step, name) for step in layer.steps], np.int64)
                yield Parameter(layer.name, name, stacked, None, layer.kind)
    for k, output in enumerate(net.outputs):
        yield Parameter(f"{OUTPUT}.{k}", "places", output.gather, None)


def save_weights(net: ir.IntegerNetwork, path: str | Path, kind: WeightFormat) -> tuple[str, ...]:
    """Write all parameters of a network.

    Parameters
    ----------
    net : IntegerNetwork
        A network, from `xnorflow.load`.
    path : path
        File to write for npz and C; for hex, an existing folder, which gets a file per parameter.
    kind : {"npz", "hex", "c"}
        npz: an array per parameter, named ``layer.field`` and of the narrowest type, and ``about``,
        a JSON text. hex: a line for each index of the first axis, which holds all its codes as one
        hexadecimal number, the first code in the lowest bits; comments give the shape. c: a header
        with static const arrays.

    Returns
    -------
    tuple of str
        Names of the arrays (npz) or files (hex, c) that were written.

    Raises
    ------
    BadInput
        If `kind` is unknown, or a file cannot be written.
    """
    path = Path(path)
    try:
        match kind:
            case "npz":
                return _save_npz(net, path)
            case "hex":
                return _save_hex(net, path)
            case "c":
                path.write_text(_c_header(net))
                return (path.name,)
            case _:
                known = ", ".join(get_args(WeightFormat))
                raise BadInput(f"weights are written as {known}, not as {kind}")
    except OSError as e:
        raise BadInput(f"cannot write {path}: {e.strerror or e}") from e


def narrowest(values: NDArray[np.int64]) -> str:
    """Return the name of the narrowest NumPy integer type that holds all values."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for name in C_TYPES:
        info = np.iinfo(name)
        if info.min <= low and high <= info.max:
            return name
    raise TypeError(f"no type holds {low} to {high}")


def about(net: ir.IntegerNetwork) -> dict[str, Any]:
    """Return a description of a network and its layers without their arrays, for JSON."""
    layers = []
    names = ("", *(layer.name for layer in net.layers))
    for (layer, inp, out), reads in zip(net, net.reads, strict=True):
        entry: dict[str, Any] = {
            "name": layer.name,
            "kind": layer.kind,
            "input_shape": inp.shape,
            "input_alphabet": str(inp.alphabet),
            "output_shape": out.shape,
            "output_alphabet": str(out.alphabet),
        }
        if not net.chain:
            entry["reads"] = [names[k] for k in reads]
        for f in fields(layer):
            value = getattr(layer, f.name)
            match value:
                case ir.Alphabet():
                    entry[f.name] = {"lo": value.lo, "step": value.step, "levels": value.levels}
                case ir.Window():
                    entry[f.name] = {w.name: getattr(value, w.name) for w in fields(value)}
                case int() | None:
                    entry[f.name] = value
                case str() | tuple() if f.name in ("factors", "fill", "crop"):
                    entry[f.name] = value
                case _:  # Arrays are written on their own; names are above, sources left out.
                    pass
        layers.append(entry)
    outputs = [
        {"name": output.name, "shape": output.shape, "places": f"{OUTPUT}.{k}.places"}
        for k, output in enumerate(net.outputs)
    ]
    return {
        "xnorflow": __version__,
        "network": net.name,
        "digest": net.digest,
        "classes": net.classes,
        "layers": layers,
    } | ({"outputs": outputs} if net.outputs else {})


def _save_npz(net: ir.IntegerNetwork, path: Path) -> tuple[str, ...]:
    arrays = {p.name: p.values.astype(narrowest(p.values)) for p in parameters(net)}
    with path.open("wb") as f:
        np.savez_compressed(f, allow_pickle=False, about=np.array(json.dumps(about(net))), **arrays)
    return tuple(arrays)


def _save_hex(net: ir.IntegerNetwork, folder: Path) -> tuple[str, ...]:
    made = []
    for p in parameters(net):
        name = f"{p.name}.hex"
        (folder / name).write_text(_hex(net, p))
        made.append(name)
    return tuple(made)


def _hex(net: ir.IntegerNetwork, p: Parameter) -> str:
    codes, bits = p.codes
    rows = codes.reshape(len(codes), -1)
    digits = max(1, -(-rows.shape[1] * bits // 4))
    meaning = "two's complement" if p.values.min(initial=0) < 0 else "unsigned"
    if p.alphabet is not None:
        meaning = f"value = {p.alphabet.lo} + {p.alphabet.step} * code"
    lines = [
        f"// {net.name} {p.name} {list(p.values.shape)}: {p.axes}",
        f"// {bits} bits each, {meaning}; a line per index of axis 0, the first code lowest",
    ]
    for row in rows:
        planes = (row[:, None] >> np.arange(bits)) & 1
        packed = np.packbits(planes.astype(np.uint8).ravel(), bitorder="little")
        lines.append(f"{int.from_bytes(packed.tobytes(), 'little'):0{digits}x}")
    return "\n".join(lines) + "\n"


def _c_header(net: ir.IntegerNetwork) -> str:
    guard = _c_name(f"{net.name}_weights_h").upper()
    parts = [
        f"/* xnorflow {__version__}: {net.name}, network {net.digest} */",
        f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>",
    ]
    for p in parameters(net):
        shape = p.values.shape
        kind = f"{narrowest(p.values)}_t"
        sizes = "".join(f"[{n}]" for n in shape)
        if 0 in shape:
            parts.append(f"/* {p.name} {list(shape)} is empty */")
            continue
        name = _c_name(f"{net.name}_{p.layer}_{p.field}")
        of = f", of {p.alphabet}" if p.alphabet is not None else ""
        parts.append(
            f"/* {p.name}: {p.axes}{of} */\n"
            f"static const {kind} {name}{sizes} = {_braces(p.values)};"
        )
    return "\n\n".join([*parts, "#endif"]) + "\n"


def _c_name(text: str) -> str:
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def _braces(values: NDArray[np.int64]) -> str:
    if values.ndim == 1:
        return "{" + ", ".join(map(str, values.tolist())) + "}"
    inner = (",\n " if values.ndim > 1 else ", ").join(_braces(v) for v in values)
    return "{" + inner + "}"
