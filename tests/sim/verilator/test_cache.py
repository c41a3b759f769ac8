"""The cache makes an entry once, and as a whole or not at all."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from xnorflow.errors import BadInput
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


def replaced_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def replaced_by_a_dangling_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("nowhere")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: (folder / "model.so").write_bytes(b"12"),
    "one byte": lambda folder: (folder / "model.so").write_bytes(b"12345678X"),
    "empty": lambda folder: (folder / "model.so").write_bytes(b""),
    "missing": lambda folder: (folder / "model.so").unlink(),
    "no list": lambda folder: (folder / cache.CONTENTS).unlink(),
    "cut list": lambda folder: (folder / cache.CONTENTS).write_text('{"model.so"'),
    "other list": lambda folder: (folder / cache.CONTENTS).write_text("[3]"),
    "file": replaced_by_a_file,
    "link": replaced_by_a_dangling_link,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_made_again(tmp_path: Path, name: str) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "deep").mkdir()
        (folder / "deep" / "part").write_text("x")
        (folder / "model.so").write_bytes(b"123456789")

    folder = cache.entry(tmp_path, "thing", make)
    assert cache.entry(tmp_path, "thing", make) == folder and len(made) == 1
    DAMAGE[name](folder)
    assert cache.entry(tmp_path, "thing", make) == folder and len(made) == 2
    assert (folder / "model.so").read_bytes() == b"123456789"
    assert (folder / "deep" / "part").read_text() == "x"
    assert cache.entry(tmp_path, "thing", make) == folder and len(made) == 2
    assert not list(tmp_path.glob(".thing*"))


def test_a_file_more_is_no_damage(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        folder = cache.entry(tmp_path, "thing", lambda folder: made.append(folder))
        (folder / "left behind by a run").write_text("")
    assert len(made) == 1


@pytest.mark.parametrize("root", ["file", "file/below", "/proc/cache"])
def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot keep compiled .* set XNORFLOW_CACHE to a folder"):
        cache.entry(tmp_path / root, "thing", lambda folder: None)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BadInput, match="No space left on device.* set XNORFLOW_CACHE"):
        cache.entry(tmp_path, "thing", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]


def test_a_sound_entry_is_found_in_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache.entry(tmp_path, "thing", lambda folder: None)

    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for method in ("mkdir", "write_text", "touch"):
        monkeypatch.setattr(Path, method, forbidden)
    assert cache.entry(tmp_path, "thing", lambda folder: None) == folder
    with pytest.raises(BadInput, match="Permission denied.*XNORFLOW_CACHE"):
        cache.entry(tmp_path, "other", lambda folder: None)


def test_a_home_that_nobody_has_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XNORFLOW_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(BadInput, match="What would work: set XNORFLOW_CACHE"):
        cache.default()
