"""Sphinx directive that lists the keys of a document, from its JSON Schema.

    ```{schema-table} design
    ```

gives a table of the keys of ``design.json``, and one of each object that it contains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from xnorflow.schemas import schema

Keys = list[tuple[str, str, str]]


def tables(name: str) -> Iterator[tuple[str, str, Keys]]:
    """Yield title, description and keys of a document and of the objects in its definitions."""
    whole = schema(name)
    for title, entry in [(whole["title"], whole), *whole["$defs"].items()]:
        if "properties" in entry:
            yield title, entry.get("description", ""), list(keys(entry))


def keys(entry: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of each key of an object, and of objects right inside it."""
    for key, value in entry["properties"].items():
        name = f"{path}{key}"
        always = key in entry.get("required", ())
        meaning = value.get("description", "")
        yield name, kind(value), meaning if always else f"{meaning} Not always there.".strip()
        for option in (value, value.get("items", {}), *value.get("anyOf", ())):
            if "properties" in option:
                inner = f"{name}[]." if value.get("type") == "array" else f"{name}."
                yield from keys(option, inner)


def kind(value: dict[str, Any]) -> str:
    """Return the type of a value in words.

    Raises
    ------
    ValueError
        If the schema says it in a way that is not known here.
    """
    match value:
        case {"const": constant}:
            return f'"{constant}"'
        case {"enum": options}:
            return ", ".join(f'"{option}"' for option in options)
        case {"$ref": reference}:
            return str(reference).rpartition("/")[2]
        case {"anyOf": options}:
            return " or ".join(kind(option) for option in options)
        case {"type": "array", "items": items}:
            return f"list of {kind(items)}"
        case {"type": "object", "maxProperties": 0}:
            return "{}"
        case {"type": "object", "additionalProperties": dict() as values}:
            return f"object of {kind(values)}"
        case {"type": str() as plain}:
            return plain
        case _:
            raise ValueError(f"a schema says the type in an unknown way: {value}")


class SchemaTable(SphinxDirective):
    """List the keys of a document, whose name is the directive's argument."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return a section for the document and for each of its objects."""
        found: list[nodes.Node] = []
        for title, description, entries in tables(self.arguments[0]):
            section = nodes.section(ids=[nodes.make_id(f"{self.arguments[0]}-{title}")])
            section += nodes.title("", "", nodes.literal("", title))
            if description:
                section += nodes.paragraph("", description)
            section += table(entries)
            found.append(section)
        return found


def table(entries: Keys) -> nodes.table:
    """Return a table of keys."""
    group = nodes.tgroup(cols=3)
    group += [nodes.colspec(colwidth=width) for width in (25, 20, 55)]
    group += nodes.thead("", row("key", "type", "meaning", literal=False))
    group += nodes.tbody("", *(row(*entry) for entry in entries))
    return nodes.table("", group)


def row(key: str, type_: str, meaning: str, *, literal: bool = True) -> nodes.row:
    """Return a row of a table; the key is in fixed width if `literal` is set."""
    name = nodes.literal("", key) if literal else nodes.Text(key)
    return nodes.row(
        "",
        nodes.entry("", nodes.paragraph("", "", name)),
        nodes.entry("", nodes.paragraph("", type_)),
        nodes.entry("", nodes.paragraph("", "", *words(meaning))),
    )


def words(text: str) -> list[nodes.Node]:
    """Return a text whose parts in backticks are in fixed width."""
    parts = enumerate(text.split("`"))
    return [nodes.literal("", part) if k % 2 else nodes.Text(part) for k, part in parts]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("schema-table", SchemaTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
