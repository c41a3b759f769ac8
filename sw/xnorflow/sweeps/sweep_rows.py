"""The rows of a sweep: their columns, and the key of each, which is a digest of its point."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
"""A row: plain values by name of the column."""

KEY = "key"
"""Column with the digest of the point."""
FORMAT = b"xnorflow-sweep-1"
"""Format of the files, which their metadata name."""


@dataclass(frozen=True)
class RowKind:
    """A kind of rows.

    Parameters
    ----------
    name : str
        Name of the kind, and of its file without the suffix.
    point : mapping of str to str
        Columns that say which point a row is about, each with its type: "string", "int64",
        "float64" or "bool". They are in every row; the key is their digest.
    result : mapping of str to str
        Columns with what was found, which may be empty; their types may also be "list<int64>".
    order : tuple of str
        Columns by which the finished file is sorted.
    """

    name: str
    point: Mapping[str, str]
    result: Mapping[str, str]
    order: tuple[str, ...]

    def key(self, row: Row) -> str:
        """Compute the key of the point that a row is about: a SHA-256 in hexadecimal."""
        values = [self.name, *(_plain(row[column], type_) for column, type_ in self.point.items())]
        return hashlib.sha256(json.dumps(values, allow_nan=False).encode()).hexdigest()

    def finished(self, row: Row) -> dict[str, Any]:
        """Return a row with its key and with all columns, in the order of the file."""
        if strange := set(row) - set(self.point) - set(self.result):
            raise ValueError(f"rows of {self.name} have no columns {sorted(strange)}")
        found = {KEY: self.key(row)} | {column: row[column] for column in self.point}
        return found | {column: row.get(column) for column in self.result}

    @property
    def schema(self) -> pa.Schema:
        """The schema of the file."""
        import pyarrow as pa

        fields = [pa.field(KEY, pa.string(), nullable=False)]
        fields += [pa.field(n, _type(t), nullable=False) for n, t in self.point.items()]
        fields += [pa.field(n, _type(t)) for n, t in self.result.items()]
        return pa.schema(fields, {b"xnorflow": FORMAT, b"rows": self.name.encode()})

    def table(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Return finished rows as a table."""
        import pyarrow as pa

        return pa.Table.from_pylist(rows, schema=self.schema)


def _plain(value: Any, type_: str) -> Any:
    """Return a value of a column so that equal ones have the same text: 50 MHz is 50.0."""
    return float(value) if type_ == "float64" else value


def _type(name: str) -> pa.DataType:
    """Return the Arrow type of a column."""
    import pyarrow as pa

    match name:
        case "string":
            return pa.string()
        case "int64":
            return pa.int64()
        case "float64":
            return pa.float64()
        case "bool":
            return pa.bool_()
        case "list<int64>":
            return pa.list_(pa.int64())
        case _:
            raise TypeError(f"there is no type {name!r} of columns")
