"""Whether a change leaves the generated Verilog as it was.

`record` compiles the trained networks and runs the tests, and keeps every design folder that comes
up on the way; `compare` makes each design again from its network and folding, and compares Verilog
without comments, and ROM images. A design that a test made of a changed spec cannot be made again
from its folder and is counted apart.

Run: python benchmarks/same_verilog.py record FOLDER [PYTEST ARGUMENTS]
     python benchmarks/same_verilog.py compare FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from networks import DATA, trained

import xnorflow as xf
from xnorflow.design import folder
from xnorflow.design.design import Design

TRAINED: dict[str, dict[str, Any]] = {
    "TFC_1W1A": {"cycles": 64},
    "LFC_1W1A_finn": {"cycles": 512},
    "cifar10_cnvW1A1": {"cycles": 32768},
}
FOLDER = "XNORFLOW_RECORDED_DESIGNS"


def stripped(text: str) -> str:
    """Return Verilog without its comments."""
    return re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))


def name_of(design: Design) -> str:
    """Return a name that stands for the design's Verilog and images."""
    h = hashlib.sha256(stripped(design.verilog).encode())
    for name, text in design.emitted.images.items():
        h.update(f"\n{name}\n{text}".encode())
    return h.hexdigest()[:24]


class Recorder:
    """A plugin of pytest: keeps a copy of every design whose Verilog is generated."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def pytest_sessionstart(self) -> None:
        """Replace the property that generates the Verilog."""
        target, generated = self.target, Design.__dict__["emitted"]
        plain = generated.func

        def emitted(design: Design) -> Any:
            found = plain(design)
            design.__dict__["emitted"] = found
            path = target / name_of(design)
            if not path.exists():
                part = target / f"part{os.getpid()}"
                design.write(part)
                part.rename(path)
            return found

        generated.func = emitted


def record(target: Path, arguments: list[str]) -> int:
    """Fill a folder with designs."""
    target.mkdir(parents=True, exist_ok=True)
    for name, options in TRAINED.items():
        source = trained(name)
        if not source.path.exists():
            print(f"{name} is not in {DATA}: left out")
            continue
        design = xf.compile(xf.load(source.path, input_scale=source.scale), **options)
        if not (target / name_of(design)).exists():
            design.write(target / name_of(design))
    return int(pytest.main(["-q", *arguments], plugins=[Recorder(target)]))


def compare(target: Path) -> int:
    """Make every design again and compare."""
    same, other, differ = 0, [], []
    for path in sorted(p for p in target.iterdir() if p.is_dir()):
        stored = folder.read(path)
        design = Design.describe(path)
        files = {f"{stored.net.name}.v": stripped(design.verilog), **design.emitted.images}
        there = {
            p.name: stripped(p.read_text()) if p.suffix == ".v" else p.read_text()
            for p in path.iterdir()
            if p.name not in (folder.SUMMARY, folder.NETWORK)
        }
        if files == there:
            same += 1
        elif "load" in there[f"{stored.net.name}.v"] and design.board is None:
            other.append(path.name)
        else:
            differ.append(path.name)
    print(f"{same} designs are the same, {len(differ)} differ: {' '.join(differ) or 'none'}")
    if other:
        print(f"made of a changed spec, so not comparable: {' '.join(other)}")
    return 1 if differ else 0


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("folder", type=Path)
    options, arguments = parser.parse_known_args()
    if options.action == "record":
        return record(options.folder, arguments)
    return compare(options.folder)


if __name__ == "__main__":
    sys.exit(main())
