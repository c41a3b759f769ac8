"""What may import what, and what no file of the project may hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "xnorflow_hw": ROOT / "hw/xnorflow_hw",
    "xnorflow": ROOT / "sw/xnorflow",
    "xnorflow_sim": ROOT / "sim/xnorflow_sim",
    "xnorflow_boards": ROOT / "boards/xnorflow_boards",
}


def modules() -> list[tuple[str, Path]]:
    """Name and file of every module of ours."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found.append((".".join((package, *(p for p in parts if p != "__init__"))), path))
    return found


def imports(name: str, path: Path, *, deferred: bool) -> Iterator[str]:
    """Give full names of what a module imports at run time; `deferred`: in functions, too."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not deferred:
                continue
            yield child
            yield from walk(child)

    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")[
                    : len(name.split(".")) - node.level + (path.name == "__init__.py")
                ]
                base = ".".join((*parents, *base.split("."))).rstrip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in packages)


ALL = modules()


def test_all_four_packages_are_looked_at() -> None:
    assert {name.partition(".")[0] for name, _ in ALL} == set(PACKAGES)
    assert len(ALL) > 100
    found = set(
        imports("xnorflow.design.design", dict(ALL)["xnorflow.design.design"], deferred=False)
    )
    assert {"numpy.typing", "xnorflow.ir", "xnorflow_hw.top.verilog"} <= found
    assert "xnorflow_sim.golden" not in found
    assert "xnorflow_sim.golden" in set(
        imports("xnorflow.design.design", dict(ALL)["xnorflow.design.design"], deferred=True)
    )


@pytest.mark.parametrize(("name", "path"), ALL, ids=[name for name, _ in ALL])
def test_imports_point_downwards(name: str, path: Path) -> None:
    now = set(imports(name, path, deferred=False))
    ever = set(imports(name, path, deferred=True))
    assert not [i for i in ever if within(i, "tests", "conftest", "benchmarks")]
    assert not [i for i in ever if within(i, "pickle", "marshal", "shelve", "dill", "joblib")]
    if not within(name, "xnorflow.cli", "xnorflow.__main__"):
        assert not [i for i in ever if within(i, "xnorflow.cli")]
    if within(name, "xnorflow_hw"):
        assert not [i for i in ever if within(i, "xnorflow", "xnorflow_sim", "xnorflow_boards")]
    if within(name, "xnorflow_sim"):
        assert not [i for i in now if within(i, "xnorflow_boards")]
    if within(name, "xnorflow") and not within(name, "xnorflow.cli"):
        assert not [i for i in ever if within(i, "xnorflow_boards")]
    if within(name, "xnorflow.frontend", "xnorflow.lower"):
        assert not [i for i in ever if within(i, "xnorflow_hw", "xnorflow_sim")]


@pytest.mark.parametrize("name", ["xnorflow.ir", "xnorflow_sim.golden"])
def test_the_ground_needs_numpy_only(name: str) -> None:
    """In a fresh interpreter, so that nothing else has imported anything."""
    code = (
        "import sys\n"
        f"import {name}\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))\n"
        "print(*sorted(m for m in sys.modules if m.startswith('xnorflow')))\n"
    )
    path = [str(folder.parent) for folder in PACKAGES.values()]
    out = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    heavy = {
        "onnx",
        "qonnx",
        "amaranth",
        "click",
        "rich",
        "matplotlib",
        "PIL",
        "onnxruntime",
        "cocotb",
        "scipy",
        "torch",
        "xnorflow_hw",
        "xnorflow_boards",
    }
    assert "numpy" in out[0].split() and not heavy & set(out[0].split())
    assert set(out[1].split()) <= {
        "xnorflow",
        "xnorflow.ir",
        "xnorflow.errors",
        "xnorflow_sim",
        "xnorflow_sim.golden",
    }


@pytest.mark.parametrize(("name", "path"), ALL, ids=[name for name, _ in ALL])
def test_no_shell_and_no_unpickling(name: str, path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in {"os.system", "os.popen", "eval", "exec"}, called
        for keyword in node.keywords:
            if keyword.arg in ("shell", "allow_pickle"):
                assert isinstance(keyword.value, ast.Constant) and keyword.value.value is False


def tracked() -> list[Path]:
    """Give all files under version control; none outside a clone."""
    try:
        out = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [p for n in out.decode().split("\0") if n and (p := ROOT / n).is_file()]


def test_files_hold_no_machine_paths_and_unix_line_ends() -> None:
    files = tracked()
    if not files:
        pytest.skip("not a git clone")
    homes = [b"/" + part + b"/" for part in (b"work", b"root", b"opt/v")]
    for path in files:
        content = path.read_bytes()
        if b"\0" in content or path.suffix == ".onnx":
            continue
        assert b"\r" not in content, f"{path} has carriage returns"
        assert content == b"" or content.endswith(b"\n"), f"{path} lacks a newline at its end"
        assert not [h for h in homes if h in content], f"{path} names a folder of one machine"
