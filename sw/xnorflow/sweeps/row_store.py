"""The Parquet files of a sweep: parts while it runs, one sorted file when it is done.

Each batch of rows is a file of its own, which is written to a temporary name and renamed. So a
sweep that is interrupted leaves whole parts, and the next one reads what is done from them.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xnorflow.errors import BadInput
from xnorflow.inputs import blaming, opened
from xnorflow.outputs import whole_file
from xnorflow.sweeps.sweep_rows import FORMAT, KEY, Row, RowKind

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 1 << 33
"""Most bytes that a file of rows may have."""
SUFFIX = ".parquet"
LOCK = ".lock"
"""File in the folder that the running sweep holds."""


@contextmanager
def results_folder(folder: Path) -> Iterator[Path]:
    """Create the folder of a sweep if need be, and hold it for this process alone.

    Raises
    ------
    BadInput
        If it cannot be written, or another sweep writes there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("w")
    except OSError as e:
        raise BadInput(f"cannot write results to {folder}: {e.strerror or e}") from e
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise BadInput(
                f"another sweep writes to {folder}. What would work: wait for it, or give another"
                " folder"
            ) from e
        yield folder


class RowStore:
    """All rows of one kind in the folder of a sweep, which the caller holds.

    Parameters
    ----------
    folder : Path
        Folder of the sweep.
    kind : RowKind
        Kind of the rows.

    Attributes
    ----------
    done : set of str
        Keys of the points whose rows are there.

    Raises
    ------
    BadInput
        If a file there has other columns, or a row whose key is not that of its point.
    """

    def __init__(self, folder: Path, kind: RowKind) -> None:
        self.kind = kind
        self.path = folder / f"{kind.name}{SUFFIX}"
        self._parts = folder / f"{kind.name}.parts"
        # What a process that was killed had begun to write.
        for begun in (*folder.glob(f".{self.path.name}.*"), *self._parts.glob(".*")):
            shutil.rmtree(begun, ignore_errors=True)
        self.done: set[str] = set()
        for path in self._files():
            self.done |= self._keys(path)

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows of points that are not there yet as one part."""
        import pyarrow.parquet as pq

        found = [self.kind.finished(row) for row in rows]
        keys = [row[KEY] for row in found]
        if not keys:
            return
        if len(set(keys)) < len(keys) or self.done.intersection(keys):
            raise ValueError(f"a point of {self.kind.name} would be there twice")
        name = hashlib.sha256("".join(keys).encode()).hexdigest()[:32]
        with whole_file(self._parts / f"{name}{SUFFIX}") as part:
            pq.write_table(self.kind.table(found), part)
        self.done.update(keys)

    def finish(self) -> None:
        """Write all rows into one sorted file, and remove the parts."""
        import pyarrow.parquet as pq

        if not self._parts.exists():
            return
        with whole_file(self.path) as part:
            pq.write_table(self.table(), part)
        shutil.rmtree(self._parts)

    def table(self, keys: Collection[str] | None = None) -> pa.Table:
        """Return the rows in order; with `keys`, only those of these points."""
        import pyarrow as pa
        import pyarrow.compute as pc

        read = [self._read(path) for path in self._files()]
        whole = pa.concat_tables([self.kind.schema.empty_table(), *read])
        if keys is not None:
            wanted = pa.array(sorted(keys), pa.string())
            whole = whole.filter(pc.is_in(whole[KEY], value_set=wanted))
        order = [(column, "ascending") for column in (*self.kind.order, KEY)]
        whole = whole.sort_by(order).combine_chunks()
        # If a process was killed between the last two steps of `finish`, the rows of the parts are
        # in the file, too.
        column = whole[KEY].to_pylist()
        first = [i for i, key in enumerate(column) if not i or key != column[i - 1]]
        return whole if len(first) == len(column) else whole.take(first)

    def _files(self) -> list[Path]:
        finished = [self.path] if self.path.exists() else []
        return finished + sorted(self._parts.glob(f"*{SUFFIX}"))

    def _read(self, path: Path) -> pa.Table:
        import pyarrow.parquet as pq

        with blaming(f"{path} holds no {self.kind.name} that a sweep wrote"):
            with opened(path, MAX_BYTES) as file:
                found = pq.ParquetFile(file)
                said = found.schema_arrow.metadata or {}
                if said.get(b"xnorflow") != FORMAT:
                    raise ValueError(f"its metadata do not say {FORMAT.decode()!r}")
                if not found.schema_arrow.equals(self.kind.schema):
                    raise ValueError("it has other columns, as another version of xnorflow has")
                table = found.read()
            table.validate(full=True)
        return table

    def _keys(self, path: Path) -> set[str]:
        """Read the keys of a file, each of which has to be the digest of its point."""
        table = self._read(path)
        with blaming(f"{path} holds no {self.kind.name} that a sweep wrote"):
            rows = table.select([KEY, *self.kind.point]).to_pylist()
            for number, row in enumerate(rows):
                if row[KEY] != self.kind.key(row):
                    raise ValueError(f"the key of row {number} is not that of its point")
            found = {str(row[KEY]) for row in rows}
            if len(found) < len(rows):
                raise ValueError("a point is there twice")
        return found
