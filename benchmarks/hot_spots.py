"""Where the time of a simulation goes: samples of `perf`, sorted by part of the design."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

NEEDS = ("perf", "addr2line", "nm")
"""Programs that are needed; Debian has them in linux-perf and binutils."""
_SAMPLE = re.compile(r"[0-9a-f]+ (.*)\+0x([0-9a-f]+) \((.*)\)$")
_GENERATED = re.compile(r".*/(Vxf___024root__\d+\.cpp):(\d+)")


def missing() -> list[str]:
    """Return the names of the needed programs that are not installed."""
    return [name for name in NEEDS if shutil.which(name) is None]


def record(command: Sequence[str], samples: Path) -> None:
    """Run a command, and sample it and its children."""
    subprocess.run(
        ["perf", "record", "-q", "-e", "cpu-clock", "-o", str(samples), *command], check=True
    )


def _output(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    return done.stdout


def by_part(samples: Path, library: Path) -> Counter[str]:
    """Count the samples within a library, which was built with line numbers, by where they belong.

    A sample belongs to the part of the design, "stage.component", whose signal the statement
    assigns, or else to a function of Verilator or of the testbench. Samples outside the library are
    left out.
    """
    functions = {}
    for line in _output("nm", "-C", str(library)).splitlines():
        address, _, name = (*line.split(" ", 2), "", "")[:3]
        if address:
            functions.setdefault(name.split("(")[0], int(address, 16))
    places: Counter[int] = Counter()
    counted: Counter[str] = Counter()
    script = "perf", "script", "-i", str(samples), "-F", "ip,sym,symoff,dso"
    for line in _output(*script).splitlines():
        match = _SAMPLE.match(line.strip())
        if match is None or not match[3].endswith(library.name):
            continue
        name = match[1].split("(")[0]
        if name in functions:
            places[functions[name] + int(match[2], 16)] += 1
        else:
            counted[f"({name})"] += 1
    found = _output(
        "addr2line",
        "-a",
        "-i",
        "-f",
        "-C",
        "-e",
        str(library),
        given="\n".join(hex(place) for place in places),
    )
    _, *blocks = re.split(r"^0x([0-9a-f]+)\n", found, flags=re.MULTILINE)
    for place, block in zip(blocks[::2], blocks[1::2], strict=True):
        counted[_part(block, library.parent / "work")] += places[int(place, 16)]
    return counted


def _part(block: str, sources: Path) -> str:
    """Return the part of the design in the outermost frame of its code, or else the function."""
    frames = block.splitlines()
    for function, place in zip(frames[-2::-2], frames[-1::-2], strict=True):
        if match := _GENERATED.match(place):
            return _assigned(sources / match[1], int(match[2]))
        name = function.split("(")[0]
    return f"({name})"


@cache
def _source(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _assigned(path: Path, line: int) -> str:
    """Return the part whose signal is assigned at a line of the C++, or in the lines before it."""
    text = _source(path)
    at = line - 1
    while at > 0 and not re.match(r"\s*(vlSelfRef\.|__V|if)", text[at]):
        at -= 1
    match = re.search(r"__DOT__(\w+?)__DOT__(\w+?)(__DOT__|\b)", text[at])
    if match:
        return f"{match[1]}.{re.sub(r'_[0-9_]+$', '', match[2])}"
    return "(between the stages, and Verilator's scheduling)"


def main() -> None:
    """Print the shares of a record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("samples", type=Path, help="record of perf")
    parser.add_argument("library", type=Path, help="simulation that it sampled, with line numbers")
    options = parser.parse_args()
    show(by_part(options.samples, options.library))


def show(counted: Counter[str], most: int = 40) -> None:
    """Print the largest shares line by line, then those of components of one kind."""
    total = sum(counted.values())
    for name, samples in counted.most_common(most):
        print(f"{samples / total:7.1%}  {name}")
    kinds: Counter[str] = Counter()
    for name, samples in counted.items():
        kinds[name.rpartition(".")[2] if name[0] != "(" else "(not in a stage)"] += samples
    print("by kind: " + ", ".join(f"{k} {n / total:.1%}" for k, n in kinds.most_common(10)))


if __name__ == "__main__":
    main()
