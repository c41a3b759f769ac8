"""Networks as the papers write them: ``32C3-P2-64C3-P2-128``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xnorflow.errors import BadInput

TOKEN = re.compile(r"(?P<conv>\d+)C(?P<kernel>\d+)|M?P(?P<pool>\d+)|(?P<dense>\d+)(FC)?", re.I)
MOST_STEPS = 64
"""Most layers of a network that can be trained here."""
MOST_WIDTH = 16384
"""Most channels or neurons of a layer."""


@dataclass(frozen=True)
class PlannedLayer:
    """A layer, and the frames before and after it.

    Parameters
    ----------
    kind : {"conv", "dense"}
        A convolution is padded with 0 so that the map keeps its size.
    inputs, outputs : int
        Channels of a convolution; features of a dense layer.
    kernel : int
        Rows and columns of the kernel; 1 for a dense layer.
    pool : int
        Rows and columns of the max-pool behind a convolution; 1 for none.
    flattens : bool
        Whether a dense layer reads maps.
    """

    kind: str
    inputs: int
    outputs: int
    kernel: int = 1
    pool: int = 1
    flattens: bool = False


def steps(net: str, frame: tuple[int, int, int], classes: int) -> tuple[PlannedLayer, ...]:
    """Return the layers of a network, its last dense one to the classes included.

    Parameters
    ----------
    net : str
        Layers joined by hyphens: ``nCk`` is a convolution to n channels with a kernel of k x k,
        ``Pk`` or ``MPk`` a max-pool of k x k behind a convolution, ``n`` or ``nFC`` a dense layer
        of n neurons. Empty for no hidden layer.
    frame : tuple of int
        Channels, rows and columns of a frame.
    classes : int
        Neurons of the last layer, which `net` leaves out.

    Raises
    ------
    BadInput
        If `net` cannot be read or does not fit the frames.
    """
    channels, height, width = frame
    found: list[PlannedLayer] = []
    flat: int | None = None
    tokens = [t for t in net.split("-") if t]
    if len(tokens) > MOST_STEPS:
        raise BadInput(f"--net {net}: {len(tokens)} layers are more than {MOST_STEPS}")
    for token in tokens:
        match = TOKEN.fullmatch(token)
        if match is None:
            raise BadInput(
                f"--net {net}: {token!r} is no layer. What would work: 32C3 (convolution to 32"
                " channels, kernel 3 x 3), P2 (max-pool), 128 (dense)"
            )
        if conv := match["conv"]:
            kernel, outputs = int(match["kernel"]), _width(conv, net)
            if flat is not None:
                raise BadInput(f"--net {net}: the convolution {token} stands behind a dense layer")
            if kernel % 2 == 0 or kernel > 2 * min(height, width):
                raise BadInput(
                    f"--net {net}: a kernel of {kernel} x {kernel} has no middle or exceeds the map"
                    f" of {height} x {width}; odd kernels work"
                )
            found.append(PlannedLayer("conv", channels, outputs, kernel))
            channels = outputs
        elif pool := match["pool"]:
            size = int(pool)
            if flat is not None or not found or found[-1].pool > 1:
                raise BadInput(f"--net {net}: the pool {token} does not stand behind a convolution")
            if not 2 <= size <= min(height, width):
                raise BadInput(f"--net {net}: {token} does not fit a map of {height} x {width}")
            last = found[-1]
            found[-1] = PlannedLayer("conv", last.inputs, last.outputs, last.kernel, size)
            height, width = height // size, width // size
        else:
            outputs = _width(match["dense"], net)
            inputs = channels * height * width if flat is None else flat
            found.append(PlannedLayer("dense", inputs, outputs, flattens=flat is None))
            flat = outputs
    inputs = channels * height * width if flat is None else flat
    return (*found, PlannedLayer("dense", inputs, classes, flattens=flat is None))


def hidden_widths(net: str, method: str) -> tuple[int, ...]:
    """Return the neurons of each hidden layer, for a method that has dense layers only.

    Raises
    ------
    BadInput
        If `net` has other layers.
    """
    tokens = [t for t in net.split("-") if t]
    if not all(t.isdecimal() for t in tokens):
        raise BadInput(f"--net {net}: {method} has dense layers only; 128-128 would work")
    return tuple(_width(t, net) for t in tokens)


def _width(text: str, net: str) -> int:
    if not 1 <= (width := int(text)) <= MOST_WIDTH:
        raise BadInput(f"--net {net}: a layer has 1 to {MOST_WIDTH} channels or neurons")
    return width
