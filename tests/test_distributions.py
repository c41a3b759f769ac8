"""The distributions are complete, and the wheel works outside the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

from xnorflow import demo
from xnorflow.schemas import NAMES
from xnorflow.version import __version__

ROOT = Path(__file__).parents[1]
TRACKED = ["git", "-C", str(ROOT), "ls-files", "-z"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and from that the wheel, as an index would have them."""
    made = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return made


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_the_source_distribution_has_every_file_of_the_repository(distributions: Path) -> None:
    listed = subprocess.run(TRACKED, check=True, capture_output=True, text=True).stdout
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert not tracked - there
    # What hatchling adds of itself; nothing else may slip in.
    assert there - tracked <= {"PKG-INFO"}


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    home = tmp_path / "environment"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", wheel],
        check=True,
        timeout=300,
    )
    # The dependencies are those of this environment; its own xnorflow is not among them, because a
    # folder that is added to the path in this way has its .pth files ignored.
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    away = tmp_path / "elsewhere"
    away.mkdir()
    shutil.copy(demo.model_path(), away / "digits.onnx")

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=away, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(python, "-c", "import xnorflow, xnorflow_boards as b; print(xnorflow, b)")
    assert where.count(str(site)) == 2
    xnorflow = home / "bin" / "xnorflow"
    assert __version__ in run(xnorflow, "--version")
    run(
        xnorflow, "compile", "digits.onnx", "-o", "out", "--board", "icebreaker", "--cycles", "9216"
    )
    assert json.loads((away / "out/design.json").read_text())["board"] == "icebreaker"
    code = "from xnorflow.schemas import *; print(*(schema(n)['title'] for n in NAMES))"
    assert run(python, "-c", code).split() == [f"{name}.json" for name in NAMES]
