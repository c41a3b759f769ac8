from pathlib import Path

import pytest

from xnorflow.cli.folders import whole_folder
from xnorflow.errors import BadInput

KNOWN = ("a", "b")


def fill(target: Path, text: str) -> None:
    with whole_folder(target, KNOWN) as folder:
        (folder / "a").write_text(text)


def test_a_folder_appears_whole_and_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    fill(target, "one")
    (target / "b").mkdir()
    fill(target, "two")
    assert [p.name for p in target.iterdir()] == ["a"]
    assert (target / "a").read_text() == "two"
    assert [p.name for p in target.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_an_interrupted_one(tmp_path: Path, error: type[BaseException]) -> None:
    fill(tmp_path / "out", "one")
    with pytest.raises(error), whole_folder(tmp_path / "out", KNOWN) as folder:
        (folder / "a").write_text("half")
        raise error
    assert (tmp_path / "out" / "a").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "a").write_text("mine")
    for target, words in (
        (tmp_path, "holds other files"),
        (tmp_path / "a", "is a file"),
        (tmp_path / "a" / "b", "cannot write"),
    ):
        with pytest.raises(BadInput, match=words):
            fill(target, "x")
    assert (tmp_path / "a").read_text() == "mine"
