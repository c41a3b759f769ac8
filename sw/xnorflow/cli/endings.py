"""End a command with a message and an exit code, and leave no files or processes behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from xnorflow.errors import XnorflowError
from xnorflow_hw.base.conversion import ConversionFailed

INTERRUPTED = 128
"""Exit code after a signal, minus the signal's number, as shells report it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEARING_SECONDS = 5.0
"""Seconds that cleaning up may take before another signal interrupts it."""


class Interrupted(KeyboardInterrupt):
    """Exception for a signal that asks the program to end.

    Parameters
    ----------
    number : int
        Number of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into exceptions within this context, like SIGINT.

    The command can then remove temporary files and end other processes. A further signal within
    `CLEARING_SECONDS` does not interrupt this: users often press Ctrl-C more than once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -CLEARING_SECONDS

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() - last >= CLEARING_SECONDS:
            last = time.monotonic()
            raise Interrupted(number)

    # A signal that is ignored, for example because of nohup, stays ignored.
    usual = (signal.SIG_DFL, signal.default_int_handler)
    former = {n: signal.getsignal(n) for n in SIGNALS if signal.getsignal(n) in usual}
    for number in former:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def ending(error: BaseException) -> tuple[str, int]:
    """Return the message and the exit code for an error that ended a command.

    Raises
    ------
    BaseException
        The error itself if it is no error, such as `SystemExit`.
    """
    match error:
        case XnorflowError():
            return str(error), error.exit_code
        case ConversionFailed():
            return str(error), 2
        case Interrupted():
            return "interrupted", INTERRUPTED + error.number
        case KeyboardInterrupt():
            return "interrupted", INTERRUPTED + signal.SIGINT
        case MemoryError():
            return (
                "there is not enough memory. What would work: fewer frames (--limit), fewer"
                " processes (--jobs), a smaller network, or a machine with more memory",
                2,
            )
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror or error}", 2
        case Exception():
            return (
                f"a fault of xnorflow, not of yours: {type(error).__name__} in {_place(error)}:"
                f" {' '.join(str(error).split())[:400]}. Please report it, with what the same"
                " command prints after 'xnorflow --debug'",
                1,
            )
    raise error


def _place(error: BaseException) -> str:
    """Return the file and line of the innermost of our own functions that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "xnorflow" in f.filename] or frames
    return f"{Path(ours[-1].filename).name}, line {ours[-1].lineno}" if ours else "an unknown place"


def flush() -> None:
    """Flush the standard output, while a full disk can still become an error of the command."""
    try:
        sys.stdout.flush()
    except OSError as e:
        # Otherwise Python would try again when it exits, and print a message of its own.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        e.filename = e.filename or "the standard output"
        raise


@contextmanager
def no_children_left() -> Iterator[None]:
    """Kill every process that was started in this block and still runs when an error ends it."""
    before = children(os.getpid())
    try:
        yield
    except BaseException:
        for process in children(os.getpid()) - before:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        raise


def children(parent: int) -> set[int]:
    """Return the ids of all descendants of a process, if the system provides them."""
    found = set()
    with suppress(OSError, ValueError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child, *children(child)}
    return found
