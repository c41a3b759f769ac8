"""One run of a tool: its output line by line, its time and its memory."""

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
    """Raised by the reader of a tool's output to stop the tool; its text says why."""


@dataclass(frozen=True)
class ToolStep:
    """A finished run of a tool.

    Parameters
    ----------
    name : str
        What the step does, such as "synthesis".
    tool, version : str
        Name and version of the tool.
    seconds, cpu_seconds : float
        Wall-clock time and processor time in seconds.
    peak_mib : float
        Peak memory in MiB.
    status : int
        Exit status; not zero if the tool failed.
    tail : tuple of str
        Last lines that the tool wrote.
    stopped : str
        Why the tool was stopped; empty if it ended by itself.
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
        """Return the step's entry in ``build.json``."""
        content = asdict(self)
        del content["status"], content["tail"]
        if not self.stopped:
            del content["stopped"]
        return content

    @property
    def complaint(self) -> str:
        """The tool's last error messages, or else its last line."""
        errors = [line for line in self.tail if line.startswith("ERROR")]
        if errors:
            # The last one of nextpnr may only say that packing failed, the one before it why.
            return " ".join(errors[-2:])
        return ([line for line in self.tail if line.strip()] or ["it wrote nothing"])[-1]


def run(
    name: str, tool: FlowTool, arguments: list[str], folder: Path, log: str, on_line: Line
) -> ToolStep:
    """Run a tool in a folder and measure it.

    The tool is stopped if the caller is interrupted, or if `on_line` raises `Stop`.

    Parameters
    ----------
    name : str
        What the step does, for messages and ``build.json``.
    tool : FlowTool
        Tool to run.
    arguments : list of str
        Arguments of the tool.
    folder : Path
        Folder in which it runs.
    log : str
        Name of the file in `folder` that gets its output and errors.
    on_line : callable
        Is called with each line of the output, without the line end.

    Returns
    -------
    Step
        What happened; a failed tool is no exception here.
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
    return ToolStep(
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
