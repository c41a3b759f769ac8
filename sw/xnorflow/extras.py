"""The command that installs an extra of this package, wherever the package itself came from."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_line(extra: str) -> str:
    """Return the pip command that installs an extra: from the clone or file, or from the index.

    Parameters
    ----------
    extra : str
        Name of the extra, such as "train".

    Returns
    -------
    str
        One line for a shell. A package that came from an index is named; one that was installed
        from a folder or a file is named by its path, because the index may not have it.
    """
    return f"pip install {_quoted(*_origin(), extra)}"


def _origin() -> tuple[str, str]:
    """Return an option for pip, and what the package was installed from."""
    try:
        record = metadata.distribution("xnorflow").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        # Run from a clone without an installation.
        return "-e ", str(Path(__file__).parents[2])
    if record is None:
        return "", "xnorflow"
    content = json.loads(record)
    parts = urlsplit(str(content["url"]))
    if parts.scheme != "file":
        return "", f"xnorflow @ {content['url']}"
    editable = content.get("dir_info", {}).get("editable", False)
    return "-e " if editable else "", unquote(parts.path)


def _quoted(option: str, what: str, extra: str) -> str:
    name, at, url = what.partition(" @ ")
    return f"{option}'{name}[{extra}]{at}{url}'"
