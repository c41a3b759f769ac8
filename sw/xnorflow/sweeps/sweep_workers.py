"""The workers of a sweep: a cluster that starts when there is something to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from xnorflow.progress import Count
from xnorflow.sweeps.cluster import check_choice, connected
from xnorflow.sweeps.dispatch import PointBatch, Sending, check_lost
from xnorflow.sweeps.row_store import RowStore


class SweepWorkers:
    """A context in which batches are evaluated and their rows written.

    Parameters
    ----------
    scheduler, jobs
        As for `xnorflow.sweeps.cluster.connected`.
    parcels : mapping of str to bytes
        Files that the batches need.

    Raises
    ------
    BadInput
        If the choice of workers is impossible.
    ToolMissing
        If Dask or pyarrow is not installed.
    """

    def __init__(
        self, scheduler: str | None, jobs: int | None, parcels: Mapping[str, bytes]
    ) -> None:
        check_choice(scheduler, jobs)
        self._where, self._parcels = (scheduler, jobs), parcels
        self._cluster = ExitStack()
        self._sending: Sending | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cluster.close()

    def run(
        self, batches: Sequence[PointBatch], store: RowStore, keys: set[str], count: Count
    ) -> None:
        """Evaluate batches and write their rows as they come.

        Parameters
        ----------
        batches : sequence of PointBatch
            What is not done yet.
        store : RowStore
            Where the rows go.
        keys : set of str
            Keys of all points, done or not.
        count : callable
            Is called with the number of points that are done and the number of all.
        """
        count(len(keys & store.done), len(keys))
        if not batches:
            return
        if self._sending is None:
            client = self._cluster.enter_context(connected(*self._where))
            self._sending = Sending(client, self._parcels)
        for _, rows in self._sending.rows(batches):
            store.add(rows)
            count(len(keys & store.done), len(keys))

    def check_lost(self, where: str) -> None:
        """Raise CheckFailed if workers died over some points again and again."""
        if self._sending is not None:
            check_lost(self._sending.lost, where)
