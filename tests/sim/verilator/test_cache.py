"""The cache makes an entry once, and as a whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from xnorflow_sim.verilator import cache


def test_an_entry_is_made_once_even_when_many_ask(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("whole")

    threads = [
        threading.Thread(target=cache.entry, args=(tmp_path, "thing", make)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (cache.entry(tmp_path, "thing", make) / "file").read_text() == "whole"


def test_a_failure_leaves_no_entry_and_the_next_try_may_succeed(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        cache.entry(tmp_path, "thing", fail)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    cache.entry(tmp_path, "thing", lambda folder: None)


def test_the_digest_depends_on_every_text_and_on_how_they_are_split() -> None:
    digests = [cache.digest(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["ab", b"d"])]
    assert len(set(digests)) == 4
    assert cache.digest(["ab", "c"]) == digests[0]


def test_the_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XNORFLOW_CACHE", str(tmp_path / "x"))
    assert cache.default() == tmp_path / "x"
    monkeypatch.delenv("XNORFLOW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default() == tmp_path / "xnorflow"
