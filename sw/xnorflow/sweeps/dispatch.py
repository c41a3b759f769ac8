"""Send batches of points to Dask's workers, and hand on their rows as they come.

Dask gives what a lost worker had begun to another one. A batch is computed from what its task
carries, plain values and bytes, so it may run twice; its rows are handed on once.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xnorflow.errors import BadInput, CheckFailed, ToolMissing, XnorflowError

if TYPE_CHECKING:
    from distributed import Client, Future

Request = Mapping[str, Any]
"""What a batch is about, in plain values."""
Work = Callable[[Request, tuple[bytes, ...]], list[dict[str, Any]]]
"""A module's function that returns the rows of a batch, given its request and its parcels."""

AHEAD = 2
"""Batches that wait at the scheduler for each thread of a worker."""


@dataclass(frozen=True)
class PointBatch:
    """Points that are evaluated together.

    Parameters
    ----------
    name : str
        Name of the task; batches of the same name have the same content.
    points : int
        Number of its points.
    work : callable
        See `Work`.
    request : mapping
        What `work` is to do.
    parcels : tuple of str
        Names of the files that it needs.
    """

    name: str
    points: int
    work: Work
    request: Request
    parcels: tuple[str, ...] = ()


@dataclass
class Sending:
    """Batches on their way to the workers of a cluster.

    Parameters
    ----------
    client : Client
        Client of the cluster.
    parcels : mapping of str to bytes
        Files that several batches need, by a name that their content decides.
    lost : list of str
        Gets a line for each batch whose workers died again and again.
    """

    client: Client
    parcels: Mapping[str, bytes]
    lost: list[str] = field(default_factory=list)
    _sent: dict[str, Future] = field(default_factory=dict)

    def rows(
        self, batches: Iterable[PointBatch]
    ) -> Iterator[tuple[PointBatch, list[dict[str, Any]]]]:
        """Yield each batch with its rows, in the order in which they come.

        Raises
        ------
        XnorflowError
            As the work of a batch raised it.
        """
        from distributed import as_completed

        waiting = iter(batches)
        running: dict[str, tuple[Future, PointBatch]] = {}
        coming = as_completed(loop=self.client.loop)

        def fill() -> None:
            threads = sum(self.client.nthreads().values())
            while len(running) < max(1, threads) * AHEAD:
                if (batch := next(waiting, None)) is None:
                    return
                future = self._submit(batch)
                running[future.key] = future, batch
                coming.add(future)

        try:
            fill()
            while running:
                future = next(coming)
                future, batch = running.pop(future.key)
                found = self._result(future, batch)
                fill()
                if found is not None:
                    yield batch, found
        finally:
            self.client.cancel([future for future, _ in running.values()])

    def _submit(self, batch: PointBatch) -> Future:
        return self.client.submit(
            evaluated,
            batch.work,
            dict(batch.request),
            *(self._parcel(name) for name in batch.parcels),
            key=f"xnorflow-{batch.name}",
        )

    def _parcel(self, name: str) -> Future:
        """Return a file as a task of its own, which the scheduler repeats if a worker is lost."""
        if name not in self._sent:
            with warnings.catch_warnings():
                # Dask advises against large tasks; this is one for all batches.
                warnings.filterwarnings("ignore", "Sending large graph")
                self._sent[name] = self.client.submit(
                    unpacked, self.parcels[name], key=f"xnorflow-parcel-{name}"
                )
        return self._sent[name]

    def _result(self, future: Future, batch: PointBatch) -> list[dict[str, Any]] | None:
        """Return the rows of a batch that is done; None if it killed its workers."""
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        try:
            found = future.result()
        except (asyncio.CancelledError, futures.CancelledError, CommClosedError) as e:
            raise CheckFailed(
                "the connection to the Dask scheduler was lost. What would work: the same command"
                " once more, which goes on where it was"
            ) from e
        except KilledWorker:
            self.lost.append(f"{batch.points:,} points of {batch.name.partition('-')[0]}")
            return None
        except ModuleNotFoundError as e:
            raise ToolMissing(
                f"the workers lack {e.name}. What would work: install the same version of xnorflow"
                " where they run"
            ) from e
        if "error" in found:
            raise _error(*found["error"])
        rows: list[dict[str, Any]] = found["rows"]
        return rows


def evaluated(work: Work, request: Request, *parcels: bytes) -> dict[str, Any]:
    """Do the work of a batch on a worker: its rows, or the error that a user can act on."""
    try:
        return {"rows": work(request, parcels)}
    except XnorflowError as e:
        return {"error": (type(e).__name__, str(e))}


def unpacked(data: bytes) -> bytes:
    """Return a file; as the result of a task, it travels to the workers that need it."""
    return data


def _error(name: str, message: str) -> XnorflowError:
    """Return an error that was raised on a worker."""
    known = (BadInput, CheckFailed, ToolMissing)
    return next((c for c in known if c.__name__ == name), XnorflowError)(message)


def check_lost(lost: list[str], what: str) -> None:
    """Raise CheckFailed if workers died over some points again and again."""
    if lost:
        raise CheckFailed(
            f"workers died several times over {', '.join(lost)}; the system may have run out of"
            f" memory. {what} has the other points. What would work: fewer --jobs, and the same"
            " command once more, which evaluates only what is missing"
        )
