"""What workers need of this machine's files, as bytes: networks, folders of designs, boards.

A worker may be another machine, so nothing is named by a path. What it unpacks lies in a folder of
its own, which is removed when its process ends.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from xnorflow import ir
from xnorflow.devices.board_file import BoardFile
from xnorflow.devices.board_names import SHIPPED, described
from xnorflow.inputs import blaming
from xnorflow.ir import file as ir_file

MAX_BYTES = 1 << 32
"""Most bytes of the files of a design."""


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def packed_network(net: ir.IntegerNetwork) -> bytes:
    """Return a network as the bytes of its file."""
    with tempfile.TemporaryDirectory(prefix="xnorflow-") as folder:
        path = Path(folder) / "network.npz"
        ir_file.save(net, path)
        return path.read_bytes()


def unpacked_network(data: bytes) -> ir.IntegerNetwork:
    """Read a network from the bytes of its file."""
    with tempfile.TemporaryDirectory(prefix="xnorflow-") as folder:
        path = Path(folder) / "network.npz"
        path.write_bytes(data)
        return ir_file.load(path)


def packed_folder(folder: Path) -> bytes:
    """Return the files of a folder, but not its folders, as the bytes of an archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            # A date would make the same files differ.
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def unpacked_folder(data: bytes, folder: Path) -> None:
    """Write the files of an archive of `packed_folder` to a folder.

    Raises
    ------
    BadInput
        If it is none.
    """
    with (
        blaming("the files of a design did not arrive"),
        zipfile.ZipFile(io.BytesIO(data)) as archive,
    ):
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"they have more than {MAX_BYTES} bytes")
        for entry in archive.infolist():
            if Path(entry.filename).name != entry.filename:
                raise ValueError(f"{entry.filename!r} is no file name")
            (folder / entry.filename).write_bytes(archive.read(entry))


def board_text(board: str) -> str:
    """Return what says on another machine which board is meant: its name, or the text of its file.

    Parameters
    ----------
    board : str
        The board as `xnorflow.devices.board_names.described` takes it.
    """
    found = described(board)
    return found.name if found.name in SHIPPED or not found.text else found.text


def board_named(text: str) -> str:
    """Return a board as `xnorflow.devices.tables.fpga` takes it, given what `board_text` said."""
    return text if "\n" not in text else str(_file(text))


@cache
def _file(text: str) -> Path:
    """Write the text of a board's file into a folder for this process."""
    name = BoardFile.parse(text, "the board's file").name
    folder = scratch() / digest(text.encode())[:32]
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@cache
def scratch() -> Path:
    """Return a folder of this process, which is removed with it."""
    made = Path(tempfile.mkdtemp(prefix="xnorflow-sweep-", dir=_room()))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _room() -> str | None:
    """Return the folder of a worker whose process is its own, which is removed even after a kill.

    It is None elsewhere: other workers of this process may come and go.
    """
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return None
    return str(worker.local_directory) if worker.nanny is not None else None
