"""The examples run as a user would run them, and find what they print."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def output(name: str) -> str:
    """Run an example in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.rtl
@pytest.mark.slow
def test_larq_like() -> None:
    text = output("larq_like.py")
    assert "100 random frames: 0 labels differ from ONNX Runtime's" in text
    assert "simulated: 20 frames equal" in text


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.skipif(not find_spec("brevitas"), reason="needs Brevitas (extra: train)")
def test_brevitas_cnn() -> None:
    text = output("brevitas_cnn.py")
    assert "; 0 of 4540 scores differ from PyTorch's" in text
    assert "simulated: 100 frames equal" in text
