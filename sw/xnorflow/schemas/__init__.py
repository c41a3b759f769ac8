"""JSON Schemas of the documents that xnorflow writes: design.json, build.json, evidence.json."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

NAMES = ("design", "build", "evidence")
"""Documents that have a schema."""


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document that xnorflow writes.

    Parameters
    ----------
    name : {"design", "build", "evidence"}
        Name of the document, without its suffix.

    Returns
    -------
    dict
        The schema, for a validator such as ``jsonschema``.

    Raises
    ------
    ValueError
        If there is no schema of that name.

    Examples
    --------
    >>> from xnorflow.schemas import schema
    >>> schema("design")["properties"]["ii"]["type"]
    'integer'
    """
    if name not in NAMES:
        raise ValueError(f"there is no schema {name!r}; there is {', '.join(NAMES)}")
    text = (resources.files(__name__) / f"{name}.schema.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
