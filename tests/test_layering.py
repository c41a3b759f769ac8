"""Rules for imports between rooms, and for the content of all files."""

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
    """Return the name and the file of every module of our packages."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found.append((".".join((package, *(p for p in parts if p != "__init__"))), path))
    return found


def imports(name: str, path: Path, *, deferred: bool) -> Iterator[str]:
    """Yield the full names that a module imports; with `deferred`, also late and for types."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if types_only and not deferred:
                continue
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not deferred:
                continue
            yield child
            yield from walk(child)

    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively; name the whole module"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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


NAMES = dict(ALL)
UPWARDS = {("xnorflow.ir.network", "xnorflow_sim.golden")}
"""The only import upwards: calling a network runs the golden model."""


def targets(path: Path) -> Iterator[str]:
    """Yield the modules of our packages that a file imports, also late or only for types."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in NAMES)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found = full if full in NAMES else node.module
                if found in NAMES:
                    yield found


ARROWS = {name: set(targets(path)) - {name} for name, path in ALL}


def room(name: str) -> str:
    """Return the room of a module: a package's folder, or a module at its root by itself."""
    package, _, inside = name.partition(".")
    first = inside.partition(".")[0]
    return f"{package}.{first}" if first else package


ROOMS = {
    # The hardware library, from the whole to its parts.
    "xnorflow_hw.top": "stage stream fabric memory spec base",
    "xnorflow_hw.stage": "array memory spec base",
    "xnorflow_hw.array": "memory fabric spec base",
    "xnorflow_hw.memory": "fabric spec base",
    "xnorflow_hw.fabric": "spec base",
    "xnorflow_hw.stream": "spec base",
    "xnorflow_hw.link": "memory base",
    "xnorflow_hw.axi": "base",
    "xnorflow_hw.spec": "",
    "xnorflow_hw.base": "",
    # The compiler.
    "xnorflow.frontend": "graph ir errors inputs",
    "xnorflow.lower": "graph ir errors",
    "xnorflow.calibration": "lower graph ir errors sim.golden",
    "xnorflow.graph": "ir errors",
    "xnorflow.ir": "arguments cards progress npz errors inputs",
    "xnorflow.devices": "errors inputs hw.spec",
    "xnorflow.storage": "devices hw.spec",
    "xnorflow.schedule": "ir hw.spec",
    "xnorflow.plan": "schedule storage devices ir errors hw.spec hw.base hw.memory hw.fabric"
    " hw.array",
    "xnorflow.resources": "plan storage devices ir errors hw.spec hw.fabric hw.array",
    "xnorflow.design": "arguments cards progress plan resources schedule devices ir errors inputs"
    " outputs version hw.spec hw.top sim.golden sim.interface sim.locate sim.simulation"
    " sim.verilator",
    "xnorflow.folding": "design plan resources schedule storage devices ir errors inputs hw.spec"
    " hw.array",
    "xnorflow.merge": "folding plan resources storage devices ir errors hw.spec",
    "xnorflow.comparison": "cards resources devices errors inputs",
    "xnorflow.sweeps": "folding design plan resources devices ir compiler data errors extras inputs"
    " outputs progress version sim.golden",
    "xnorflow.report": "folded_text comparison resources devices graph lower merge ir errors"
    " hw.spec design schedule evidence version",
    "xnorflow.train": "demo data errors extras npz outputs",
    "xnorflow.demo": "",
    "xnorflow.schemas": "",
    "xnorflow.evidence": "cards design frontend ir data errors inputs outputs npz version"
    " sim.golden sim.simulation sim.locate sim.interface sim.verilator lower graph compiler api"
    " plan hw.top arguments progress",
    "xnorflow.export": "frontend lower graph ir errors outputs inputs version api evidence"
    " sim.golden",
    # Simulation.
    "xnorflow_sim.golden": "errors ir compiled",
    "xnorflow_sim.compiled": "errors ir verilator process_group",
    "xnorflow_sim.verilator": "errors outputs interface simulation process_group",
    "xnorflow_sim.bench": "errors outputs interface verilator hw.axi process_group",
    "xnorflow_sim.board": "errors interface verilator process_group",
    # Boards.
    "xnorflow_boards.catalogue": "board devices errors flows inputs",
    "xnorflow_boards.host": "errors extras hw.link",
    "xnorflow_boards.flows": "errors devices version sim.process_group",
    "xnorflow_boards.gateware": "errors design flows board hw.axi hw.link hw.memory hw.base",
    "xnorflow_boards.build": "progress board catalogue flows gateware design devices errors inputs"
    " outputs plan version hw.axi sweeps",
    "xnorflow_boards.simulated": "board build catalogue flows gateware host design errors ir"
    " hw.link hw.memory hw.spec sim.golden sim.board sim.interface sim.simulation sim.verilator",
}
"""Rooms that each room may import: in its own package, in the compiler, or named with a package."""
FREE = {"xnorflow.cli", "xnorflow.__main__", "xnorflow", "xnorflow.api", "xnorflow.compiler"}
"""Modules above all rooms of the compiler, which may import any of them."""


def allowed(name: str) -> set[str]:
    """Return the full names of the rooms that a room may import."""
    package = name.partition(".")[0]
    found = {name}
    for word in ROOMS[name].split():
        side, _, rest = word.partition(".")
        if rest and side in ("hw", "sim"):
            found.add(f"xnorflow_{side}.{rest}")
        else:
            found |= {f"{package}.{word}", f"xnorflow.{word}"}
    return found


@pytest.mark.parametrize("name", sorted({room(n) for n, _ in ALL}))
def test_a_room_imports_what_its_place_allows(name: str) -> None:
    if name in FREE:
        return
    if name not in ROOMS:
        path = NAMES[name]
        assert path.name != "__init__.py" or "." not in name, f"{name} is not in ROOMS"
        return
    used = {
        room(i)
        for module, found in ARROWS.items()
        if room(module) == name
        for i in found
        if (module, i) not in UPWARDS
    }
    assert used <= allowed(name), f"{name} imports {sorted(used - allowed(name))}"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in graph.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            k = stack.index(v)
            if len(stack) - k > 1:
                found.append(sorted(stack[k:]))
            del stack[k:]

    for v in graph:
        if v not in index:
            visit(v)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    # A package imports its modules; that it contains them does not count as an import of it.
    assert not circles(ARROWS)


def test_no_rooms_import_each_other_in_a_circle() -> None:
    between: dict[str, set[str]] = {}
    for module, found in ARROWS.items():
        for i in found:
            if (module, i) not in UPWARDS and room(module) != room(i):
                between.setdefault(room(module), set()).add(room(i))
    faces = {"xnorflow", "xnorflow_boards"}
    inner = {r: {i for i in to if i not in faces} for r, to in between.items() if r not in faces}
    assert not circles(inner)


def test_the_exception_upwards_is_still_needed() -> None:
    assert all(to in ARROWS[module] for module, to in UPWARDS)


LARGE = {"xnorflow.cli", "xnorflow.train", "xnorflow.frontend"}
"""Rooms in which each module is an entry of a list: commands, recipes or operators."""


def test_no_room_has_more_than_sixteen_modules() -> None:
    counted: dict[str, int] = {}
    for name, path in ALL:
        if path.name != "__init__.py":
            folder = name.rpartition(".")[0]
            counted[folder] = counted.get(folder, 0) + 1
    assert not {f: n for f, n in counted.items() if n > 16 and not within(f, *LARGE)}


def test_file_stems_and_class_names_stand_once() -> None:
    """Only `spec` shares file stems with other rooms: those that build what it describes."""
    stems: dict[str, list[str]] = {}
    classes: dict[str, list[str]] = {}
    for name, path in ALL:
        if path.stem not in ("__init__", "__main__"):
            stems.setdefault(path.stem, []).append(name)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(name)
    mirrored = [n for n in stems.values() if len(n) > 1]
    assert all(len(n) == 2 and any(".spec." in i for i in n) for n in mirrored), mirrored
    assert not {c: n for c, n in classes.items() if len(n) > 1}


@pytest.mark.parametrize(
    ("names", "absent"),
    [
        (("xnorflow.ir", "xnorflow_sim.golden"), "xnorflow_hw xnorflow_boards amaranth"),
        (
            ("xnorflow_hw.spec", "xnorflow_hw.spec.stage_latency", "xnorflow.schedule.timing"),
            "amaranth xnorflow_boards",
        ),
    ],
)
def test_the_ground_is_light(names: tuple[str, ...], absent: str) -> None:
    """This runs in a new interpreter, in which nothing else has imported anything."""
    code = (
        f"import sys\nimport {', '.join(names)}\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))\n"
    )
    path = [str(folder.parent) for folder in PACKAGES.values()]
    out = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"onnx", "qonnx", "click", "rich", "matplotlib", "PIL", "onnxruntime", "cocotb"}
    assert "numpy" in out and not (heavy | {"scipy", "torch", *absent.split()}) & set(out)


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
    """Return all files under version control; outside a clone there are none."""
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
