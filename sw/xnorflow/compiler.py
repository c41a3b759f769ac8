"""Compile an integer network for a target: choose the folding and describe the hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

from xnorflow import arguments, ir
from xnorflow.design.clock import Clock
from xnorflow.design.design import Design
from xnorflow.devices import clocks
from xnorflow.devices.links import link as host_link
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput
from xnorflow.folding import folding_file, narrowest, stream_lanes
from xnorflow.folding.board_fit import BoardFit
from xnorflow.folding.lookup_choice import with_cheaper_layers
from xnorflow.folding.search import Assemble, Fitted
from xnorflow.inputs import blaming
from xnorflow.ir.verify import verify
from xnorflow.plan.layer_rules import Part, reductions
from xnorflow.plan.reductions import Fold
from xnorflow.progress import told

Progress = Callable[[str], object]
"""Callback that receives a line of text about what is being tried."""

DEFAULT_CLOCK = Clock(100.0, "assumed: no board and no clock were given")
DEFAULT_LANES = 1024
"""Most XNOR lanes of a design for which neither a board, a speed nor a folding was given."""


def clock_for(board: str | None, clock: float | None) -> Clock:
    """Return the clock that a design is compiled for, and where it comes from.

    Parameters
    ----------
    board : str or None
        Name of the board, if any.
    clock : float or None
        Clock in MHz that the user gave, if any.

    Raises
    ------
    xnorflow.errors.BadInput
        If the board is unknown, or the clock out of range or of reach of the board's family.
    """
    if clock is not None:
        given = Clock.given(clock)
        doubt = "" if board is None else clocks.remark(fpga(board).family, given.mhz)
        return replace(given, source=f"{given.source}; {doubt}") if doubt else given
    if board is None:
        return DEFAULT_CLOCK
    datum = fpga(board).family.clock_mhz
    return Clock(datum.use(), f"assumed for the board's family: {datum.source.document}")


def assembler(net: ir.IntegerNetwork, board: str | None, clock: Clock) -> Assemble:
    """Return a function that builds the design for a folding and a target in cycles per frame."""
    frame, group = stream_lanes.input_groups(net)
    classes = net.score_count

    def assemble(folds: tuple[Fold, ...], target: int) -> Design:
        return Design.assemble(
            net,
            folds,
            in_lanes=stream_lanes.input_lanes(group, frame, folds[0], target),
            out_lanes=stream_lanes.output_lanes(classes, target),
            board=board,
            clock=clock,
        )

    return assemble


def compile_network(
    net: ir.IntegerNetwork,
    board: str | None = None,
    *,
    fps: float | None = None,
    cycles: int | None = None,
    folding: str | Path | None = None,
    clock: float | None = None,
    link: str | None = None,
    must_fit: bool = True,
    progress: bool | Progress | None = None,
) -> Design:
    """Compile a network: choose the folding for a target and describe the hardware.

    With a board but without a target, this chooses the fastest design that fits the board; with
    both, the smallest design that is fast enough. There, lookups become products where these are
    smaller (`xnorflow.folding.lookup_choice`). Whether a design fits is estimated by the
    resource model of `xnorflow.resources.usage`. Without a board, every engine gets the fewest
    lanes that meet the target.

    Parameters
    ----------
    net : IntegerNetwork
        Network from `xnorflow.load`.
    board : str, optional
        Name of the board to build for. Unless `clock` is given, it also decides the clock.
    fps : float, optional
        Target in frames per second at the clock.
    cycles : int, optional
        Target in cycles per frame.
    folding : path, optional
        Folding file with PE and SIMD per layer, in our format or FINN's. At most one of `fps`,
        `cycles` and `folding` may be given. Without any of them and without a board, the fastest
        folding with at most 1,024 XNOR lanes is taken.
    clock : float, optional
        Clock in MHz.
    link : str, optional
        Link to the host, such as "uart" (`xnorflow.devices.links`), whose rate then limits
        `Design.headline_fps`. The hardware is the same.
    must_fit : bool
        Whether it is an error if the design does not fit the board.
    progress : bool or callable, optional
        True shows what is being done; a callable receives a line of text about what is being tried.

    Returns
    -------
    Design
        The compiled design, which can be written, simulated and compared.

    Raises
    ------
    xnorflow.errors.BadInput
        If the target cannot be met, options contradict each other, or the network, made by hand, is
        none that `xnorflow.load` could return.
    xnorflow.errors.CheckFailed
        If the design does not fit the board; the message says what would work.
    xnorflow.errors.UnsupportedModel
        If there is no hardware for a layer.

    Examples
    --------
    >>> design = xnorflow.compile(net, board="ulx3s-85f", fps=5000)  # doctest: +SKIP
    >>> design.write("build/model")  # doctest: +SKIP
    """
    net = arguments.network(net, ir.IntegerNetwork, "xnorflow.compile")
    with blaming(f"the network {net.name!r} cannot be compiled"):
        verify(net)
    board = arguments.board(board)
    with told(progress, f"compiling {net.name}") as tell:
        return _compile(net, board, fps, cycles, folding, clock, link, must_fit, tell)


def _compile(
    net: ir.IntegerNetwork,
    board: str | None,
    fps: float | None,
    cycles: int | None,
    folding: str | Path | None,
    clock: float | None,
    link: str | None,
    must_fit: bool,
    progress: Progress | None,
) -> Design:
    if sum(target is not None for target in (fps, cycles, folding)) > 1:
        raise BadInput("give only one of fps, cycles and folding: each of them decides the speed")
    if cycles is not None and (isinstance(cycles, bool) or not isinstance(cycles, Integral)):
        raise BadInput(f"cycles per frame have to be a whole number, not {cycles!r}")
    arguments.number(fps, "fps, the frames per second,")
    where = clock_for(board, clock)
    chosen = None if link is None else host_link(link)
    if fps is not None:
        cycles = cycles_for(fps, where.mhz)
    parts = reductions(net)
    assemble = assembler(net, board, where)
    if folding is not None:
        folds = folding_file.read_folding(folding, parts)
        made = assemble(folds, max(p.cycles(f) for p, f in zip(parts, folds, strict=True)))
        if board is not None and must_fit:
            BoardFit(net, board, where.mhz, assemble, progress).check(made)
        return replace(made, link=chosen)
    if board is None:
        return replace(fewest_lanes(parts, assemble, cycles), link=chosen)
    net = with_cheaper_layers(
        net,
        fpga(board).family,
        lambda n: fewest_lanes(reductions(n), assembler(n, board, where), cycles).shape,
    )
    assemble = assembler(net, board, where)
    fit = BoardFit(net, board, where.mhz, assemble, progress)
    found = fit.fastest(must_fit) if cycles is None else fit.smallest(cycles, must_fit)
    return replace(found.design, limit=found.limit, link=chosen)


def front(
    net: ir.IntegerNetwork,
    board: str,
    *,
    clock: float | None = None,
    progress: Progress | None = None,
) -> list[Fitted]:
    """Compute the Pareto front of a network on a board: no design is both as fast and as small.

    Parameters
    ----------
    net : IntegerNetwork
        Network from `xnorflow.load`.
    board : str
        Name of the board to build for.
    clock : float, optional
        Clock in MHz, by default the one assumed for the board's family. It does not change the
        designs, only their frames per second.
    progress : callable, optional
        Callback that receives a line of text about what is being tried.

    Returns
    -------
    list of Fitted
        Designs with their estimated resources, from fast to slow.

    Raises
    ------
    xnorflow.errors.BadInput
        If the board is unknown or the clock is out of range.
    xnorflow.errors.CheckFailed
        If no design fits the board; the message says what would work.
    xnorflow.errors.UnsupportedModel
        If there is no hardware for a layer.
    """
    where = clock_for(board, clock)
    return BoardFit(net, board, where.mhz, assembler(net, board, where), progress).front()


def cycles_for(fps: float, mhz: float) -> int:
    """Return the most cycles that a frame may take at a clock in MHz; BadInput if less than one."""
    if not fps > 0:
        raise BadInput(f"frames per second have to be a number above 0, not {fps}")
    cycles = int(mhz * 1e6 / fps)
    if cycles < 1:
        raise BadInput(
            f"{fps:,.0f} frames per second are out of reach at {mhz:g} MHz, where a frame"
            f" takes at least one cycle; ask for {mhz * 1e6:,.0f} or fewer"
        )
    return cycles


def fewest_lanes(parts: Sequence[Part], assemble: Assemble, cycles: int | None) -> Design:
    """Build the design with the fewest XNOR lanes for a target in cycles per frame.

    Without a target it is the fastest design with at most `DEFAULT_LANES` lanes.
    """
    target = cycles if cycles is not None else narrowest.default_cycles(parts, DEFAULT_LANES)
    made = assemble(narrowest.for_cycles(parts, target), target)
    # Gearboxes between widths that do not divide each other may take longer than the engines, so
    # the engines may have to become faster than the target.
    while cycles is not None and made.ii > cycles:
        target -= made.ii - cycles
        try:
            made = assemble(narrowest.for_cycles(parts, target), target)
        except BadInput as e:
            raise BadInput(
                f"{cycles} cycles per frame are out of reach: {made.timing.busiest} takes"
                f" {made.ii}; ask for that or more"
            ) from e
    return made
