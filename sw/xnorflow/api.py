"""Public functions of the package that belong to no single room: `load` and `compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from xnorflow import arguments
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.ir import IntegerNetwork
from xnorflow.progress import Words, told

if TYPE_CHECKING:
    from xnorflow.comparison.comparison import Comparison
    from xnorflow.comparison.placed import PlacedDesign
    from xnorflow.design.design import Design
    from xnorflow.graph.ops import Graph
    from xnorflow.lower.fixed_point import FixedPoint
    from xnorflow_sim.simulation import Run


def load(
    path: str | Path,
    *,
    input: str = "uint8",
    input_scale: float | Fraction | str = 1.0,
    layout: str | None = None,
    name: str | None = None,
    fixed_point: int | str | None = None,
    calibrate: NDArray[Any] | str | Path | None = None,
    merge: bool = True,
    edges: bool = False,
    progress: bool | Words | None = None,
) -> IntegerNetwork:
    """Import a trained model and lower it to an integer network.

    Parameters
    ----------
    path : path
        An ONNX or QONNX file, a ``network.npz`` that xnorflow wrote, or the folder of a compiled
        design, from which the network is read.
    input : str
        Kind of the samples in the data: "uint8", "int8", "uintN" or "intN" of 2 to 16 bits, "bits"
        (0 and 1), "bipolar" (-1 and +1), "file" (the integers of the file's own input quantiser or
        FINN datatype) or "float" (the host quantises the samples as the network does).
    input_scale : float, Fraction or str
        Factor that a sample is multiplied by, in float32, before the model sees it: 1/255 for a
        model that was trained on [0, 1]. A number 1/n (``1 / 255``, ``Fraction(1, 255)`` or
        ``"1/255"``) divides by n instead, as ``x / 255`` and PyTorch's ToTensor do. Any other
        number multiplies, ``np.float32(1 / 255)`` among them.
    layout : {"file", "nhwc", "nchw"}, optional
        Order of the samples in `x` where the shapes leave a choice: as in the file, channels last
        or channels first. The rule is in ``docs/input.md``.
    name : str, optional
        Name of the network; by default that of the file.
    fixed_point : int or "auto", optional
        Round what has no exact integer form (real weights, and values that no quantiser makes
        integers of) to so many bits, 2 to 24, instead of refusing it. "auto" takes the fewest with
        which every calibration sample has the label that it has in float64. What has an exact form
        keeps it. The rule is in ``docs/fixed_point.md``; the notes of the network say what it did.
    calibrate : array [frames, ...] or path, optional
        Samples for `fixed_point`, in the form that the network takes, or a file of them; without
        it, samples are drawn at random.
    merge : bool
        Whether layers become one where that takes less of an FPGA by the resource model's estimate
        (``docs/graphs.md``); scores are the same with and without. A ``network.npz`` is read as it
        is, and False refused.
    edges : bool
        Whether sums of convolutions that read one map, as ternary residual networks have them,
        become edges of one layer. All but the first can then be disabled while the network runs:
        ``net(x, edges=1)``, and a register of the hardware. Without it they are layers that are
        joined or merged.
    progress : bool or callable, optional
        True shows what is being done; a callable receives a line of text about it.

    Returns
    -------
    IntegerNetwork
        The network in integers only. Calling it with frames runs the golden model and returns
        scores, int64 [frames, classes]. Of a file with several outputs these are the first; that,
        or a map, has the file's own shape. ``net.evaluate(x)`` returns all outputs by name.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the model cannot be mapped exactly; the message names the node.
    xnorflow.errors.BadInput
        If there is no such file, or an option is wrong.

    Examples
    --------
    >>> net = xnorflow.load("model.onnx", input_scale=1 / 255)  # doctest: +SKIP
    >>> scores = net(x)  # doctest: +SKIP
    """
    from xnorflow.frontend import read
    from xnorflow.graph.input_scale import InputScale
    from xnorflow.ir import file as ir_file
    from xnorflow.ir.input_kind import alphabet_of
    from xnorflow.ir.input_order import known_layout
    from xnorflow.lower import lower
    from xnorflow.lower.edge_sums import with_edges
    from xnorflow.merge.merging import merged

    alphabet_of(input)
    if calibrate is not None and fixed_point is None:
        raise BadInput("calibration data are for fixed point; ask for it with fixed_point")
    path = arguments.path(path, "xnorflow.load")
    if path.is_dir():
        path = path / "network.npz"
        if not path.exists():
            raise BadInput(
                f"the folder {path.parent} is not a design that xnorflow wrote: it has no"
                " network.npz"
            )
    if not path.exists():
        raise BadInput(f"there is no file {path}")
    if not path.is_file():
        raise BadInput(f"{path} is no regular file")
    said, scale = known_layout(layout), InputScale.of(input_scale)
    if path.suffix != ".npz":
        with told(progress, f"importing {path.name}") as tell:
            graph = read(path, input_scale=input_scale, name=name, layout=layout, input=input)
            if edges:
                graph = with_edges(graph)
            if tell:
                tell("lowering")
            if fixed_point is None:
                return merged(lower(graph)) if merge else lower(graph)
            tick = None if tell is None else lambda bits: tell(f"fixed point of {bits} bits")
            return in_fixed_point(graph, fixed_point, calibrate, tick, merge=merge).net
    if edges:
        raise BadInput(f"{path} already says what its edges are; leave out edges")
    if fixed_point is not None:
        raise BadInput(f"{path} is already in integers; leave out fixed point")
    if not merge:
        raise BadInput(
            f"{path} keeps the layers it was written with, merged or not; leave out no-merge, or"
            " give it with the ONNX file"
        )
    if scale != InputScale() or input != "uint8":
        raise BadInput(
            f"{path} already says what its samples are; leave out the kind of input and the input"
            " scale"
        )
    net = ir_file.load(path)
    return replace(net, order=replace(net.input_order, layout=said)) if said else net


@dataclass(frozen=True, eq=False)
class Rounded:
    """A network for which fixed point was asked.

    Parameters
    ----------
    graph : Graph
        What it is lowered from.
    fixed : FixedPoint or None
        Width and ranges; None where the network has an exact integer form.
    net : IntegerNetwork
        Its notes say what the rounding did.
    """

    graph: Graph
    fixed: FixedPoint | None
    net: IntegerNetwork


def in_fixed_point(
    graph: Graph,
    fixed_point: int | str,
    calibrate: NDArray[Any] | str | Path | None = None,
    progress: Callable[[int], object] | None = None,
    *,
    merge: bool = True,
) -> Rounded:
    """Lower an imported network, in fixed point where it has no exact integer form.

    Parameters
    ----------
    graph : Graph
        As the frontend read it.
    fixed_point, calibrate, merge
        As for `load`.
    progress : callable, optional
        Is called with each width that is tried.

    Returns
    -------
    Rounded
        The network, and how it was rounded.

    Raises
    ------
    xnorflow.errors.BadInput, xnorflow.errors.UnsupportedModel
        As `load`.
    """
    from xnorflow.calibration import calibration_data, widths
    from xnorflow.data import read_images
    from xnorflow.lower import lower
    from xnorflow.merge.merging import merged

    width = widths.known_width(fixed_point)
    if isinstance(calibrate, str | Path):
        calibrate = read_images(calibrate).x
    data = (
        calibration_data.drawn(graph)
        if calibrate is None
        else calibration_data.given(graph, calibrate)
    )
    try:
        net = lower(graph)
    except UnsupportedModel:
        found = widths.choose(graph, width, data, progress)
        return Rounded(found.graph, found.fixed, merged(found.net) if merge else found.net)
    note = "Fixed point was not needed: the network has an exact integer form."
    net = replace(net, notes=(*net.notes, note))
    return Rounded(graph, None, merged(net) if merge else net)


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
    link: str | None = None,
    designs: Mapping[str, Design] | None = None,
    runs: Mapping[str, Run] | None = None,
    placed: Mapping[str, PlacedDesign] | None = None,
    progress: bool | Words | None = None,
) -> Comparison:
    """Compare throughput, latency, resources and energy of a network on FPGAs and GPUs.

    Each FPGA gets the folding that `xnorflow.compile` chooses for it; its initiation interval and
    latency are those of the exact cycle model. A design that does not fit its board is compared all
    the same, and says so.

    Parameters
    ----------
    net : IntegerNetwork
        Network from `xnorflow.load`.
    fpgas : sequence of str
        Names of boards, at least one; ``xnorflow boards`` lists them.
    gpus : sequence of str
        Names of GPUs, such as "t4" or "a100"; may be empty.
    batches : sequence of int
        Batch sizes of the GPUs, in frames. An FPGA takes one frame at a time.
    clocks : mapping of str to float, optional
        Clock in MHz by name of the board, instead of the one assumed for its family.
    fps : float, optional
        Target of the FPGA designs in frames per second.
    cycles : int, optional
        Target of the FPGA designs in cycles per frame.
    folding : path, optional
        Folding file for all FPGA designs. At most one of `fps`, `cycles` and `folding` may be
        given; without any, each board gets the fastest design that fits.
    link : str, optional
        Link that carries the frames of all boards, such as "uart"
        (`xnorflow.devices.links`), by default each board's own. If it is given, the smaller of its
        frames per second and the accelerator's is the headline.
    designs : mapping of str to Design, optional
        Designs by name of the board, which are taken as they are.
    runs : mapping of str to Run, optional
        Simulations at full speed of some of `designs`: their interval and latency are then
        simulated ones.
    placed : mapping of str to PlacedDesign, optional
        Results of place and route of some of `designs`, see `xnorflow.comparison.placed`.
    progress : bool or callable, optional
        True shows what is being done; a callable receives a line of text about it.

    Returns
    -------
    Comparison
        A row of figures per device and configuration. Each figure says how it came about
        (estimated, published, ...) and each device figure has its source. Its ``to_json`` returns
        plain values.

    Raises
    ------
    xnorflow.errors.BadInput
        If a device is unknown, no board is named, or the target cannot be met.
    xnorflow.errors.UnsupportedModel
        If there is no hardware for a layer.

    Examples
    --------
    >>> xnorflow.compare(net, ["ulx3s-85f", "pynq-z1"], ["a100"])  # doctest: +SKIP
    """
    from xnorflow.comparison.comparison import compare as compare_shapes
    from xnorflow.compiler import compile_network
    from xnorflow.devices.figure import Origin

    net = arguments.network(net, IntegerNetwork, "xnorflow.compare")
    fpgas, gpus = arguments.names(fpgas, "fpgas"), arguments.names(gpus, "gpus")
    clocks, given = dict(clocks or {}), dict(designs or {})
    if not fpgas:
        raise BadInput("there is no FPGA to compare; name at least one board")
    shapes = {}
    for board in fpgas:
        with told(progress, f"compiling {net.name} for {board}") as tell:
            made = given.get(board) or compile_network(
                net,
                board,
                fps=fps,
                cycles=cycles,
                folding=folding,
                clock=clocks.get(board),
                must_fit=False,
                progress=tell,
            )
        shapes[board] = made.shape
        if runs is not None and (run := runs.get(board)) is not None and run.ii is not None:
            shapes[board] = replace(
                made.shape,
                ii=int(run.ii),
                latency=run.latency,
                kind=Origin.SIMULATED,
                how=f"RTL simulation of {len(run.scores)} frames in Verilator",
            )
    return compare_shapes(
        shapes, fpgas, gpus, clocks=clocks, batches=batches, link=link, placed=placed
    )
