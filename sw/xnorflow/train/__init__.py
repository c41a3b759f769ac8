"""Training recipes. They need the extra ``train``; nothing else in xnorflow does."""

from __future__ import annotations

import importlib
from typing import Any

from xnorflow.errors import ToolMissing


def needs(module: str) -> Any:
    """Import a module of the extra ``train``.

    Raises
    ------
    xnorflow.errors.ToolMissing
        If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"Training needs the package {error.name!r}, which is not installed. What would work: "
            "pip install 'xnorflow[train]'; torch's CPU build is enough and much smaller: pip "
            "install torch --index-url https://download.pytorch.org/whl/cpu before that."
        ) from error
