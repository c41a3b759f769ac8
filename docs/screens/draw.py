"""Write what commands print on 80 columns: ``python docs/screens/draw.py [FOLDER]``."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner

import xnorflow as xf
from xnorflow import demo
from xnorflow.cli import console, main

HERE = Path(__file__).parent
COLUMNS = 80
SCREENS = {
    "demo": "demo -o xnorflow-demo",
    "inspect": "inspect digits.onnx",
    "compile": "compile digits.onnx -o build/digits --board ulx3s-25f --cycles 1152",
    "simulate": "simulate build/digits --data digits.npz --limit 20",
    "check": "check digits.onnx --data digits.npz --limit 100 --rtl 4",
    "compare": "compare digits.onnx --fpga icebreaker,ulx3s-85f,pynq-z1 --gpu orin-nano",
    "pareto": "compile digits.onnx --board icebreaker --pareto",
    "export": "export digits.onnx -o integer.onnx --data digits.npz --limit 20",
    "boards": "boards",
    "doctor": "doctor",
    "methods": "train --list",
}
"""Commands by the names of their screens, in the order in which they are run in one folder."""
SESSION = """\
net = xf.load("digits.onnx")
net
design = xf.compile(net, board="ulx3s-25f", cycles=1152)
design
design.simulate(images["x_test"][:20])
xf.compare(net, ["icebreaker", "ulx3s-85f"], ["t4"])
"""
"""What is typed in the screen of Python."""


def screen(command: str) -> str:
    """Run a command in the current folder, and return what a terminal shows of it."""
    console.out.width = COLUMNS
    result = CliRunner(env={"COLUMNS": str(COLUMNS)}).invoke(main, command.split())
    if result.exit_code:
        raise SystemExit(f"{command}: {result.output}")
    return _trimmed(f"$ xnorflow {command}\n{result.stdout}")


def session() -> str:
    """Return the screen of Python."""
    names = {"xf": xf, "images": demo.data()}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for line in SESSION.splitlines():
            said.write(f">>> {line}\n")
            exec(compile(line, "session", "single"), names)
    return _trimmed(said.getvalue())


def _trimmed(text: str) -> str:
    # Rows of tables are filled with spaces up to their width.
    return re.sub(r" +$", "", text, flags=re.MULTILINE).rstrip("\n") + "\n"


def draw(folder: Path, names: tuple[str, ...] = (*SCREENS, "python")) -> None:
    """Write screens into a folder.

    Parameters
    ----------
    folder : Path
        Where the texts go.
    names : tuple of str
        Those that are wanted, with those before them whose results they use.
    """
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as work:
        shutil.copy(demo.model_path(), Path(work, "digits.onnx"))
        shutil.copy(demo.data_path(), Path(work, "digits.npz"))
        os.chdir(work)
        try:
            for name in names:
                text = session() if name == "python" else screen(SCREENS[name])
                (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        finally:
            os.chdir(home)


if __name__ == "__main__":
    draw(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE)
