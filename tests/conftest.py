"""Settings that all tests share."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, settings

from xnorflow import outputs
from xnorflow.schemas import NAMES, schema

settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True, scope="session")
def documents_match_their_schemas() -> Iterator[None]:
    """Hold every design.json, build.json and evidence.json that a test writes to its schema."""
    known = {f"xnorflow-{name}-1": jsonschema.Draft202012Validator(schema(name)) for name in NAMES}
    write = outputs.write_json

    def checked(path: Path, content: Mapping[str, Any]) -> None:
        write(path, content)
        # As it is read, where tuples are lists.
        known[content["format"]].validate(json.loads(path.read_text(encoding="utf-8")))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "write_json", checked)
        yield


@pytest.fixture(scope="session")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler with one worker, both within this process."""
    pytest.importorskip("pyarrow", reason="sweeps need pyarrow (extra: sweep)")
    distributed = pytest.importorskip("distributed", reason="sweeps need Dask (extra: sweep)")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address
