"""Tools that tests of boards need."""

from __future__ import annotations

import pytest

from xnorflow.errors import ToolMissing
from xnorflow_boards.flows import tools


@pytest.fixture(scope="module")
def synthesiser() -> None:
    """Skip the test if Yosys is not installed."""
    try:
        tools.yosys()
    except ToolMissing as error:
        pytest.skip(str(error))
