"""Runs of the cocotb testbenches on a design, and their verdicts.

cocotb's runner changes the environment of its process and may end the process. So it gets a process
of its own, in which this module runs as a script.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

if __name__ != "__main__":
    import numpy as np
    from numpy.typing import NDArray

    from xnorflow.errors import BadInput, CheckFailed
    from xnorflow.outputs import whole_file
    from xnorflow_sim import process_group
    from xnorflow_sim.interface import Interface
    from xnorflow_sim.verilator import cache
    from xnorflow_sim.verilator import toolchain as tools
    from xnorflow_sim.verilator.library import DESIGN, Images, read_sources, write_sources

BENCH = "xnorflow_sim.bench.bench_accelerator"
"""Testbench of an accelerator."""
AXI_BENCH = "xnorflow_sim.bench.bench_axi"
EDGE_BENCH = "xnorflow_sim.bench.bench_edges"
"""Testbench of an accelerator in its AXI wrapper."""
# The runner makes every signal public, so warnings about unused ones mean nothing here.
BUILD_ARGS = ["-O3", "--no-timing", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
BUILD_ARGS += ["-CFLAGS", "-DVL_USER_FATAL"]
# Verilator's own flushes the waveforms first: a deadlock, where writing them is what failed.
FATAL = """\
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
void vl_fatal(const char *file, int line, const char *, const char *what) {
    std::fprintf(stderr, "%%Error: %s:%d: %s\\n", file, line, what);
    std::_Exit(1);
}
"""
_BROKEN_OFF = re.compile(r"^(?:\[\d+\] )?%(?:Fatal|Error): (.*)$", re.MULTILINE)
_WAVES_LOST = re.compile(r"VerilatedVcd::bufferFlush: (.*)")


@dataclass(frozen=True)
class BenchResult:
    """Verdict of one cocotb test.

    Parameters
    ----------
    name : str
        Name of the test.
    time_ns : float
        Simulated time in ns.
    failure : str
        What failed; empty if the test passed.
    """

    name: str
    time_ns: float
    failure: str

    @property
    def passed(self) -> bool:
        """Whether the test passed."""
        return not self.failure


def run_cocotb(
    verilog: Path | str,
    interface: Interface,
    x: NDArray[np.uint8],
    scores: NDArray[np.int64],
    *,
    images: Images = None,
    tests: tuple[str, ...] = (),
    seed: int = 0,
    idle_limit: int = 100_000,
    waves: str | Path | None = None,
    build_dir: Path | None = None,
    bench: str = BENCH,
    constants: Mapping[str, int] | None = None,
    edges: Sequence[int] = (),
) -> list[BenchResult]:
    """Run a cocotb testbench on a design in Verilator, and check that all of its tests pass.

    Parameters
    ----------
    verilog, interface, images
        As for :class:`xnorflow_sim.verilator.runner.Simulator`.
    x : uint8 [N, ...]
        Frames. A few are enough: a test sends all of them up to four times.
    scores : int64 [N, classes]
        Scores that the design has to answer.
    tests : tuple of str
        Names of the tests to run; all by default.
    seed : int
        Seed of the stalls.
    idle_limit : int
        Number of cycles without a transfer after which the design counts as stuck.
    waves : Path, optional
        File that gets the waveforms of all tests, in VCD.
    build_dir : Path, optional
        Folder that keeps the compiled testbench; the cache by default.
    bench : str
        Module of the testbench: `BENCH`, or `AXI_BENCH` for an accelerator in its AXI wrapper,
        whose name is then the interface's ``top``; `EDGE_BENCH` if it has several edges, too.
    constants : dict of str to int, optional
        For `AXI_BENCH`: content of the registers that identify the design, by name.
    edges : sequence of int
        For `EDGE_BENCH`: number of enabled edges of each frame.

    Returns
    -------
    list of BenchResult
        A verdict for each test; all have passed.

    Raises
    ------
    BadInput
        If frames or scores do not fit the interface.
    CheckFailed
        If the design cannot be built, or a test fails; the message names the test and the reason.
    ToolMissing
        If Verilator, the compiler, make or perl is not installed.
    """
    for find in (tools.verilator, tools.compiler, tools.make, tools.perl):
        find()
    try:
        beats, expected = interface.pack(x), interface.pack_scores(scores)
    except ValueError as error:
        raise BadInput(str(error)) from error
    if len(beats) != len(expected) or not len(beats):
        raise BadInput(
            f"{len(beats)} frames and {len(expected)} rows of scores: the numbers have to be equal,"
            " and 1 or more"
        )
    sources = read_sources(verilog, images)
    built = _build(sources, interface.top, waves is not None, build_dir or cache.default())
    # What is there of a test that failed shows where.
    kept = whole_file(Path(waves), keep=(CheckFailed,)) if waves else nullcontext(None)
    with kept as part, tempfile.TemporaryDirectory(prefix="xnorflow-") as name:
        folder = Path(name)
        write_sources(sources, folder)
        if part:
            (folder / "dump.vcd").symlink_to(part.absolute())
        job = folder / "bench.npz"
        np.savez(
            job,
            beats=beats,
            expected=expected,
            seed=seed,
            idle_limit=idle_limit,
            edges=np.array(edges, np.int64),
            constants=np.array(json.dumps(dict(constants or {}))),
        )
        log = _launch(
            {
                "do": "test", "build_dir": str(built), "test_dir": name, "top": interface.top,
                "tests": list(tests), "seed": seed, "waves": waves is not None, "bench": bench,
            },
            {"XNORFLOW_BENCH": str(job)},
        )  # fmt: skip
        if lost := _WAVES_LOST.search(log):
            raise BadInput(f"cannot write the waveforms: {lost[1].strip()}")
        results = _results(folder / "results.xml", log)
        failed = [result for result in results if not result.passed]
        if failed:
            raise CheckFailed(f"cocotb test {failed[0].name} fails: {failed[0].failure}")
    return results


def _build(sources: dict[str, str], top: str, waves: bool, root: Path) -> Path:
    """Return the folder of the compiled testbench, and build it first if it is not in the cache."""
    import cocotb_tools.config

    kind = [tools.verilator().version, tools.compiler().version, version("cocotb")]
    kind += [str(cocotb_tools.config.libs_dir), repr(BUILD_ARGS), FATAL, top, str(waves)]

    def make(folder: Path) -> None:
        write_sources({DESIGN: sources[DESIGN], "fatal.cpp": FATAL}, folder)
        log = _launch({"do": "build", "build_dir": str(folder), "top": top, "waves": waves}, {})
        if not (folder / top).is_file():
            raise CheckFailed(f"the cocotb testbench of {top} cannot be built: {log[-600:]}")

    return cache.entry(root, f"cocotb-{cache.digest([*kind, sources[DESIGN]])}", make)


def _launch(job: dict[str, Any], more: dict[str, str]) -> str:
    """Run this module as a script on one job, and return all that it printed."""
    env = tools.verilator().environment() | more
    # cocotb and its runner would obey these variables of the caller's environment.
    for name in list(env):
        if name.startswith("COCOTB_") or name in ("WAVES", "GUI", "PYTEST_CURRENT_TEST"):
            del env[name]
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = process_group.run([sys.executable, "-P", __file__], input=json.dumps(job), env=env)
    return done.stdout + done.stderr


def _results(xml: Path, log: str) -> list[BenchResult]:
    """Read cocotb's verdicts; CheckFailed if the simulation broke off and left none."""
    if not xml.is_file():
        reason = "; ".join(_BROKEN_OFF.findall(log)) or log[-600:]
        raise CheckFailed(f"the cocotb simulation left no results: {reason}")
    results = []
    for case in ElementTree.parse(xml).iter("testcase"):
        failure = ""
        for bad in (*case.iter("failure"), *case.iter("error")):
            failure = bad.get("error_msg") or bad.get("message") or bad.text or "no reason given"
        if case.find("skipped") is None:
            properties = {item.get("name"): item.get("value") for item in case.iter("property")}
            time = round(float(properties.get("sim_time_duration") or "nan"), 3)
            results.append(BenchResult(case.get("name", "?"), time, failure.strip()))
    if not results:
        raise CheckFailed(f"cocotb ran no test: {log[-600:]}")
    return results


def _serve(job: dict[str, Any]) -> None:
    """Build or run a testbench, in the script's own process."""
    from cocotb_tools.runner import get_runner

    runner = get_runner("verilator")
    if job["do"] == "build":
        runner.build(
            sources=[Path(job["build_dir"]) / "design.sv"], hdl_toplevel=job["top"],
            build_args=[*BUILD_ARGS, str(Path(job["build_dir"]) / "fatal.cpp")],
            build_dir=job["build_dir"], timescale=("1ns", "1ps"),
            waves=job["waves"],
        )  # fmt: skip
    elif job["do"] == "test":
        runner.test(
            job["bench"], job["top"], hdl_toplevel_lang="verilog", build_dir=job["build_dir"],
            test_dir=job["test_dir"], testcase=job["tests"] or None, seed=job["seed"] + 1,
            results_xml=str(Path(job["test_dir"]) / "results.xml"), waves=job["waves"],
        )  # fmt: skip
    else:
        raise ValueError(f"no job of the kind {job['do']!r}")


if __name__ == "__main__":
    _serve(json.load(sys.stdin))
