"""Reads an ONNX file into an imported network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

import numpy as np

from xnorflow.errors import BadInput
from xnorflow.frontend.importer import Walk
from xnorflow.frontend.model_file import ModelFile, load
from xnorflow.frontend.values import Activation, LayoutError, channels_first
from xnorflow.graph import ops

Layout = Literal["NCHW", "NHWC"]

PICTURE_CHANNELS = (1, 3)


def read(
    path: str | Path,
    *,
    input_scale: float = 1.0,
    name: str | None = None,
    layout: Layout | None = None,
) -> ops.Graph:
    """Import a trained network from an ONNX or QONNX file.

    Parameters
    ----------
    path : path
        The file; it is not trusted.
    input_scale : float
        The file's input is ``float32(uint8 sample) * float32(input_scale)``.
    name : str, optional
        Name of the network; the file's name otherwise. Made into an identifier.
    layout : {"NCHW", "NHWC"}, optional
        Meaning of a four-dimensional input; found out by what the network does with it otherwise.

    Raises
    ------
    BadInput
        If the file does not exist or an argument makes no sense.
    UnsupportedModel
        If the file is damaged or the network cannot be mapped; names the node.
    """
    path = Path(path)
    if not (np.isfinite(input_scale) and input_scale > 0):
        raise BadInput(f"input scale {input_scale} is not a positive number.")
    file = load(path)
    if file.input_is_integer and input_scale != 1:
        raise BadInput(f"{path.name} takes uint8 samples as they are: the input scale must be 1.")
    walk, end = _walk(file, layout)
    return ops.Graph(
        identifier(path.stem if name is None else name),
        walk.start.frame,
        tuple(walk.ops),
        float(input_scale),
        _classes(file.doc, end.index.size),
        tuple(walk.notes),
    )


def identifier(name: str) -> str:
    """Make a name into an ASCII identifier."""
    plain = re.sub(r"[^0-9A-Za-z_]+", "_", name)
    return plain if re.match(r"[A-Za-z]", plain) else f"net_{plain.strip('_')}".rstrip("_")


def _walk(file: ModelFile, layout: Layout | None) -> tuple[Walk, Activation]:
    """Walk the file with the first reading of its input that fits.

    Without a given `layout`: the likely one, then the one that the first convolution asks for,
    then the other.
    """
    four = len(file.input_shape) == 4
    if layout is not None:
        choices = [_start(file.input_shape, layout)]
    elif four:
        likely: list[Layout] = ["NCHW", "NHWC"]
        if file.input_shape[1] not in PICTURE_CHANNELS and file.input_shape[3] in PICTURE_CHANNELS:
            likely.reverse()
        choices = [_start(file.input_shape, choice) for choice in likely]
    else:
        choices = [_start(file.input_shape, "NHWC")]
    errors: list[tuple[int, LayoutError]] = []
    while choices:
        walk = Walk(file, choices.pop(0))
        try:
            return walk, walk.run()
        except LayoutError as e:
            asked = None if layout is not None or errors else _asked(walk, e)
            if asked is not None:
                choices.insert(0, asked)
            errors.append((len(walk.ops), e))
    # The reading that got furthest is the one whose error means something.
    raise max(errors, key=lambda found: found[0])[1]


def _start(shape: tuple[int, ...], layout: Layout) -> Activation:
    """Read the input's shape; two dimensions are features, three are rows and columns."""
    if len(shape) == 4 and layout == "NCHW":
        frame = (shape[2], shape[3], shape[1])
        return Activation(frame, channels_first(frame))
    if len(shape) == 2:
        frame = (1, 1, shape[1])
    elif len(shape) == 3:
        frame = (shape[1], shape[2], 1)
    elif len(shape) == 4:
        frame = (shape[1], shape[2], shape[3])
    else:
        raise BadInput(f"an input of {len(shape)} dimensions is no picture and no vector.")
    return Activation(frame, np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape))


def _asked(walk: Walk, error: LayoutError) -> Activation | None:
    """Give the reading of the input that puts the failed node's features in order, if any."""
    wanted = error.wanted
    if (
        wanted is None
        or not all(isinstance(op, ops.Elementwise) for op in walk.ops)
        or wanted.size != walk.start.index.size
    ):
        return None
    channels, height, width = wanted.shape
    frame = (height, width, channels)
    position = np.empty(wanted.size, np.int64)
    position[wanted.ravel()] = channels_first(frame).ravel()
    return Activation(frame, position[walk.start.index])


def _classes(doc: str, count: int) -> tuple[str, ...]:
    """Give the names of the classes, where the file's description lists one for each score."""
    try:
        names = json.loads(doc).get("classes")
    except (ValueError, RecursionError, AttributeError):
        return ()
    if not isinstance(names, list) or len(names) != count:
        return ()
    return tuple(names) if all(isinstance(n, str) and n.isprintable() for n in names) else ()
