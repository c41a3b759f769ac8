"""The public functions that have no home of their own: load a model, compare devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xnorflow.errors import BadInput
from xnorflow.ir import IntegerNetwork

if TYPE_CHECKING:
    from xnorflow.comparison.comparison import Comparison


def load(
    path: str | Path, *, input: str = "uint8", input_scale: float = 1.0, name: str | None = None
) -> IntegerNetwork:
    """Import a model and lower it to integers.

    Parameters
    ----------
    path : path
        An ONNX or QONNX file, a ``network.npz`` that xnorflow wrote, or the folder of a compiled
        design, whose network is taken.
    input : str
        Type of the raw samples; "uint8" is the one there is.
    input_scale : float
        The model takes ``sample * input_scale`` as float32, 1/255 for one trained on [0, 1].
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
    from xnorflow.ir import file as ir_file
    from xnorflow.lower import lower

    if input != "uint8":
        raise BadInput(f"samples of type {input!r} are not supported; uint8 is")
    path = Path(path)
    if path.is_dir():
        path = path / "network.npz"
        if not path.exists():
            raise BadInput(f"the folder {path.parent} is not a design that xnorflow wrote")
    if not path.exists():
        raise BadInput(f"there is no file {path}")
    if not path.is_file():
        raise BadInput(f"{path} is no regular file")
    if path.suffix == ".npz":
        return ir_file.load(path)
    return lower(read(path, input_scale=input_scale, name=name))


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
