"""The commands and programs of the pages run, in their order, as a reader would type them.

Fenced blocks in ``sh`` and ``python`` are run in one folder. A block with a caption is a file to
save, and one of the class "output" has lines that the block before it printed. The other classes
say why a block is not run: "elsewhere" is for setting up, and "needs-nextpnr" and "needs-board" are
for those who have them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from xnorflow.errors import ToolMissing
from xnorflow_boards.flows.tools import nextpnr

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^```(?P<language>sh|python|\{code-block\} \w+)\n"
    r"(?P<options>(?::[^\n]*\n)*)(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, text, class and caption."""

    language: str
    text: str
    class_: str
    caption: str


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page."""
    for found in BLOCK.finditer((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")):
        options = dict(re.findall(r"^:(\w+): (.*)$", found["options"], re.MULTILINE))
        language = found["language"].removeprefix("{code-block} ")
        yield Block(language, found["text"], options.get("class", ""), options.get("caption", ""))


def is_run(block: Block) -> bool:
    """Return whether a block is to be run here.

    Raises
    ------
    ValueError
        If its class is unknown.
    """
    match block.class_:
        case "":
            return True
        case "elsewhere" | "needs-board":
            return False
        case "needs-nextpnr":
            try:
                nextpnr("ice40")
            except ToolMissing:
                return False
            return True
        case other:
            raise ValueError(f"a block has the unknown class {other!r}")


def run_page(page: str, folder: Path) -> int:
    """Run the blocks of a page in a folder, and return the number of those that ran."""
    # The commands of this environment and of this tree come first.
    programs = folder / "bin"
    programs.mkdir()
    for name, arguments in (("xnorflow", "-m xnorflow"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("hw", "sw", "sim", "boards")),
    }
    printed, number = "", 0
    for block in blocks(page):
        if block.class_ == "output":
            for line in filter(None, block.text.splitlines()):
                assert line in printed
        elif block.caption:
            (folder / block.caption).write_text(block.text.lstrip("\n"), encoding="utf-8")
        elif is_run(block):
            shell = ["sh", "-e", "-c"] if block.language == "sh" else [sys.executable, "-c"]
            done = subprocess.run(
                [*shell, block.text],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=900,
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            printed, number = done.stdout, number + 1
    return number


@pytest.mark.rtl
@pytest.mark.slow
def test_first_steps(tmp_path: Path) -> None:
    assert run_page("getting_started", tmp_path) == 3
    assert (tmp_path / "build/digits/digits.v").is_file()


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.skipif(not find_spec("brevitas"), reason="needs Brevitas (extra: train)")
def test_tutorial(tmp_path: Path) -> None:
    assert run_page("tutorial", tmp_path) >= 5
    assert (tmp_path / "report.html").is_file() and (tmp_path / "evidence.json").is_file()


@pytest.mark.parametrize("page", ["getting_started", "tutorial"])
def test_every_block_has_a_known_class(page: str) -> None:
    found = [block for block in blocks(page) if block.class_ != "output"]
    assert len(found) > 3
    for block in found:
        is_run(block)
