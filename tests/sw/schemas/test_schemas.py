"""The schemas describe what the writers write; every write of a test is held to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from xnorflow import compile, demo, load, outputs
from xnorflow.schemas import NAMES, schema
from xnorflow_hw.spec import joining, kinds


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_and_describes_every_key(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    without = [path for path, entry in properties(found) if not described(entry, found)]
    assert not without


def properties(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the schema of every key, at all depths."""
    if isinstance(node, dict):
        for key, entry in node.get("properties", {}).items():
            yield f"{path}/{key}", entry
        for key, entry in node.items():
            yield from properties(entry, f"{path}/{key}")
    elif isinstance(node, list):
        for entry in node:
            yield from properties(entry, path)


def described(entry: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Return whether a schema, or one that it refers to, has a description."""
    referred = [entry, *entry.get("anyOf", [])]
    for option in referred:
        if "$ref" in option:
            referred.append(whole["$defs"][option["$ref"].removeprefix("#/$defs/")])
    return any("description" in option for option in referred)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no schema 'report'; there is design, build"):
        schema("report")


def test_enumerations_are_those_of_the_code() -> None:
    definitions = schema("design")["$defs"]
    layer = definitions["layer"]["properties"]

    def values(entry: dict[str, Any]) -> tuple[str, ...]:
        return tuple(entry["enum"])

    assert values(schema("design")["properties"]["fabric"]) == kinds.FABRICS
    assert values(layer["rom"]["properties"]["kind"]) == get_args(kinds.Storage)
    assert values(layer["multiplier"]) == kinds.MULTIPLIERS
    assert values(definitions["stretch"]["properties"]["fill"]) == get_args(joining.Fill)
    ports = definitions["join"]["properties"]["ports"]["items"]["properties"]
    assert values(ports["held"]) == get_args(joining.Hold)


def test_a_document_that_differs_from_its_schema_fails_the_test_that_writes_it(
    tmp_path: Path,
) -> None:
    summary = compile(load(demo.model_path()), cycles=20_000).summary()
    outputs.write_json(tmp_path / "design.json", summary)
    for wrong, why in (
        ({"unheard_of": 1}, "'unheard_of' was unexpected"),
        ({"ii": "fast"}, "'fast' is not of type 'integer'"),
    ):
        with pytest.raises(jsonschema.ValidationError, match=why):
            outputs.write_json(tmp_path / "design.json", summary | wrong)
