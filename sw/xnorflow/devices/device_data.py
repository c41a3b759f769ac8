"""The data files of this room, each read once."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, cast


@cache
def content(name: str) -> dict[str, Any]:
    """Return the content of a JSON file that lies beside this one."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))
