"""The lines that messages give for pip fit where the package came from."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from xnorflow.extras import install_line


class Distribution:
    """An installed package with a record of its origin."""

    def __init__(self, record: dict[str, Any] | None) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.record is None else json.dumps(self.record)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (None, "pip install 'xnorflow[train]'"),
        (
            {"url": "file:///home/me/my%20clone", "dir_info": {"editable": True}},
            "pip install -e '/home/me/my clone[train]'",
        ),
        ({"url": "file:///home/me/clone", "dir_info": {}}, "pip install '/home/me/clone[train]'"),
        (
            {"url": "file:///tmp/xnorflow-0.1.0-py3-none-any.whl", "archive_info": {}},
            "pip install '/tmp/xnorflow-0.1.0-py3-none-any.whl[train]'",
        ),
        (
            {"url": "https://example.org/xnorflow.zip", "archive_info": {}},
            "pip install 'xnorflow[train] @ https://example.org/xnorflow.zip'",
        ),
    ],
)
def test_an_extra_is_installed_from_where_the_package_came(
    record: dict[str, Any] | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(record))
    assert install_line("train") == line


def test_a_tree_that_is_not_installed_is_named_by_its_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert install_line("boards") == f"pip install -e '{Path(__file__).parents[2]}[boards]'"
