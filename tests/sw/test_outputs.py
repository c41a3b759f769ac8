"""Files and folders appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from xnorflow.errors import BadInput, CheckFailed
from xnorflow.outputs import whole_file, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, CheckFailed])
def test_a_file_that_is_interrupted_leaves_the_former_one(
    tmp_path: Path, error: type[BaseException]
) -> None:
    (tmp_path / "a.txt").write_text("former")
    with pytest.raises(error), whole_file(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "former" and names(tmp_path) == ["a.txt"]
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole" and names(tmp_path) == ["a.txt"]


def test_what_a_check_found_may_be_kept(tmp_path: Path) -> None:
    for written in (False, True):
        with (
            pytest.raises(CheckFailed),
            whole_file(tmp_path / "a.txt", keep=(CheckFailed,)) as part,
        ):
            if written:
                part.write_text("evidence")
            raise CheckFailed("it differs")
        assert names(tmp_path) == ["a.txt"] * written
    assert (tmp_path / "a.txt").read_text() == "evidence"


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_full_disk_is_one_line(tmp_path: Path, whole: type) -> None:
    with pytest.raises(BadInput, match="cannot write .*a: No space left"), whole(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_the_error_of_another_file_stays_what_it_is(tmp_path: Path, whole: type) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "a"):
        (tmp_path / "another" / "file").read_text()
    assert names(tmp_path) == []


@pytest.mark.parametrize("target", ["/proc/a", "file/a"])
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_what_cannot_be_written_is_said_before_any_work(
    tmp_path: Path, whole: type, target: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write .*a: "), whole(tmp_path / target):
        raise AssertionError("the work began")


@pytest.mark.parametrize("nth", [1, 2])
def test_an_interruption_while_a_folder_is_swapped_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("former")
    rename, calls = Path.rename, 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise KeyboardInterrupt
        return rename(self, target)

    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "out") as made:
        (made / "a").write_text("new")
        monkeypatch.setattr(Path, "rename", interrupted)
    assert names(tmp_path) == ["out"] and (tmp_path / "out" / "a").read_text() == "former"
