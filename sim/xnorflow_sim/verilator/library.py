"""A shared library that runs generated Verilog.

Verilator turns the Verilog into C++, and g++ compiles it together with ``harness.cpp``. The result
is cached under the digest of everything that it depends on. Neither make nor perl is needed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from xnorflow.errors import BadInput, CheckFailed
from xnorflow_sim import process_group
from xnorflow_sim.interface import BytePorts, Interface
from xnorflow_sim.process_group import ProcessGroup
from xnorflow_sim.verilator import cache
from xnorflow_sim.verilator import toolchain as tools

# Registers that the Verilog does not initialise start with the random bits of the run's seed.
_VERILATE = (
    "--cc", "-O3", "--x-assign", "fast", "--x-initial", "unique", "--no-assert", "--no-timing",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "--prefix", "Vxf",
)  # fmt: skip
_DEFINES = ("COVERAGE", "SC", "TIMING", "VPI", "TRACE_FST", "TRACE_SAIF")
_COMPILE = ("-std=c++17", "-fPIC", "-fno-strict-aliasing", "-faligned-new", "-w")
# -march=native: 1.2 to 3.5 times as many cycles per second, most where popcounts are adder trees.
_FAST = ("-O3", "-march=native")
# Constructors and initial values run once: compiling them well would only take longer.
_SLOW = ("-O1",)
# For a few thousand cycles, compiling takes most of the time.
_QUICK = ("-O0",)
_LINES = ("-g1",)


DESIGN = "design.sv"
Images = Path | Mapping[str, str] | None


@dataclass(frozen=True)
class CompiledModel:
    """A compiled design: its library, and the folder it must run in to find its ROM images."""

    library: Path
    folder: Path


def build(
    verilog: Path | str,
    interface: Interface | BytePorts,
    *,
    images: Images = None,
    trace: bool = False,
    lines: bool = False,
    quick: bool = False,
    root: Path | None = None,
) -> CompiledModel:
    """Compile a design, or find it in the cache.

    Parameters
    ----------
    verilog : Path or str
        Self-contained design: path of its file, or its text.
    interface : Interface or BytePorts
        Ports of the design, which are compared with the Verilog's, and the C++ that drives them.
    images : Path or dict, optional
        ROM images that the Verilog names: their folder, or their texts by file name. By default
        the folder of the Verilog's file.
    trace : bool
        Whether the library can write waveforms. It is several times slower then.
    lines : bool
        Keep Verilator's C++ beside the library, and its line numbers within, for a profiler.
    quick : bool
        Compile without optimisation, for runs of a few thousand cycles.
    root : Path, optional
        The cache, by default :func:`xnorflow_sim.verilator.cache.default`.

    Raises
    ------
    BadInput
        If an image is missing, or the ports are not what the interface says.
    CheckFailed
        If Verilator or the compiler refuses the design.
    ToolMissing
        If one of them is not there.
    """
    sources = read_sources(verilog, images)
    text = sources.pop(DESIGN)
    harness = (resources.files("xnorflow_sim") / interface.harness).read_text()
    header = _header(interface)
    root = root or cache.default()

    def make(folder: Path) -> None:
        work = folder / "work"
        work.mkdir()
        write_sources({DESIGN: text, "design.h": header, "harness.cpp": harness}, work)
        _verilate(interface, trace, work)
        flags = [*_flags(trace), *(_LINES if lines else ())]
        _compile(work, flags, root, folder / "model.so", quick=quick)
        if not lines:
            shutil.rmtree(work)

    options = (_VERILATE, *_flags(trace), lines, *(_QUICK if quick else ()))
    inputs = [*_toolchain(), repr(options), harness, header]
    inputs += [repr(sorted(interface.ports.items())), interface.top, text]
    library = cache.entry(root, f"model-{cache.digest(inputs)}", make) / "model.so"
    # Apart from the library, so that other weights need no other compilation.
    parts = [part for item in sources.items() for part in item]
    folder = cache.entry(
        root, f"images-{cache.digest(parts)}", lambda folder: write_sources(sources, folder)
    )
    return CompiledModel(library, folder)


def read_sources(verilog: Path | str, images: Images = None) -> dict[str, str]:
    """Return the texts of a design and of the ROM images it names, by file name.

    The design itself is ``design.sv``. Parameters and errors are those of :func:`build`.
    """
    text = verilog.read_text() if isinstance(verilog, Path) else verilog
    if images is None:
        images = verilog.parent if isinstance(verilog, Path) else {}
    called = set(re.findall(r'\$readmem[hb]\s*\(\s*"([^"]*)"', text))
    # A module may take the name as a parameter: any string that names an image counts.
    strings = set(re.findall(r'"([\w.-]+)"', text))
    sources = {DESIGN: text}
    for name in sorted(called | strings):
        if name in called and not re.fullmatch(r"\w[\w.-]*", name):
            raise BadInput(f"the Verilog reads {name!r}, which is not a plain file name")
        if isinstance(images, Path):
            there = (images / name).is_file() and name != getattr(verilog, "name", None)
            image = (images / name).read_text() if there else None
        else:
            image = images.get(name)
        if image is not None:
            sources[name] = image
        elif name in called:
            raise BadInput(f"the Verilog reads the ROM image {name}, which is not there")
    return sources


def write_sources(sources: dict[str, str], folder: Path) -> None:
    """Write what :func:`read_sources` returned into a folder."""
    for name, text in sources.items():
        (folder / name).write_text(text)


def lint(verilog: Path | str, top: str, *, defines: tuple[str, ...] = ()) -> list[str]:
    """Return every warning and error that Verilator has about a design, with all of them enabled.

    Parameters
    ----------
    verilog : Path or str
        Design: path of its file, or its text.
    top : str
        Name of the top module.
    defines : tuple of str
        Preprocessor names to define, which choose between alternatives in the text.
    """
    options = ["--lint-only", "-Wall", "-Wno-DECLFILENAME", "--no-timing", "--top-module", top]
    options += [f"-D{name}" for name in defines]
    with tempfile.TemporaryDirectory(prefix="xnorflow-") as folder:
        text = verilog.read_text() if isinstance(verilog, Path) else verilog
        write_sources({DESIGN: text}, Path(folder))
        _, output = _run_verilator([*options, str(Path(folder) / DESIGN)])
    found = re.findall(r"^%(?:Warning|Error).*", output, re.MULTILINE)
    return [line.replace(f"{folder}/", "") for line in found if "Exiting due to" not in line]


def _run_verilator(arguments: list[str]) -> tuple[int, str]:
    """Run Verilator; return its exit code and what it printed."""
    tool = tools.verilator()
    done = process_group.run(
        [str(tool.path.with_name("verilator_bin")), *arguments], env=tool.environment()
    )
    output = done.stdout + done.stderr
    _check_room(done.returncode, output)
    return done.returncode, output


def _header(interface: Interface | BytePorts) -> str:
    """Return the geometry that the C++ is compiled for."""
    return "".join(f"#define {name} {value}\n" for name, value in interface.defines.items())


def _verilate(interface: Interface | BytePorts, trace: bool, work: Path) -> None:
    """Write the C++ of the design in ``work`` beside it."""
    options = ["--trace-vcd", "--trace-structs"] if trace else []
    options += ["--top-module", interface.top, "--Mdir", str(work), str(work / DESIGN)]
    code, output = _run_verilator([*_VERILATE, *options])
    if code:
        errors = [line for line in output.splitlines() if line.startswith("%Error")]
        raise CheckFailed(f"Verilator refuses {interface.top}: " + " ".join(errors[:3]))
    _check_ports((work / "Vxf.h").read_text(), interface)


def _check_ports(header: str, interface: Interface | BytePorts) -> None:
    """Compare the ports in Verilator's header with the interface's."""
    found = {
        name: int(high) - int(low) + 1
        for name, high, low in re.findall(r"VL_(?:IN|OUT)\w*\(&(\w+),(\d+),(\d+)", header)
    }
    for name in sorted(found.keys() | interface.ports.keys()):
        got, want = found.get(name), interface.ports.get(name)
        if got != want:
            have = "does not have" if got is None else f"has, {got} bits wide,"
            expect = "does not name" if want is None else f"says is {want} bits wide"
            raise BadInput(
                f"module {interface.top} {have} the port {name}, which the interface {expect}"
            )


def _compile(work: Path, flags: list[str], root: Path, library: Path, *, quick: bool) -> None:
    """Compile the C++ in ``work``, which the harness is part of."""
    lists = (work / "Vxf_classes.mk").read_text()
    fast = [*_classes(lists, "CLASSES_FAST", "SUPPORT_FAST"), "harness"]
    fast.remove("Vxf")  # The harness includes it, so that the calls between the two are inlined.
    slow = _classes(lists, "CLASSES_SLOW", "SUPPORT_SLOW")
    if quick:
        # The harness has macros of its own.
        slow, fast = [*(name for name in fast if name != "harness"), *slow], ["harness"]
    # One unit for what is small: most of its time is reading the same headers.
    (work / "slow.cpp").write_text("".join(f'#include "{name}.cpp"\n' for name in slow))

    runtime = _runtime(_classes(lists, "GLOBAL_FAST", "GLOBAL_SLOW"), flags, root)
    units: dict[Path, Sequence[str]] = dict.fromkeys((work / f"{u}.cpp" for u in fast), _FAST)
    units[work / "slow.cpp"] = _SLOW
    if quick:
        units = dict.fromkeys(units, _QUICK)
    objects = _objects(units, [*flags, f"-I{work}"], work)
    _gxx(["-shared", "-pthread", "-o", str(library), *objects, *runtime])


def _classes(lists: str, *names: str) -> list[str]:
    """Return the files in Verilator's make variables ``VM_<name>``."""
    found: list[str] = []
    for name in names:
        match = re.search(rf"^VM_{name} \+= \\?\n((?:.*\\\n)*)", lists, re.MULTILINE)
        found += match[1].replace("\\", " ").split() if match else []
    return found


def _runtime(names: list[str], flags: list[str], root: Path) -> list[str]:
    """Return the objects of Verilator's own library, which every design shares."""
    source = Path(tools.verilator().env["VERILATOR_ROOT"]) / "include"
    key = cache.digest([*_toolchain(), *flags, *names])

    def make(folder: Path) -> None:
        _objects({source / f"{name}.cpp": _FAST for name in names}, flags, folder)

    folder = cache.entry(root, f"verilated-{key}", make)
    return [str(folder / f"{name}.o") for name in names]


def _toolchain() -> list[str]:
    """Return what the objects depend on besides their sources and flags."""
    verilator, compiler = tools.verilator(), tools.compiler()
    return [verilator.version, compiler.version, repr((_FAST, _SLOW)), *tools.processor()]


def _flags(trace: bool) -> list[str]:
    """Return the compiler flags that every unit shares."""
    include = Path(tools.verilator().env["VERILATOR_ROOT"]) / "include"
    defines = [f"-DVM_{name}=0" for name in _DEFINES]
    defines += [f"-DVM_TRACE={trace:d}", f"-DVM_TRACE_VCD={trace:d}", "-DVERILATOR=1"]
    return [*_COMPILE, *defines, f"-I{include}", f"-I{include / 'vltstd'}"]


def _objects(units: Mapping[Path, Sequence[str]], flags: list[str], folder: Path) -> list[str]:
    """Compile files, each with flags of its own, into a folder, several at once."""

    def one(unit: Path) -> str:
        target = str(folder / f"{unit.stem}.o")
        _gxx([*flags, *units[unit], "-c", str(unit), "-o", target], group)
        return target

    # The group within the pool: leaving the pool waits for its threads.
    with ThreadPoolExecutor(_processors()) as pool, ProcessGroup() as group:
        return list(pool.map(one, units))


def _gxx(arguments: list[str], group: ProcessGroup | None = None) -> None:
    """Run the C++ compiler; CheckFailed with its first complaint if it fails."""
    run = group.run if group else process_group.run
    done = run([str(tools.compiler().path), *arguments])
    _check_room(done.returncode, done.stderr)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        why = " ".join(lines[:2]) or done.stderr[-300:]
        raise CheckFailed(f"the C++ compiler fails on the simulation model: {why}")


def _check_room(code: int, output: str) -> None:
    """Raise the OSError behind a tool's complaint that a disk is full."""
    full = os.strerror(errno.ENOSPC)
    lines = [line for line in output.splitlines() if full in line]
    if code and lines:
        raise OSError(errno.ENOSPC, full, lines[0].strip())


def _processors() -> int:
    """Return how many compilers to run at once."""
    return min(8, len(os.sched_getaffinity(0)))
