"""Put small faults into a room of the compiler, one at a time, and see whether its tests fail.

    python benchmarks/mutants.py sw/xnorflow/lower --first pads rounding --count 100 -o out.jsonl

A fault that no test notices is printed with its place and its change: either a test is missing, or
the change makes no difference. The tests are those that mirror the room, `tests/sw/lower` here.
They run on a copy of the tree, so the files themselves are never touched. The sample depends on
the seed and the files alone. With `-o`, what is done is kept, one JSON line for each fault, and a
second run goes on from there; `--again` runs the survivors in such a file once more, against new
tests.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

# The libraries that the tests use, loaded once for all faults.
import hypothesis.strategies  # noqa: F401
import numpy  # noqa: F401
import onnx.reference  # noqa: F401
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "sw": "xnorflow",
    "hw": "xnorflow_hw",
    "sim": "xnorflow_sim",
    "boards": "xnorflow_boards",
}
COPIED = (*SOURCES, "tests", "examples", "benchmarks", "pyproject.toml")

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
NAMES = {
    a: b
    for pair in (
        ("min", "max"),
        ("any", "all"),
        ("minimum", "maximum"),
        ("argmin", "argmax"),
        ("floor", "ceil"),
        ("zeros", "ones"),
        ("left", "right"),
    )
    for a, b in (pair, pair[::-1])
}
"""Functions, and sides of a search, that are taken for each other."""


@dataclass(frozen=True)
class Mutant:
    """One fault: some lines of a file (counted from 1, both included) and what stands there."""

    file: str
    first: int
    last: int
    what: str
    old: str
    new: str


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what computes something; not annotations, decorators, texts and messages."""
    yield node
    for name, value in ast.iter_fields(node):
        skipped = name in ("annotation", "returns", "decorator_list", "bases")
        if skipped or isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what a node could wrongly be, each with a name for the change."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            other = deepcopy(node)
            other.ops = [COMPARISONS[type(op)]()]
            yield "comparison", other
        case ast.BoolOp():
            other_op: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and or", ast.BoolOp(other_op, node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield "sign or not", node.operand
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield "arithmetic", ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        case ast.Constant(value=bool()):
            yield "constant", ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield "constant", ast.Constant(node.value + 1)
            yield "constant", ast.Constant(node.value - 1)
        case ast.Constant(value=float()):
            yield "constant", ast.Constant(node.value * 2 or 1.0)
            yield "constant", ast.Constant(node.value / 2 or -1.0)
        case ast.Constant(value=str(text)) if text in NAMES:
            yield "name", ast.Constant(NAMES[text])
        case ast.Name(id=name) if name in NAMES:
            yield "name", ast.Name(NAMES[name])
        case ast.Attribute(attr=name) if name in NAMES:
            yield "name", ast.Attribute(node.value, NAMES[name])
        case ast.Raise():
            yield "no error", ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield "no call", ast.Pass()


def mutants(path: Path) -> list[Mutant]:
    """List every fault of a file."""
    text = path.read_bytes()
    lines = text.split(b"\n")
    start = [0]
    for line in lines:
        start.append(start[-1] + len(line) + 1)
    found = []
    for node in _nodes(ast.parse(text)):
        for what, other in _changes(node):
            assert isinstance(node, ast.expr | ast.stmt)
            assert node.end_lineno is not None and node.end_col_offset is not None
            new = ast.unparse(other).encode()
            if isinstance(node, ast.expr) and not isinstance(other, ast.Constant | ast.Name):
                new = b"(" + new + b")"
            row, end = node.lineno - 1, node.end_lineno - 1
            whole = b"\n".join(lines[row : end + 1])
            tail = len(lines[end]) - node.end_col_offset
            changed = whole[: node.col_offset] + new + whole[len(whole) - tail :]
            name = str(path.relative_to(ROOT))
            found.append(Mutant(name, row + 1, end + 1, what, whole.decode(), changed.decode()))
    return found


def sample(paths: list[Path], first: list[str], count: int, seed: int) -> list[Mutant]:
    """Draw faults: half of them, as far as there are so many, from the modules named `first`."""
    rng = random.Random(seed)
    urgent = [m for p in paths if p.stem in first for m in mutants(p)]
    others = [m for p in paths if p.stem not in first for m in mutants(p)]
    rng.shuffle(urgent)
    rng.shuffle(others)
    half = min(len(urgent), max(count // 2, count - len(others)))
    return urgent[:half] + others[: count - half]


def tests_of(file: str, copy: Path) -> list[str]:
    """List the tests of the room that a file is in: those of the module first."""
    side, _, *rooms, stem = Path(file).with_suffix("").parts
    folder = copy / "tests" / side / Path(*rooms)
    files = sorted(folder.glob("test_*.py"), key=lambda p: (stem not in p.stem, p.name))
    return [str(p.relative_to(copy)) for p in files]


def run(copy: Path, tests: list[str], seconds: float) -> tuple[bool, str]:
    """Run tests in the copy; tell whether they pass, and what failed if they do not.

    In a child of this process, which has the libraries loaded already and nothing of the project.
    """
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            os.setsid()
            os.chdir(copy)
            os.environ["PYTHONPATH"] = os.pathsep.join(str(copy / s) for s in SOURCES)
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
            chosen = ["-x", "-q", "-m", "not slow and not rtl", "-p", "no:cacheprovider"]
            chosen += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
            code = pytest.main([*chosen, "--tb=no", *tests])
            sys.stdout.flush()
            os._exit(code)
        end = time.monotonic() + seconds
        while not (state := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return False, "timeout"
            time.sleep(0.05)
        code = os.waitstatus_to_exitcode(state[1])
        output.seek(0)
        failed = [line for line in output if line.startswith(("FAILED", "ERROR"))]
    return code == 0, failed[0].strip() if failed else f"exit code {code}"


def try_mutant(copy: Path, mutant: Mutant, tests: list[str], seconds: float) -> tuple[bool, str]:
    """Run the tests on one fault; the copy is whole again afterwards."""
    path = copy / mutant.file
    whole = path.read_text()
    lines = whole.split("\n")
    lines[mutant.first - 1 : mutant.last] = [mutant.new]
    try:
        path.write_text("\n".join(lines))
        return run(copy, tests, seconds)
    finally:
        path.write_text(whole)


def show(mutant: Mutant) -> str:
    """Write a fault as a short difference."""
    minus = "\n".join(f"  - {line}" for line in mutant.old.split("\n"))
    plus = "\n".join(f"  + {line}" for line in mutant.new.split("\n"))
    return f"{mutant.file}:{mutant.first}: {mutant.what}\n{minus}\n{plus}"


def main() -> None:
    """Run the faults one after the other and print what is found."""
    assert not any(m.startswith("xnorflow") for m in sys.modules)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", type=Path, nargs="+", help="modules, or folders of them")
    parser.add_argument("--count", type=int, default=100, help="faults to try")
    parser.add_argument("--first", nargs="*", default=[], help="modules that get half of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="file of results, continued if there")
    parser.add_argument("--again", action="store_true", help="run its survivors once more")
    options = parser.parse_args()
    paths = [p.resolve() for p in options.paths]
    modules = sorted(f for p in paths for f in (p.rglob("*.py") if p.is_dir() else [p]))
    drawn = sample(modules, options.first, options.count, options.seed)
    results: dict[Mutant, dict[str, object]] = {}
    if options.output and options.output.exists():
        for line in options.output.read_text().splitlines():
            entry = json.loads(line)
            results[Mutant(**entry["mutant"])] = entry
    if options.again:
        drawn = [m for m, entry in results.items() if not entry["killed"]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        limits: dict[str, float] = {}
        for m in drawn:
            room = str(Path(m.file).parent)
            if room not in limits:
                began = time.monotonic()
                passed, failed = run(copy, tests_of(m.file, copy), 3600)
                if not passed:
                    sys.exit(f"the tests of {room} fail without any fault: {failed}")
                limits[room] = 30 + 2 * (time.monotonic() - began)
        for number, m in enumerate(drawn, 1):
            if m not in results or options.again:
                room = str(Path(m.file).parent)
                passed, failed = try_mutant(copy, m, tests_of(m.file, copy), limits[room])
                by = "" if passed else failed
                results[m] = {"mutant": asdict(m), "killed": not passed, "by": by}
                if options.output:
                    with options.output.open("a") as f:
                        f.write(json.dumps(results[m]) + "\n")
                if passed:
                    print(f"{number}/{len(drawn)} survives: {show(m)}", flush=True)
    killed = sum(bool(results[m]["killed"]) for m in drawn)
    print(f"{len(drawn)} mutants, {killed} killed, {len(drawn) - killed} survive")


if __name__ == "__main__":
    main()
