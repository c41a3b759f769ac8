"""From an integer network and a target to a design."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xnorflow import fold, ir
from xnorflow.design import Clock, Design
from xnorflow.errors import BadInput
from xnorflow.estimate.devices import fpga
from xnorflow.mapping import Fold, reductions

DEFAULT_CLOCK = Clock(100.0, "assumed: no board and no clock were given")
DEFAULT_LANES = 1024
"""XNOR lanes of a design for which neither a speed nor a folding is asked."""


def compile_network(
    net: ir.IntegerNetwork,
    board: str | None = None,
    *,
    fps: float | None = None,
    cycles: int | None = None,
    folding: str | Path | None = None,
    clock: float | None = None,
) -> Design:
    """Choose the folding for a target and describe the hardware.

    Parameters
    ----------
    net : IntegerNetwork
        From `xnorflow.load`.
    board : str, optional
        A board's name; gives the clock that is assumed for it unless `clock` is given.
    fps, cycles, folding : optional
        At most one: frames per second at the clock, cycles per frame, or a folding file (ours or
        FINN's). Without any, the fastest folding of at most 1,024 XNOR lanes is taken.
    clock : float, optional
        Clock in MHz.

    Raises
    ------
    xnorflow.errors.BadInput
        If the target cannot be met, or options contradict each other.
    xnorflow.errors.UnsupportedModel
        If a layer has no hardware.
    """
    if sum(target is not None for target in (fps, cycles, folding)) > 1:
        raise BadInput("give one of fps, cycles and folding, not several")
    if clock is not None and not 0 < clock < 10_000:
        raise BadInput(f"a clock of {clock} MHz is not possible")
    where = DEFAULT_CLOCK
    if clock is not None:
        where = Clock(float(clock), "given by the user")
    elif board is not None:
        datum = fpga(board).family.clock_mhz
        where = Clock(datum.use(), f"assumed for the board's family: {datum.source.document}")
    parts = reductions(net)
    frame = int(np.prod(net.shape))
    flat = parts[0].inp.shape == (1, 1, frame)
    group = frame if flat else net.shape[2]
    classes = len(net.scores.offsets)

    def design(folds: tuple[Fold, ...], target: int) -> Design:
        return Design.assemble(
            net, folds, in_lanes=fold.input_lanes(group, frame, folds[0], target),
            out_lanes=fold.output_lanes(classes, target), board=board, clock=where,
        )

    if folding is not None:
        folds = fold.read_folding(folding, parts)
        return design(folds, max(p.cycles(f) for p, f in zip(parts, folds, strict=True)))
    if fps is not None:
        if not fps > 0:
            raise BadInput(f"{fps} frames per second is no target")
        cycles = int(where.mhz * 1e6 / fps)
        if cycles < 1:
            raise BadInput(
                f"{fps:,.0f} frames per second are out of reach at {where.mhz:g} MHz, where a frame"
                f" takes at least one cycle; ask for {where.mhz * 1e6:,.0f} or fewer"
            )
    target = cycles if cycles is not None else fold.default_cycles(parts, DEFAULT_LANES)
    made = design(fold.for_cycles(parts, target), target)
    # Gearboxes between awkward widths may take longer than the engines: make those faster.
    while cycles is not None and made.ii > cycles:
        target -= made.ii - cycles
        try:
            made = design(fold.for_cycles(parts, target), target)
        except BadInput as e:
            raise BadInput(
                f"{cycles} cycles per frame are out of reach: {made.timing.busiest} takes"
                f" {made.ii}; ask for that or more"
            ) from e
    return made
