"""Programs that end together, with everything they started."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from xnorflow_sim.process_group import ProcessGroup, run

# Starts a child, writes both numbers to a file, and waits for ever.
FAMILY = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "open(sys.argv[1] + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
    "os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
    "time.sleep(600)\n"
)


def until(true: Callable[[], object]) -> None:
    """Wait; the limit is only there so that a fault does not hang the tests."""
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def gone(number: int) -> bool:
    """Return whether a process has ended; one that nobody waited for counts."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def test_a_program_is_run_to_its_end() -> None:
    script = "import sys; print(sys.stdin.read()); print('b', file=sys.stderr); sys.exit(3)"
    done = run([sys.executable, "-c", script], input="a")
    assert (done.returncode, done.stdout, done.stderr) == (3, "a\n", "b\n")
    assert run([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"]).stdout
    with pytest.raises(FileNotFoundError):
        run(["no such program"])


def test_leaving_the_context_ends_programs_of_all_threads_and_their_children(
    tmp_path: Path,
) -> None:
    files = [tmp_path / "0", tmp_path / "1"]
    results: list[object] = []

    def work(file: Path) -> None:
        try:
            results.append(group.run([sys.executable, "-c", FAMILY, str(file)]).returncode)
            group.run([sys.executable, "-c", "print('never')"])
        except InterruptedError:
            results.append("not started")

    threads = [threading.Thread(target=work, args=(file,)) for file in files]
    with pytest.raises(KeyboardInterrupt), ProcessGroup() as group:
        for thread in threads:
            thread.start()
        until(lambda: all(file.exists() for file in files))
        raise KeyboardInterrupt
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["-9", "-9", "not started", "not started"]
    for file in files:
        for number in map(int, file.read_text().split()):
            until(lambda number=number: gone(number))
