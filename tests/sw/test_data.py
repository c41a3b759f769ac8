"""Images from files: the formats that are read, and files that lie."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xnorflow.data import read_images
from xnorflow.errors import BadInput

X = np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2)
Y = np.array([3, 1, 0, 2])


@pytest.mark.parametrize("names", [("x", "y"), ("x_test", "y_test")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives(tmp_path: Path, names: tuple[str, str], save: Any) -> None:
    x, y = names
    save(tmp_path / "a.npz", **{x: X, y: Y.astype(np.uint8), "other": np.zeros(3)})
    images = read_images(tmp_path / "a.npz")
    np.testing.assert_array_equal(images.x, X)
    np.testing.assert_array_equal(images.y, Y)
    assert images.x.dtype == np.uint8 and images.y is not None and images.y.dtype == np.int64
    first = images.first(2)
    np.testing.assert_array_equal(first.x, X[:2])
    np.testing.assert_array_equal(first.y, Y[:2])
    assert images.first(None) is images


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float32, np.bool_])
def test_other_numbers_are_read_too(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "a.npy", X.astype(dtype))
    images = read_images(tmp_path / "a.npy")
    assert images.x.dtype == dtype
    np.testing.assert_array_equal(images.x, X.astype(dtype))


def test_labels_are_optional(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    np.save(tmp_path / "a.npy", X)
    for name in ("a.npz", "a.npy"):
        images = read_images(tmp_path / name)
        np.testing.assert_array_equal(images.x, X)
        assert images.y is None


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_versions_of_npy(tmp_path: Path, version: tuple[int, int]) -> None:
    with (tmp_path / "a.npy").open("wb") as f:
        np.lib.format.write_array(f, np.asfortranarray(X), version=version)
    np.testing.assert_array_equal(read_images(tmp_path / "a.npy").x, X)


def pictures(folder: Path, mode: str, names: list[str]) -> np.ndarray:
    rng = np.random.default_rng(2)
    shape = (5, 4, 3) if mode == "RGB" else (5, 4)
    frames = rng.integers(0, 256, (len(names), *shape)).astype(np.uint8)
    for frame, name in zip(frames, names, strict=True):
        Image.fromarray(frame).save(folder / name)
    return frames


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_folders_of_pictures(tmp_path: Path, mode: str) -> None:
    frames = pictures(tmp_path, mode, ["1_b.png", "10_a.png", "2_c.png"])
    (tmp_path / "readme.txt").write_text("not a picture")
    images = read_images(tmp_path)
    np.testing.assert_array_equal(images.x, frames[[1, 0, 2]])  # 0 is before _.
    assert images.y is not None and images.y.tolist() == [10, 1, 2]


def test_one_name_without_a_label_means_none(tmp_path: Path) -> None:
    pictures(tmp_path, "L", ["1_b.png", "plain.png"])
    assert read_images(tmp_path).y is None


def test_palettes_keep_their_colours(tmp_path: Path) -> None:
    colours = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))
    colours.quantize(2).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_images(tmp_path).x[0], np.asarray(colours))
    grey = Image.fromarray(np.array([[0, 200]], np.uint8))
    grey.convert("RGB").quantize(2).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_images(tmp_path).x[0], np.asarray(grey))


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(**members: bytes) -> bytes:
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in members.items():
            z.writestr(f"{name}.npy", content)
    return f.getvalue()


def npy(a: Any, **options: Any) -> bytes:
    f = io.BytesIO()
    np.lib.format.write_array(f, np.asarray(a), **options)
    return f.getvalue()


PICKLED = npy(np.array([{}, []], object), allow_pickle=True)
HOSTILE = {
    "empty": (b"", "not a readable"),
    "text": (b"hello", "not a readable"),
    "objects": (PICKLED, "Python objects, which are never loaded"),
    "huge": (header("(100000, 100000, 100000)"), "claims 1000000000000000 bytes"),
    "overflow": (header(f"({2**40}, {2**40})"), "claims"),
    "negative": (header("(-3, 4)"), "not a readable"),
    "short": (header("(30, 40)") + b"12", "not a readable"),
    "cut": (npy(X)[:20], "not a readable"),
    "code": (header("(1, 2)", "__import__('os').abort()"), "not a readable"),
    "nested": (header("(" * 5000 + ")" * 5000), "not a readable"),
    "structured": (header("(1, 2)", "[('a', 'u1')]") + b"12", "images are"),
    "complex": (npy(X * 1j), "images are complex128 of shape"),
    "flat": (npy(X[0, 0]), r"of shape \[2\]; they have to be uint8 \[frames, ...\]"),
    "none": (npy(X[:0]), "holds no images"),
}


@pytest.mark.filterwarnings("ignore")  # Python's parser warns of some of the headers.
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays_are_refused(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path / "a.npy")
    (tmp_path / "a.npz").write_bytes(archive(x=content))
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable"),
        (b"PK\x03\x04 and nothing more", "not a readable"),
        (archive(), "holds no array named x or x_test, only nothing"),
        (archive(images=npy(X)), "only images"),
        (
            archive(x=npy(X), y=npy(Y[:3])),
            r"labels are int64 of shape \[3\]; they have to be whole numbers of shape \[4\]",
        ),
        (archive(x=npy(X), y=npy(Y / 2)), "labels are float64"),
        (archive(x=npy(X), y=npy(np.eye(4))), r"they are one-hot, so y.argmax\(1\) would work"),
        (archive(x=npy(X), y=npy(Y[:, None])), r"y\[:, 0\] would work"),
        (archive(x=npy(X), y=npy(Y * 1.0)), r"y.astype\(int\) would work"),
        (archive(x=npy(X), y=PICKLED), "Python objects"),
        (archive(x=npy(X))[:-30], "not a readable"),
    ],
)
def test_hostile_archives_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path / "a.npz")


def test_a_member_that_does_not_match_its_checksum_is_refused(tmp_path: Path) -> None:
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w") as z:
        z.writestr("x.npy", npy(X))
    content = bytearray(f.getvalue())
    content[content.index(bytes(X[0, 0])) + 3] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadInput, match="not a readable"):
        read_images(tmp_path / "a.npz")


def test_pictures_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no PNG files"):
        read_images(tmp_path)
    pictures(tmp_path, "L", ["a.png"])
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with pytest.raises(BadInput, match=r"b.png is not a readable picture"):
        read_images(tmp_path)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(BadInput, match=r"b.png has shape \(9, 9\) and a.png has \(5, 4\)"):
        read_images(tmp_path)
    Image.fromarray(np.zeros((5, 4), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(
        BadInput, match="its pixels are of mode 'I;16'; only 8 bits per channel can be read"
    ):
        read_images(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no data file .*none.npz"):
        read_images(tmp_path / "none.npz")


def test_every_byte_that_may_be_wrong_leaves_images_or_one_line(tmp_path: Path) -> None:
    """Damage each byte of small files in turn; the checksum is put right for half of them."""
    packed = io.BytesIO()
    np.savez_compressed(packed, x=X, y=Y)
    plain = npy(X)
    versions = {"a.npz": [packed.getvalue(), archive(x=plain, y=npy(Y))], "a.npy": [plain]}
    damaged = [
        (name, content[:at] + bytes([value]) + content[at + 1 :])
        for name, contents in versions.items()
        for content in contents
        for at in range(len(content))
        for value in (0, content[at] ^ 4, 0xFF)
    ]
    damaged += [("a.npz", archive(x=content)) for name, content in damaged if name == "a.npy"]
    refused = 0
    for name, content in damaged:
        (tmp_path / name).write_bytes(content)
        try:
            images = read_images(tmp_path / name)
        except BadInput as e:
            refused += 1
            assert "\n" not in str(e)
        else:
            assert images.x.dtype == np.uint8 and images.x.size
    assert refused > len(damaged) // 4


@pytest.mark.parametrize("shape", ["(True, 2)", "(1.0, 2)", "None", "(1L, 2L)", "[1, 2]"])
def test_a_shape_of_other_than_whole_numbers_is_refused(tmp_path: Path, shape: str) -> None:
    (tmp_path / "a.npy").write_bytes(header(shape) + b"12")
    if shape == "(1L, 2L)":  # As Python 2 wrote it.
        assert read_images(tmp_path / "a.npy").x.tolist() == [[49, 50]]
        return
    with pytest.raises(BadInput, match="a.npy is not a readable"):
        read_images(tmp_path / "a.npy")


def test_an_array_larger_than_its_file_is_refused_unread(tmp_path: Path) -> None:
    content = header("(1000000000,)") + b"12"
    for name, whole in (("a.npy", content), ("a.npz", archive(x=content))):
        (tmp_path / name).write_bytes(whole)
        with pytest.raises(BadInput, match="claims 1000000000 bytes, of which 2 are there"):
            read_images(tmp_path / name)


def test_a_method_of_zip_that_numpy_does_not_use_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as z:
        z.writestr("x.npy", npy(X))
    with pytest.raises(BadInput, match="x is compressed by method 14 of zip"):
        read_images(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "folder/7_a.png"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadInput, match="it is no regular file"):
        read_images(tmp_path / name.replace("/7_a.png", ""))


def test_another_format_under_the_name_of_png_is_refused(tmp_path: Path) -> None:
    Image.fromarray(X[0, :, :, 0] if X.ndim == 4 else X[0]).save(tmp_path / "a.png", "GIF")
    with pytest.raises(BadInput, match="a.png is not a readable picture"):
        read_images(tmp_path)


def test_a_picture_that_no_network_takes_is_refused_unread(tmp_path: Path) -> None:
    Image.new("1", (1 << 12, (1 << 12) + 1)).save(tmp_path / "a.png")
    with pytest.raises(BadInput, match="a.png is not a readable picture: it has 4096 x 4097 pix"):
        read_images(tmp_path)
    Image.new("1", (1 << 12, 1 << 12)).save(tmp_path / "a.png")
    assert read_images(tmp_path).x.shape == (1, 1 << 12, 1 << 12)
