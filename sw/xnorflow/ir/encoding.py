"""Conversion of a network to a JSON header with plain arrays, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Alphabet
from xnorflow.ir.features import Window
from xnorflow.ir.input_kind import UINT8_KIND, HostQuantiser, InputKind
from xnorflow.ir.input_order import InputOrder
from xnorflow.ir.layer import KINDS
from xnorflow.ir.layer_graph import LayerGraph, Output
from xnorflow.ir.score_steps import ScoreStep

FORMAT = "xnorflow-network-1"
FORMAT_2 = "xnorflow-network-2"
"""Format of networks with an order or a kind of samples; an older version has to refuse them."""

FORMAT_3 = "xnorflow-network-3"
"""Format of networks that are no chain or have several outputs."""
FORMATS = (FORMAT, FORMAT_2, FORMAT_3)


def to_arrays(net: LayerGraph) -> tuple[str, dict[str, NDArray[Any]]]:
    """Split a network into a JSON header and named arrays.

    Returns
    -------
    header : str
        JSON text; it refers to arrays by name.
    arrays : dict of str to array
        Arrays by name.
    """
    arrays: dict[str, NDArray[Any]] = {}
    layers = []
    for index, layer in enumerate(net.layers):
        entry: dict[str, Any] = {"kind": layer.kind}
        for f in fields(layer):
            value = getattr(layer, f.name)
            is_array = isinstance(value, np.ndarray)
            if f.metadata.get("omitted") and not is_array and value == f.default:
                continue
            if is_array:
                arrays[f"{index}.{f.name}"] = value
                value = {"array": f"{index}.{f.name}"}
            elif isinstance(value, Alphabet):
                value = {"alphabet": [value.lo, value.step, value.levels]}
            elif isinstance(value, Window):
                value = {"window": [value.kernel, value.stride, value.dilation, value.pads]}
            elif f.name == "steps":
                value = [
                    _step(step, f"{index}.{f.name}.{k}", arrays) for k, step in enumerate(value)
                ]
            entry[f.name] = value
        layers.append(entry)
    header: dict[str, Any] = {
        "format": FORMAT,
        "name": net.name,
        "shape": net.shape,
        "classes": net.classes,
        "notes": net.notes,
        "layers": layers,
    }
    if net.order is not None:
        order = net.order
        header["format"] = FORMAT_2
        header["order"] = {
            "shape": order.shape,
            "channels": order.channels,
            "layout": order.layout,
            "gather": None,
        }
        if order.gather is not None:
            arrays["order.gather"] = order.gather
            header["order"]["gather"] = {"array": "order.gather"}
    if net.outputs:
        header["outputs"] = [
            {"name": o.name, "shape": o.shape, "gather": {"array": f"output.{k}.gather"}}
            for k, o in enumerate(net.outputs)
        ]
        arrays |= {f"output.{k}.gather": o.gather for k, o in enumerate(net.outputs)}
    if net.outputs or not net.chain:
        header["format"] = FORMAT_3
    if not net.samples.plain:
        kind = net.samples
        header["format"] = max(FORMAT_2, header["format"])
        a = kind.alphabet
        header["samples"] = {"alphabet": {"alphabet": [a.lo, a.step, a.levels]}, "quantised": False}
        if kind.quantiser is not None:
            header["samples"]["quantised"] = True
            arrays["samples.thresholds"] = kind.quantiser.thresholds
            arrays["samples.codes"] = kind.quantiser.codes
    return json.dumps(header), arrays


def _step(step: ScoreStep, name: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the entry of a step, whose arrays get names that begin with `name`."""
    arrays[f"{name}.multiply"], arrays[f"{name}.add"] = step.multiply, step.add
    return {"step": [{"array": f"{name}.multiply"}, {"array": f"{name}.add"}, step.shift]}


def _ints(values: Any, count: int) -> tuple[int, ...]:
    """Return a list of `count` ints as a tuple; ValueError for anything else, such as a bool."""
    if not isinstance(values, list) or [type(v) for v in values] != [int] * count:
        raise ValueError(f"{values!r} is not {count} whole numbers")
    return tuple(values)


def _texts(values: Any) -> tuple[str, ...]:
    """Return a list of strings as a tuple; ValueError for anything else.

    JSON can spell halves of surrogate pairs, which could not be written out again.
    """
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{values!r} is not a list of texts")
    for text in values:
        text.encode()
    return tuple(values)


def _value(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    match value:
        case {"array": name}:
            return arrays[name]
        case {"alphabet": numbers}:
            return Alphabet(*_ints(numbers, 3))
        case {"window": [kernel, stride, dilation, pads]}:
            sizes: Any = [_ints(kernel, 2), _ints(stride, 2), _ints(dilation, 2), _ints(pads, 4)]
            return Window(*sizes)
        case {"step": [{"array": multiply}, {"array": add}, shift]}:
            return ScoreStep(arrays[multiply], arrays[add], shift)
        case list():
            return tuple(_value(v, arrays) if isinstance(v, dict) else v for v in value)
    return value


def from_arrays(header: str, arrays: Mapping[str, NDArray[Any]]) -> LayerGraph:
    """Build the network that `to_arrays` split; `xnorflow.ir.verify` has to check its fields.

    Parameters
    ----------
    header : str
        JSON text.
    arrays : mapping of str to array
        The arrays that the header names.

    Raises
    ------
    ValueError, LookupError, TypeError, AttributeError
        If `to_arrays` cannot have written the header.
    """
    content = json.loads(header)
    if content["format"] not in FORMATS:
        raise ValueError(f"its format is {content['format']!r}, none of {', '.join(FORMATS)}")
    layers = []
    for entry in content["layers"]:
        kind = KINDS[entry.pop("kind")]
        sources = _texts(entry.pop("sources"))
        layers.append(kind(**{k: _value(v, arrays) for k, v in entry.items()}, sources=sources))
    height, width, channels = _ints(content["shape"], 3)
    return LayerGraph(
        content["name"],
        (height, width, channels),
        tuple(layers),
        _texts(content["classes"]),
        _texts(content["notes"]),
        _order(content["order"], arrays) if "order" in content else None,
        _samples(content["samples"], arrays) if "samples" in content else UINT8_KIND,
        tuple(_output(entry, arrays) for entry in content.get("outputs", ())),
    )


def _output(entry: Any, arrays: Mapping[str, NDArray[Any]]) -> Output:
    shape = entry["shape"]
    gather = arrays[entry["gather"]["array"]]
    (name,) = _texts([entry["name"]])
    return Output(name, _ints(shape, len(shape)), gather)


def _samples(entry: Any, arrays: Mapping[str, NDArray[Any]]) -> InputKind:
    alphabet = _value(entry["alphabet"], arrays)
    if not isinstance(alphabet, Alphabet):
        raise ValueError("the samples have no alphabet")
    if not entry["quantised"]:
        return InputKind(alphabet)
    return InputKind(alphabet, HostQuantiser(arrays["samples.thresholds"], arrays["samples.codes"]))


def _order(entry: Any, arrays: Mapping[str, NDArray[Any]]) -> InputOrder:
    shape = _ints(entry["shape"], len(entry["shape"]))
    return InputOrder(shape, _value(entry["gather"], arrays), entry["channels"], entry["layout"])
