"""The public functions that have no home of their own: load a model, compare devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from xnorflow.errors import BadInput
from xnorflow.ir import IntegerNetwork

if TYPE_CHECKING:
    from xnorflow.comparison.comparison import Comparison


def load(
    path: str | Path,
    *,
    input: str = "uint8",
    input_scale: float | Fraction | str = 1.0,
    layout: str | None = None,
    name: str | None = None,
) -> IntegerNetwork:
    """Import a model and lower it to integers.

    Parameters
    ----------
    path : path
        An ONNX or QONNX file, a ``network.npz`` that xnorflow wrote, or the folder of a compiled
        design, whose network is taken.
    input : str
        What samples are: "uint8", "int8", "uintN" or "intN" of 2 to 16 bits, "bits" (0 and 1),
        "bipolar" (-1 and +1), "file" (integers as the file's own input quantiser, or FINN's
        datatype, has them) or "float" (the host quantises them as the network does).
    input_scale : float, Fraction or str
        What the model takes of a sample, in float32: 1/255 for one trained on [0, 1]. A number 1/n
        (``1 / 255``, ``Fraction(1, 255)`` or ``"1/255"``) divides by n, as ``x / 255`` and
        PyTorch's ToTensor do; any other, ``np.float32(1 / 255)`` among them, multiplies.
    layout : {"file", "nhwc", "nchw"}, optional
        The order of samples in `x`, where shapes leave a choice: the file's own, channels last or
        channels first. ``docs/input.md`` has the rule.
    name : str, optional
        Name of the network; the file's by default.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the model cannot be mapped exactly; names the node.
    xnorflow.errors.BadInput
        If there is no such file, or an option is wrong.
    """
    from xnorflow.frontend import read
    from xnorflow.graph.input_scale import InputScale
    from xnorflow.ir import file as ir_file
    from xnorflow.ir.input_kind import alphabet_of
    from xnorflow.ir.input_order import known_layout
    from xnorflow.lower import lower

    alphabet_of(input)
    path = Path(path)
    if path.is_dir():
        path = path / "network.npz"
        if not path.exists():
            raise BadInput(f"the folder {path.parent} is not a design that xnorflow wrote")
    if not path.exists():
        raise BadInput(f"there is no file {path}")
    if not path.is_file():
        raise BadInput(f"{path} is no regular file")
    said, scale = known_layout(layout), InputScale.of(input_scale)
    if path.suffix != ".npz":
        return lower(read(path, input_scale=input_scale, name=name, layout=layout, input=input))
    if scale != InputScale() or input != "uint8":
        raise BadInput(f"{path} knows what it takes of a sample: give no kind and no input scale")
    net = ir_file.load(path)
    return replace(net, order=replace(net.input_order, layout=said)) if said else net


def compare(
    net: IntegerNetwork,
    fpgas: Sequence[str],
    gpus: Sequence[str],
    *,
    batches: Sequence[int] = (1, 1024),
    clocks: Mapping[str, float] | None = None,
    fps: float | None = None,
    cycles: int | None = None,
    folding: str | Path | None = None,
) -> Comparison:
    """Put the throughput, latency and resources of FPGAs and GPUs side by side.

    Each FPGA gets the folding that `xnorflow.compile` chooses for it; the interval and latency are
    those of the exact cycle model.

    Raises
    ------
    xnorflow.errors.BadInput
        If a device is unknown.
    """
    from xnorflow.comparison.comparison import compare as compare_shapes
    from xnorflow.compiler import compile_network

    clocks = dict(clocks or {})
    designs = {
        board: compile_network(
            net,
            board,
            fps=fps,
            cycles=cycles,
            folding=folding,
            clock=clocks.get(board),
            must_fit=False,
        ).shape
        for board in fpgas
    }
    if not designs:
        raise BadInput("name at least one FPGA board")
    return compare_shapes(designs, fpgas, gpus, clocks=clocks, batches=batches)
