"""The documentation site is built without a warning, its notebooks run, and its links resolve."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import xnorflow
from xnorflow.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NEEDED = {
    *("sphinx", "furo", "myst-nb", "numpydoc", "sphinx-click", "sphinx-copybutton"),
    *("sphinx-design", "sphinxcontrib-mermaid", "brevitas"),
}
MISSING = sorted(name for name in NEEDED if not any(metadata.distributions(name=name)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, notebooks included, and return its folder."""
    if MISSING:
        pytest.skip(f"needs {', '.join(MISSING)} (extras: docs, train)")
    made = tmp_path_factory.mktemp("site")
    # The kernels of the notebooks find the packages where this process does.
    path = os.pathsep.join(str(ROOT / folder) for folder in ("hw", "sw", "sim", "boards"))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(made)],
        capture_output=True,
        text=True,
        timeout=1200,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.rtl
@pytest.mark.slow
def test_the_site_is_built_and_every_internal_link_resolves(site: Path) -> None:
    broken, external = runpy.run_path(str(DOCS / "links.py"))["check"](site)
    assert not broken
    assert all(link.startswith(("https://", "mailto:")) for link in external)
    assert "404" not in {path.stem for path in site.glob("*.html")}
    commands = (site / "commands.html").read_text(encoding="utf-8")
    assert "xnorflow boards --json" in commands and ".. option::" not in commands
    assert all(f'id="xnorflow-{name}"' in commands for name in main.commands)
    api = (site / "api.html").read_text(encoding="utf-8")
    names = set(xnorflow.__all__) - {"__version__"}
    assert not {name for name in names if f'.{name}"' not in api}
    for page in ("index", "tutorial", "notebooks/fpga_or_gpu", "commands", "files", "api"):
        assert (site / f"{page}.html").is_file()


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a id="x" href="b.html#y"></a><a href="#x"></a>')
    (tmp_path / "b.html").write_text('<p id="z"></p><a href="c.html"></a><a href="https://d"></a>')
    broken, external = runpy.run_path(str(DOCS / "links.py"))["check"](tmp_path)
    assert broken == ["a.html: b.html#y", "b.html: c.html"] and external == ["https://d"]


@pytest.mark.parametrize("path", sorted(DOCS.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")


def test_pictures_are_what_the_scripts_draw(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "pictures/draw.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    drawn = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in DOCS.glob("pictures/*.svg")}
    assert drawn.keys() == kept.keys()
    changed = sorted(name for name in kept if kept[name] != drawn[name])
    assert not changed, "python docs/pictures/draw.py draws them again"
