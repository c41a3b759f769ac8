"""Runs programs so that they end together, each with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process that leads a group of its own, with all that it started; wait for its end."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class ProcessGroup:
    """A context for programs: what still runs when it is left is killed, and nothing new starts.

    `subprocess.run` would wait for a program of another thread, and leave alone what a killed one
    had started: a compiler driver its compiler, make its jobs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._over = False

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._over = True
            running = list(self._running)
        for process in running:
            kill(process)

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; from any thread.

        Parameters
        ----------
        command : sequence of str
            The program and its arguments.
        env : mapping of str to str, optional
            Its environment, by default this process's.
        input : str, optional
            Its standard input, by default empty.

        Returns
        -------
        CompletedProcess
            Exit status and what it wrote, whatever bytes that was.

        Raises
        ------
        InterruptedError
            If the context is left meanwhile.
        """
        with self._lock:
            if self._over:
                raise InterruptedError(f"{command[0]} was not started: all is over")
            process = subprocess.Popen(
                command, env=env, text=True, errors="replace", process_group=0,
                stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            self._running.add(process)
        try:
            output, errors = process.communicate(input)
        finally:
            kill(process)
            with self._lock:
                self._running.discard(process)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one program as `ProcessGroup.run` does; an exception meanwhile kills it."""
    with ProcessGroup() as group:
        return group.run(command, env=env, input=input)
