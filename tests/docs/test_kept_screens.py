"""The screens of the documentation are what commands print; versions and seconds may differ."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from xnorflow.cli import console

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs/screens"
DRAWN = runpy.run_path(str(KEPT / "draw.py"))
QUICK = ("inspect", "compile", "export", "boards", "doctor", "methods")


def steady(text: str) -> list[str]:
    """Return the words of a screen without what machines and runs do not share."""
    text = re.sub(r"(Verilator|qonnx|Runtime)\s+[\d.]+", r"\1", text)
    text = re.sub(r"[iI]n \d+(\.\d+)? s\b", "in a while", text)
    return text.replace("\u2500", "").split()


def drawn(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    width: Any = console.out._width
    try:
        DRAWN["draw"](folder, names)
    finally:
        console.out._width = width
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def compare(found: dict[str, str]) -> None:
    for name, text in found.items():
        kept = (KEPT / f"{name}.txt").read_text(encoding="utf-8")
        assert max(map(len, text.splitlines()[1:])) <= (88 if name == "python" else 80)
        if name == "doctor":  # Only the tools that are looked for are the same everywhere.
            tools = [re.findall(r"^(?:ok |-  |missing) *(\S+)", t, re.M) for t in (kept, text)]
            assert tools[0] == tools[1]
        else:
            assert steady(text) == steady(kept), f"python docs/screens/draw.py: {name}"


def test_quick_screens_are_what_commands_print(tmp_path: Path) -> None:
    compare(drawn(tmp_path, QUICK))


@pytest.mark.rtl
@pytest.mark.slow
def test_all_other_screens_are_what_commands_print(tmp_path: Path) -> None:
    names = tuple(name for name in DRAWN["SCREENS"] if name not in QUICK)
    # The simulation runs in the folder of a design.
    compare(drawn(tmp_path, ("compile", *names, "python")))


def test_every_screen_is_on_the_page() -> None:
    page = (ROOT / "docs/screens.md").read_text(encoding="utf-8")
    kept = {path.name for path in KEPT.glob("*.txt")}
    assert kept == set(re.findall(r"\{literalinclude\} screens/(\S+)", page))
    assert kept == {f"{name}.txt" for name in (*DRAWN["SCREENS"], "python")}


def test_the_screen_in_the_readme_is_the_demos() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^```text\n(1\. Import.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert shown is not None
    kept = steady((KEPT / "demo.txt").read_text(encoding="utf-8"))
    above, below = (steady(part) for part in shown[1].split("   ...\n"))
    assert kept[5 : 5 + len(above)] == above  # Behind the command.
    assert kept[-len(below) :] == below
