"""Every script of benchmarks/ starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))
OPTIONAL = {"onnxruntime", "pyosys", "serial", "torch"}
"""Packages that some benchmarks need and that need not be installed."""


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 20


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_a_script_starts(script: Path, tmp_path: Path) -> None:
    sources = os.pathsep.join(str(ROOT / name) for name in ("hw", "sw", "sim", "boards"))
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": sources},
        capture_output=True,
        text=True,
    )
    missing = re.search(r"No module named '(\w+)", done.stderr)
    if missing and missing[1] in OPTIONAL:
        pytest.skip(f"needs {missing[1]}")
    assert done.returncode == 0, done.stderr
    # The others are modules that scripts share.
    if "__main__" in script.read_text(encoding="utf-8"):
        assert done.stdout.startswith("usage:")
    assert not list(tmp_path.iterdir())
