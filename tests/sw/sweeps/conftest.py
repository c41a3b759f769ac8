"""A small network, and a folder for results, for the tests of sweeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from xnorflow import demo, ir, load


@pytest.fixture(scope="session")
def net() -> ir.IntegerNetwork:
    return load(demo.model_path())


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"
