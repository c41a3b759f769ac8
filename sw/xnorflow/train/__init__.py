"""Training recipes. Only they need the packages of the extra ``train``."""

from __future__ import annotations

import importlib
from typing import Any

from xnorflow.errors import ToolMissing
from xnorflow.extras import install_line


def needs(module: str) -> Any:
    """Import a module of a package of the extra ``train``, and return it.

    Raises
    ------
    xnorflow.errors.ToolMissing
        If the package is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"Training needs the package {error.name!r}, which is not installed. What would work: "
            f"{install_line('train')}. The CPU build of torch is enough and much smaller: for it,"
            " run pip install torch --index-url https://download.pytorch.org/whl/cpu first."
        ) from error
