"""From an integer network and a target to a design."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

from xnorflow import ir
from xnorflow.design.clock import MAX_MHZ, Clock
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput
from xnorflow.folding import folding_file, narrowest, stream_lanes
from xnorflow.folding.board_fit import BoardFit
from xnorflow.folding.search import Assemble, Fitted
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold, Reduction

Progress = Callable[[str], object]
"""Is told what is being tried."""

DEFAULT_CLOCK = Clock(100.0, "assumed: no board and no clock were given")
DEFAULT_LANES = 1024
"""XNOR lanes of a design for which neither a speed nor a folding is asked."""


def clock_for(board: str | None, clock: float | None) -> Clock:
    """Give the clock that a design is compiled for."""
    if clock is not None:
        if not 0 < clock < MAX_MHZ:
            raise BadInput(f"a clock of {clock} MHz is not possible")
        return Clock(float(clock), "given by the user")
    if board is None:
        return DEFAULT_CLOCK
    datum = fpga(board).family.clock_mhz
    return Clock(datum.use(), f"assumed for the board's family: {datum.source.document}")


def assembler(net: ir.IntegerNetwork, board: str | None, clock: Clock) -> Assemble:
    """Give what makes the design of a folding and a target in cycles per frame."""
    frame, group = stream_lanes.input_groups(net)
    classes = len(net.scores.offsets)

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
    must_fit: bool = True,
    progress: Progress | None = None,
) -> Design:
    """Choose the folding for a target and describe the hardware.

    With a board and without a target it is the fastest design that fits the board; with both, the
    smallest that is fast enough: by the resource model of `xnorflow.resources.usage`.

    Parameters
    ----------
    net : IntegerNetwork
        From `xnorflow.load`.
    board : str, optional
        A board's name; gives the clock that is assumed for it unless `clock` is given.
    fps, cycles, folding : optional
        At most one: frames per second at the clock, cycles per frame, or a folding file (ours or
        FINN's). Without any, and without a board, the fastest folding of at most 1,024 XNOR lanes
        is taken.
    clock : float, optional
        Clock in MHz.
    must_fit : bool
        Whether a design that exceeds the board, by the model, is an error.
    progress : callable, optional
        Is told what is being tried.

    Raises
    ------
    xnorflow.errors.BadInput
        If the target cannot be met, or options contradict each other.
    xnorflow.errors.CheckFailed
        If the design does not fit the board; says what would.
    xnorflow.errors.UnsupportedModel
        If a layer has no hardware.
    """
    if sum(target is not None for target in (fps, cycles, folding)) > 1:
        raise BadInput("give one of fps, cycles and folding, not several")
    if cycles is not None and (isinstance(cycles, bool) or not isinstance(cycles, Integral)):
        raise BadInput(f"cycles per frame are a whole number, not {cycles!r}")
    where = clock_for(board, clock)
    if fps is not None:
        cycles = _cycles_for(fps, where)
    parts = reductions(net)
    assemble = assembler(net, board, where)
    if folding is not None:
        folds = folding_file.read_folding(folding, parts)
        made = assemble(folds, max(p.cycles(f) for p, f in zip(parts, folds, strict=True)))
        if board is not None and must_fit:
            BoardFit(net, board, where.mhz, assemble, progress).check(made)
        return made
    if board is None:
        return _fewest_lanes(parts, assemble, cycles)
    fit = BoardFit(net, board, where.mhz, assemble, progress)
    return _described(fit.fastest(must_fit) if cycles is None else fit.smallest(cycles, must_fit))


def front(
    net: ir.IntegerNetwork,
    board: str,
    *,
    clock: float | None = None,
    progress: Progress | None = None,
) -> list[Fitted]:
    """Give the designs that fit a board of which none is as fast and as small as another.

    From fast to slow; errors as `compile_network`'s.
    """
    where = clock_for(board, clock)
    return BoardFit(net, board, where.mhz, assembler(net, board, where), progress).front()


def _cycles_for(fps: float, clock: Clock) -> int:
    if not fps > 0:
        raise BadInput(f"{fps} frames per second is no target")
    cycles = int(clock.mhz * 1e6 / fps)
    if cycles < 1:
        raise BadInput(
            f"{fps:,.0f} frames per second are out of reach at {clock.mhz:g} MHz, where a frame"
            f" takes at least one cycle; ask for {clock.mhz * 1e6:,.0f} or fewer"
        )
    return cycles


def _described(found: Fitted) -> Design:
    return replace(found.design, limit=found.limit)


def _fewest_lanes(parts: Sequence[Reduction], assemble: Assemble, cycles: int | None) -> Design:
    """Give the design of fewest XNOR lanes for a target, or the fastest of so many lanes."""
    target = cycles if cycles is not None else narrowest.default_cycles(parts, DEFAULT_LANES)
    made = assemble(narrowest.for_cycles(parts, target), target)
    # Gearboxes between awkward widths may take longer than the engines: make those faster.
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
