"""Rows of a sweep are written in whole parts, and read again only if they are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xnorflow.errors import BadInput
from xnorflow.sweeps.row_store import RowStore, results_folder
from xnorflow.sweeps.sweep_rows import KEY, RowKind

pa = pytest.importorskip("pyarrow", reason="sweeps need pyarrow (extra: sweep)")
pq = pytest.importorskip("pyarrow.parquet")

KIND = RowKind(
    "things",
    {"name": "string", "size": "int64", "clock": "float64"},
    {"found": "int64", "many": "list<int64>", "good": "bool"},
    ("name", "size"),
)


def row(size: int, found: int | None = None, clock: float = 50) -> dict[str, Any]:
    return {"name": "a", "size": size, "clock": clock, "found": found, "many": [size, 1]}


def test_a_key_is_the_digest_of_a_point_alone() -> None:
    assert KIND.key(row(1, 5)) == KIND.key(row(1, 6)) == KIND.key(row(1, clock=50.0))
    assert len({KIND.key(r) for r in (row(1), row(2), row(1, clock=51))}) == 3
    assert len(KIND.key(row(1))) == 64
    other = RowKind("others", KIND.point, KIND.result, KIND.order)
    assert other.key(row(1)) != KIND.key(row(1))


def test_parts_become_one_sorted_file(tmp_path: Path) -> None:
    store = RowStore(tmp_path, KIND)
    store.add([row(3, 30), row(1, 10)])
    store.add([row(2)])
    assert len(list((tmp_path / "things.parts").iterdir())) == 2
    again = RowStore(tmp_path, KIND)
    assert again.done == store.done and len(again.done) == 3
    again.finish()
    assert [p.name for p in tmp_path.iterdir()] == ["things.parquet"]
    table = pq.read_table(tmp_path / "things.parquet")
    assert table["size"].to_pylist() == [1, 2, 3] and table["found"].to_pylist() == [10, None, 30]
    assert table["many"].to_pylist() == [[1, 1], [2, 1], [3, 1]]
    assert table["good"].to_pylist() == [None] * 3
    assert RowStore(tmp_path, KIND).done == again.done
    wanted = {KIND.key(row(2))}
    assert RowStore(tmp_path, KIND).table(wanted).to_pylist()[0]["size"] == 2


def test_the_order_of_arrival_does_not_show(tmp_path: Path) -> None:
    contents = []
    for name, order in (("a", (3, 1, 2)), ("b", (2, 3, 1))):
        store = RowStore(tmp_path / name, KIND)
        for size in order:
            store.add([row(size)])
        store.finish()
        contents.append((tmp_path / name / "things.parquet").read_bytes())
    assert contents[0] == contents[1]


def test_a_point_is_never_there_twice(tmp_path: Path) -> None:
    store = RowStore(tmp_path, KIND)
    store.add([row(1)])
    with pytest.raises(ValueError, match="twice"):
        store.add([row(1, 5)])
    with pytest.raises(ValueError, match="twice"):
        store.add([row(2), row(2)])
    # As if a process had been killed after the file was written and before its parts were removed.
    part = next((tmp_path / "things.parts").iterdir())
    kept = part.read_bytes()
    store.finish()
    part.parent.mkdir()
    part.write_bytes(kept)
    again = RowStore(tmp_path, KIND)
    assert again.table().num_rows == 1
    again.finish()
    assert pq.read_table(tmp_path / "things.parquet").num_rows == 1 and not part.exists()


def test_what_a_killed_process_began_is_removed(tmp_path: Path) -> None:
    parts = tmp_path / "things.parts"
    RowStore(tmp_path, KIND).add([row(1)])
    (parts / ".half.parquet.abc").mkdir()
    (parts / ".half.parquet.abc" / "half.parquet").write_bytes(b"PAR1")
    (tmp_path / ".things.parquet.abc").mkdir()
    assert len(RowStore(tmp_path, KIND).done) == 1
    assert len(list(parts.iterdir())) == 1 and len(list(tmp_path.iterdir())) == 1


def damaged(path: Path, how: str) -> None:
    """Damage the file of a part."""
    table = pq.read_table(path)
    match how:
        case "cut":
            path.write_bytes(path.read_bytes()[:-20])
        case "text":
            path.write_text("no table")
        case "column":
            pq.write_table(table.drop_columns(["found"]), path)
        case "type":
            other = table.schema.set(2, pa.field("size", pa.int32(), nullable=False))
            pq.write_table(table.cast(other), path)
        case "metadata":
            pq.write_table(table.replace_schema_metadata({}), path)
        case "point":
            size = pa.array([7], pa.int64())
            pq.write_table(table.set_column(2, table.schema.field("size"), size), path)
        case "key":
            key = pa.array(["0" * 64], pa.string())
            pq.write_table(table.set_column(0, table.schema.field(KEY), key), path)
        case "twice":
            pq.write_table(pa.concat_tables([table, table]), path)
        case other:
            raise ValueError(other)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("cut", ""),
        ("text", ""),
        ("column", "other columns"),
        ("type", "other columns"),
        ("metadata", "metadata"),
        ("point", "key of row 0"),
        ("key", "key of row 0"),
        ("twice", "twice"),
    ],
)
def test_files_that_no_sweep_wrote_are_refused(tmp_path: Path, how: str, why: str) -> None:
    RowStore(tmp_path, KIND).add([row(1)])
    part = next((tmp_path / "things.parts").iterdir())
    damaged(part, how)
    before = part.read_bytes()
    with pytest.raises(BadInput, match=f"{part.name} holds no things that a sweep wrote: .*{why}"):
        RowStore(tmp_path, KIND)
    assert part.read_bytes() == before


def test_unknown_columns_and_types_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no columns .'colour'"):
        RowStore(tmp_path, KIND).add([row(1) | {"colour": 3}])
    wrong = RowKind("wrong", {"a": "complex"}, {}, ("a",))
    with pytest.raises(TypeError, match="no type 'complex'"):
        _ = wrong.schema


def test_two_sweeps_do_not_share_a_folder(results: Path) -> None:
    with (
        results_folder(results),
        pytest.raises(BadInput, match="another sweep writes to"),
        results_folder(results),
    ):
        pass
    with results_folder(results):
        pass
    file = results / "file"
    file.write_text("")
    with pytest.raises(BadInput, match="cannot write results"), results_folder(file):
        pass
