"""A cluster within this process, and small networks, for the tests of sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from xnorflow import demo, ir, load


@pytest.fixture(scope="session")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler with one worker, both within this process."""
    pytest.importorskip("pyarrow", reason="sweeps need pyarrow (extra: sweep)")
    distributed = pytest.importorskip("distributed", reason="sweeps need Dask (extra: sweep)")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="session")
def net() -> ir.IntegerNetwork:
    return load(demo.model_path())


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"
