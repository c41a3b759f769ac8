"""The import of a network from an ONNX file."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

from xnorflow.frontend.importer import imported
from xnorflow.frontend.input_samples import input_samples
from xnorflow.frontend.model_file import load
from xnorflow.graph import ops
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir.input_order import known_layout


def read(
    path: str | Path,
    *,
    input_scale: float | Fraction | str = 1.0,
    name: str | None = None,
    layout: str | None = None,
    input: str = "uint8",
) -> ops.Graph:
    """Import a trained network from an ONNX or QONNX file.

    Parameters
    ----------
    path : path
        The file; it is not trusted.
    input_scale : float, Fraction or str
        Scaling of samples to the file's input; see `xnorflow.graph.input_scale.InputScale.of`.
    name : str, optional
        Name of the network, which is made into an identifier; by default the file's name.
    layout : {"file", "nhwc", "nchw"}, optional
        Order in which the user holds samples; see `xnorflow.ir.InputOrder`.
    input : str
        Kind of the samples; see `xnorflow.ir.input_kind`.

    Returns
    -------
    Graph
        The imported network, for `xnorflow.lower.lower`.

    Raises
    ------
    BadInput
        If the file does not exist, or an argument is invalid or does not fit the file.
    UnsupportedModel
        If the file is damaged, or the network cannot be mapped; the message names the node.
    """
    path = Path(path)
    scale = InputScale.of(input_scale)
    said = known_layout(layout)
    file = load(path)
    made, notes = imported(file)
    order = made.source.order(said)
    samples = input_samples(file, input, scale, made.ops)
    return ops.Graph(
        identifier(path.stem if name is None else name),
        made.source.frame,
        made.ops,
        samples.scale,
        _classes(file.doc, made.size),
        (*order.notes(), *samples.notes, *notes),
        order,
        samples.kind,
        samples.floats,
        made.outputs,
    )


def identifier(name: str) -> str:
    """Return an ASCII identifier that is as close to `name` as possible."""
    plain = re.sub(r"[^0-9A-Za-z_]+", "_", name)
    return plain if re.match(r"[A-Za-z]", plain) else f"net_{plain.strip('_')}".rstrip("_")


def _classes(doc: str, count: int) -> tuple[str, ...]:
    """Return the names of classes in the file's doc_string, if it has one for each score."""
    try:
        names = json.loads(doc).get("classes")
    except (ValueError, RecursionError, AttributeError):
        return ()
    if not isinstance(names, list) or len(names) != count:
        return ()
    return tuple(names) if all(isinstance(n, str) and n.isprintable() for n in names) else ()
