"""Untrusted files: only regular ones are opened, and every fault is a message of one line."""

from __future__ import annotations

import os
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest

from xnorflow.errors import BadInput, CheckFailed
from xnorflow.inputs import MAX_REASON, blaming, opened, read_json, whole


def blamed(error: BaseException) -> str:
    with pytest.raises(BadInput) as caught, blaming("a is not b"):
        raise error
    assert caught.value.__cause__ is error
    return str(caught.value)


def test_every_error_becomes_one_line_of_ours() -> None:
    class Odd(Exception):
        pass

    assert blamed(zlib.error("Error -3")) == "a is not b: Error -3"
    assert blamed(Odd()) == "a is not b: Odd"
    assert blamed(ValueError("one\n  two")) == "a is not b: one two"
    assert blamed(KeyError("layers")) == "a is not b: it has no 'layers'"
    assert blamed(OSError(21, "Is a directory", "x")) == "a is not b: Is a directory"
    assert blamed(OSError("no number")) == "a is not b: no number"
    assert blamed(MemoryError()) == "a is not b: there is not enough memory for it"
    assert blamed(RecursionError("maximum depth")) == "a is not b: it is nested too deeply"
    assert len(blamed(ValueError("x" * 9999))) < MAX_REASON + 20


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), CheckFailed("ours")])
def test_what_is_not_the_files_fault_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, blaming("a is not b"):
        raise error
    assert caught.value is error


def test_warnings_of_a_reader_are_not_shown() -> None:
    with blaming("a is not b"):
        warnings.warn("text that the file chose", stacklevel=1)


def test_only_regular_files_of_bounded_size_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "null").symlink_to("/dev/null")
    for name, message in (
        ("pipe", "no regular file"),
        ("null", "no regular file"),
        (".", "it is a folder"),
        ("file", "has 5 bytes, more than the 4 allowed"),
    ):
        with pytest.raises(ValueError, match=message), opened(tmp_path / name, 4):
            pass
    with opened(tmp_path / "file", 5) as f:
        assert f.read() == b"12345"
    with pytest.raises(FileNotFoundError), opened(tmp_path / "none", 4):
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"\xff", "codec can't decode"),
        (b"[" * 99_999, "nested too deeply"),
        (b"[NaN]", "it holds NaN"),
        (b"-Infinity", "it holds -Infinity"),
        (b"1" * 5000, "Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"a.json is not a thing: .*{message}"):
        read_json(path, "a thing")


def test_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"é": [1, 2.5, null]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json", "a thing") == {"é": [1, 2.5, None]}


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], 1 << 63, -(1 << 63)])
def test_what_only_looks_like_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="its PE has to be a whole number"):
        whole(value, "PE")
    assert whole((1 << 63) - 1, "PE") == (1 << 63) - 1
