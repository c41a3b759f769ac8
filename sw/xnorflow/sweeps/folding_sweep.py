"""Evaluate thousands of (network, device, target, clock) points: the public function `sweep`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from pathlib import Path

from xnorflow import ir
from xnorflow.compiler import cycles_for
from xnorflow.errors import BadInput
from xnorflow.progress import Stages, staged
from xnorflow.sweeps import front_points
from xnorflow.sweeps.folding_points import FOLDINGS, Target, Wanted, clocks_of, spread
from xnorflow.sweeps.front_points import FRONT
from xnorflow.sweeps.parcels import digest, packed_network
from xnorflow.sweeps.row_store import RowStore, results_folder
from xnorflow.sweeps.sweep_result import Sweep
from xnorflow.sweeps.sweep_workers import SweepWorkers

TARGETS = 32
"""Targets in cycles per frame for each network, unless others are given."""
SCHEDULES = 8
"""Foldings of each front that get an exact schedule, unless another number is given."""


def sweep(
    networks: ir.IntegerNetwork | Sequence[ir.IntegerNetwork],
    devices: Sequence[str],
    output: str | Path,
    *,
    clocks: Sequence[float] = (),
    targets: int = TARGETS,
    cycles: Sequence[int] = (),
    fps: Sequence[float] = (),
    schedules: int = SCHEDULES,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: bool | Stages | None = None,
) -> Sweep:
    """Evaluate every combination of networks, devices, targets and clocks on all processors.

    The points are evaluated by the cost tables of the folding search, without a schedule; those
    of the front then get the exact one. Rows are written while they come. What is in the folder
    already is not evaluated again, so a sweep that was interrupted, or that has got more points,
    goes on where it was. It needs the packages of the extra "sweep".

    In a script, call it below ``if __name__ == "__main__":``, because each process imports the
    script.

    Parameters
    ----------
    networks : IntegerNetwork or sequence of IntegerNetwork
        Networks from `xnorflow.load`.
    devices : sequence of str
        Boards, board files or parts, as `xnorflow.compile` takes them.
    output : path
        Folder for ``points.parquet`` and ``front.parquet``.
    clocks : sequence of float
        Clocks in MHz, by default for each device the one assumed for its family.
    targets : int
        Number of targets between the fastest and the slowest folding of a network, evenly spaced on
        a logarithmic scale.
    cycles : sequence of int
        Targets in cycles per frame instead.
    fps : sequence of float
        Targets in frames per second instead.
    schedules : int
        Most foldings of each front that get an exact schedule; 0 for none.
    jobs : int, optional
        Processes on this machine, by default one for each processor.
    scheduler : str, optional
        Address of a Dask scheduler whose workers are to evaluate the points instead.
    progress : bool or callable, optional
        True shows a progress bar; a callable gets what is being done, and the numbers of points
        that are done and of all.

    Returns
    -------
    Sweep
        Tables of the points that were asked for, whether they were evaluated now or before.

    Raises
    ------
    xnorflow.errors.BadInput
        If a device is unknown, options contradict each other, or the folder holds other rows.
    xnorflow.errors.CheckFailed
        If workers died over some points again and again.
    xnorflow.errors.ToolMissing
        If Dask or pyarrow is not installed.

    Examples
    --------
    >>> found = xnorflow.sweep(net, ["ulx3s-85f", "pynq-z1"], "results")  # doctest: +SKIP
    >>> found.front.to_pylist()  # doctest: +SKIP
    """
    nets = [networks] if isinstance(networks, ir.IntegerNetwork) else list(networks)
    boards = [devices] if isinstance(devices, str) else list(devices)
    wanted, parcels = _wanted(nets, boards, clocks, _targets(targets, cycles, fps))
    with (
        staged(progress) as told,
        SweepWorkers(scheduler, jobs, parcels) as workers,
        results_folder(Path(output)) as folder,
    ):
        points, fronts = RowStore(folder, FOLDINGS), RowStore(folder, FRONT)
        keys = {FOLDINGS.key(point) for each in wanted for point in each.points()}
        batches = [batch for each in wanted for batch in each.batches(points.done)]
        workers.run(batches, points, keys, partial(told, "points"))
        rows = points.table(keys).to_pylist()
        found = list(front_points.fronts(rows, [each.target for each in wanted], schedules))
        front_keys = {FRONT.key(front_points.point(row)) for _, each in found for row in each}
        batches = [b for t, each in found for b in front_points.batches(t, each, fronts.done)]
        # The schedules of slow foldings take longest; one that began last would keep all waiting.
        batches.sort(key=lambda batch: -batch.request["cycles"])
        workers.run(batches, fronts, front_keys, partial(told, "schedules"))
        points.finish()
        fronts.finish()
        workers.check_lost(str(folder))
        return Sweep(folder, points.table(keys), fronts.table(front_keys))


CyclesAt = Callable[[ir.IntegerNetwork, float], list[int]]
"""Returns the targets of a network in cycles per frame at a clock in MHz."""


def _targets(number: int, cycles: Sequence[int], fps: Sequence[float]) -> CyclesAt:
    """Return the rule for the targets.

    Raises
    ------
    BadInput
        If a target is none, or several rules are given.
    """
    if cycles and fps:
        raise BadInput("give only one of cycles and fps: each of them decides the targets")
    for target in cycles:
        if isinstance(target, bool) or not isinstance(target, Integral) or target < 1:
            raise BadInput(
                f"cycles per frame have to be whole numbers of 1 or more, not {target!r}"
            )
    if cycles:
        given = sorted({int(target) for target in cycles})
        return lambda net, mhz: given
    if fps:
        return lambda net, mhz: sorted({cycles_for(target, mhz) for target in fps})
    if number < 1:
        raise BadInput(f"{number} targets would be no sweep; 1 or more would work")
    spreads: dict[str, list[int]] = {}

    def spread_of(net: ir.IntegerNetwork, mhz: float) -> list[int]:
        if net.digest not in spreads:
            spreads[net.digest] = spread(net, number)
        return spreads[net.digest]

    return spread_of


def _wanted(
    nets: Sequence[ir.IntegerNetwork],
    boards: Sequence[str],
    clocks: Sequence[float],
    targets: CyclesAt,
) -> tuple[list[Wanted], dict[str, bytes]]:
    """Return the points of each pair of a network and a device, and the files of the networks.

    Raises
    ------
    BadInput
        If there is none, or a device is unknown or a clock impossible.
    """
    if not nets or not boards:
        raise BadInput("a sweep needs at least one network and one device")
    wanted: dict[tuple[str, str], Wanted] = {}
    parcels: dict[str, bytes] = {}
    for net in nets:
        data = packed_network(net)
        parcel = digest(data)
        parcels[parcel] = data
        for board in boards:
            each = Wanted(Target.of(net, parcel, board))
            for mhz in clocks_of(board, clocks):
                for target in targets(net, mhz):
                    each.clocks.setdefault(target, []).append(mhz)
            wanted[net.digest, each.target.board] = each
    return list(wanted.values()), parcels
