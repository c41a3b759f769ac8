"""Running a tool: its output line by line, its time and its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xnorflow_boards.flows.tools import FlowTool
from xnorflow_sim.process_group import kill

Line = Callable[[str], object]


class Stop(Exception):
    """Raised by who reads a tool's lines: it is of no use any more."""


@dataclass(frozen=True)
class Step:
    """A tool that ran.

    Parameters
    ----------
    name, tool, version : str
        What was done, by what.
    seconds, cpu_seconds : float
        Wall and processor time.
    peak_mib : float
        Most memory held, in MiB.
    status : int
        Exit status; not zero if it failed.
    tail : tuple of str
        The last lines that it wrote.
    stopped : str
        Why it was stopped, if it was.
    """

    name: str
    tool: str
    version: str
    seconds: float
    cpu_seconds: float
    peak_mib: float
    status: int
    tail: tuple[str, ...]
    stopped: str = ""

    def summary(self) -> dict[str, Any]:
        """Give what goes into ``build.json``."""
        content = asdict(self)
        del content["status"], content["tail"]
        if not self.stopped:
            del content["stopped"]
        return content

    @property
    def complaint(self) -> str:
        """The tool's own last error, or its last line."""
        errors = [line for line in self.tail if line.startswith("ERROR")]
        return (errors or [line for line in self.tail if line.strip()] or ["it wrote nothing"])[-1]


def run(
    name: str, tool: FlowTool, arguments: list[str], folder: Path, log: str, on_line: Line
) -> Step:
    """Run a tool in a folder, write its output to a log there and hand on every line.

    The tool is stopped if this is interrupted, or if `on_line` raises `Stop`.
    """
    started = time.monotonic()
    tail: deque[str] = deque(maxlen=40)
    stopped = ""
    with (folder / log).open("w") as file:
        process = subprocess.Popen(
            [*tool.command, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        assert process.stdout is not None
        try:
            try:
                for line in process.stdout:
                    file.write(line)
                    tail.append(line.rstrip("\n"))
                    on_line(tail[-1])
            except Stop as e:
                stopped = str(e)
                os.killpg(process.pid, signal.SIGKILL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            kill(process)
            process.stdout.close()
    return Step(
        name,
        tool.name,
        tool.version,
        round(time.monotonic() - started, 2),
        round(used.ru_utime + used.ru_stime, 2),
        round(used.ru_maxrss / 1024, 1),
        process.returncode,
        tuple(tail),
        stopped,
    )
