"""Where the points of a sweep are evaluated: processes of this machine, or a running Dask cluster.

Whoever reaches a Dask scheduler or worker can make it run any code, because Dask unpickles what it
is sent. So the processes of this machine listen on the loopback interface only, and talk over TLS
with a key that is made for each sweep: not even other users of the machine get through.
"""

from __future__ import annotations

import logging
import os
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xnorflow.errors import BadInput, ToolMissing
from xnorflow.extras import install_line

if TYPE_CHECKING:
    from distributed import Client

LOOPBACK = "127.0.0.1"
EXTRA = "sweep"
CONFIGURATION = {
    # Each process has a web server, which is to serve nothing.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Dask's own setting hands memory back to the system at once; schedules then take twice as long,
    # much of it in the kernel. Several threads for one array would compete with other processes.
    "distributed.nanny.pre-spawn-environ": {
        f"{library}_NUM_THREADS": 1 for library in ("OMP", "MKL", "OPENBLAS")
    },
}
"""What differs from Dask's own configuration for processes of this machine."""
PATIENCE = 20.0
"""Seconds within which a scheduler has to answer."""


def need_packages() -> None:
    """Import what a sweep needs.

    Raises
    ------
    ToolMissing
        If a package is not installed.
    """
    try:
        import cryptography  # noqa: F401
        import distributed  # noqa: F401
        import pyarrow.parquet  # noqa: F401
    except ImportError as e:
        raise ToolMissing(
            f"a sweep needs {(e.name or 'a package').partition('.')[0]}, which is not installed."
            f" Install it with: {install_line(EXTRA)}"
        ) from e


def check_choice(scheduler: str | None, jobs: int | None) -> None:
    """Check which workers are asked for.

    Raises
    ------
    BadInput
        If both a scheduler and a number of processes are given, or fewer than one process.
    ToolMissing
        If a package is not installed.
    """
    need_packages()
    if scheduler is not None and jobs is not None:
        raise BadInput(
            "jobs are processes of this machine, but a scheduler is given, whose workers are there"
            " already: leave one of the two out"
        )
    if jobs is not None and jobs < 1:
        raise BadInput(f"{jobs} processes would not evaluate anything; 1 or more would work")


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def connected(scheduler: str | None = None, jobs: int | None = None) -> Iterator[Client]:
    """Yield a client of a running cluster, or of one that exists as long as the block.

    Parameters
    ----------
    scheduler : str, optional
        Address of a Dask scheduler, such as "tls://10.0.0.1:8786". Certificates are those of Dask's
        own configuration (``distributed.comm.tls``).
    jobs : int, optional
        Processes on this machine, if there is no `scheduler`; by default one for each processor.

    Raises
    ------
    BadInput
        If `jobs` is less than 1 or no scheduler answers.
    ToolMissing
        If Dask is not installed.
    """
    check_choice(scheduler, jobs)
    with _local(jobs or processors()) if scheduler is None else _remote(scheduler) as client:
        _check_workers(client)
        yield client


def _check_workers(client: Client) -> None:
    """Check that the workers have this package: one that cannot read its tasks would never answer.

    Raises
    ------
    ToolMissing
        If a worker lacks it.
    """
    try:
        client.run(pkgutil.resolve_name, "xnorflow.sweeps.dispatch:AHEAD")
    except (ImportError, AttributeError) as e:
        raise ToolMissing(
            f"the workers lack xnorflow ({e}). What would work: install the same version where they"
            " run"
        ) from e


@contextmanager
def _local(jobs: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    with (
        dask.config.set(CONFIGURATION),
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            host=LOOPBACK,
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address=f"{LOOPBACK}:0",
            worker_dashboard_address=f"{LOOPBACK}:0",
            # That a worker was lost and is started again is told in other ways.
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _remote(scheduler: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as e:
        raise BadInput(
            f"no Dask scheduler answers at {scheduler}: {' '.join(str(e).split())[:300]}. What"
            " would work: the address that 'dask scheduler' prints, or no --scheduler, for"
            " processes of this machine"
        ) from e
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as e:
            raise BadInput(
                f"the Dask scheduler at {scheduler} has no workers. What would work: start some:"
                f" dask worker {scheduler}"
            ) from e
        yield client
