"""Examples in docstrings and on pages give what they say they give."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    ".".join(path.relative_to(ROOT / folder).with_suffix("").parts): path
    for folder in ("hw", "sw", "sim", "boards")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
}
BLOCKS = re.compile(r"^```\{doctest\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if BLOCKS.search(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("name", SOURCES)
def test_docstrings(name: str) -> None:
    module = import_module(name.removesuffix(".__init__"))
    result = doctest.testmod(module)
    assert not result.failed


def test_some_docstrings_have_examples_that_run() -> None:
    live = [
        example
        for path in SOURCES.values()
        for example in doctest.DocTestParser().get_examples(path.read_text(encoding="utf-8"))
        if not example.options.get(doctest.SKIP)
    ]
    assert len(live) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages(page: Path) -> None:
    text = "\n".join(BLOCKS.findall(page.read_text(encoding="utf-8")))
    found = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert found.examples
    assert not doctest.DocTestRunner().run(found).failed
