"""Archives of arrays at the limit of their size, and one byte beyond it."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xnorflow.errors import BadInput
from xnorflow.npz import read_archive

REFUSED = (ValueError, BadInput)
A, B = np.arange(12, dtype=np.int32).reshape(3, 4), np.arange(5, dtype=np.uint8)


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """Two arrays of 48 and 5 bytes."""
    np.savez(tmp_path / "both.npz", a=A, b=B)
    return tmp_path / "both.npz"


def test_the_limit_is_for_all_arrays_together(both: Path) -> None:
    arrays, there = read_archive(both, 53)
    assert there == ["a", "b"]
    np.testing.assert_array_equal(arrays["a"], A)
    np.testing.assert_array_equal(arrays["b"], B)
    with pytest.raises(REFUSED, match="b claims 5 bytes, more than the 4 allowed"):
        read_archive(both, 52)
    with pytest.raises(REFUSED, match="a claims 48 bytes, more than the 47 allowed"):
        read_archive(both, 47)


def test_only_what_is_asked_for_is_read_and_counted(both: Path) -> None:
    arrays, there = read_archive(both, 5, ["b", "c"])
    assert list(arrays) == ["b"] and there == ["a", "b"]
    with pytest.raises(REFUSED, match="b claims 5 bytes"):
        read_archive(both, 4, ["b", "c"])
    assert read_archive(both, 0, []) == ({}, ["a", "b"])


def archive(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("a.npy", content)
    return path


def npy(a: Any, version: tuple[int, int]) -> bytes:
    f = io.BytesIO()
    np.lib.format.write_array(f, a, version=version)
    return f.getvalue()


@pytest.mark.parametrize(("version", "known"), [((1, 0), True), ((2, 0), True), ((3, 0), False)])
def test_versions_of_the_format(tmp_path: Path, version: tuple[int, int], known: bool) -> None:
    path = archive(tmp_path / "a.npz", npy(A, version))
    if known:
        np.testing.assert_array_equal(read_archive(path, 48)[0]["a"], A)
    else:
        with pytest.raises(REFUSED, match="version"):
            read_archive(path, 48)


def claimed(shape: str, content: bytes = b"", descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize(
    ("shape", "size"), [("()", 1), ("(3,)", 3), ("(3, 2)", 6), ("(0,)", 0), ("(0, 9)", 0)]
)
def test_what_a_header_claims_is_there(tmp_path: Path, shape: str, size: int) -> None:
    path = archive(tmp_path / "a.npz", claimed(shape, bytes(size)))
    assert read_archive(path, size)[0]["a"].size == size
    if size:
        path = archive(tmp_path / "a.npz", claimed(shape, bytes(size - 1)))
        with pytest.raises(REFUSED):
            read_archive(path, size)


@pytest.mark.parametrize("shape", ["(-1,)", "(-1, -1)", "(-3, 0)", f"({2**62},)"])
def test_impossible_shapes_are_refused(tmp_path: Path, shape: str) -> None:
    with pytest.raises(REFUSED):
        read_archive(archive(tmp_path / "a.npz", claimed(shape, bytes(9))), 1 << 30)


def test_objects_are_refused_before_their_size_is_looked_at(tmp_path: Path) -> None:
    for descr in ("'|O'", "[('a', '|O')]"):
        path = archive(tmp_path / "a.npz", claimed("(1,)", bytes(99), descr))
        with pytest.raises(REFUSED, match="Python objects, which are never loaded"):
            read_archive(path, 0)
