import sys

from xnorflow_boards.flows.process import run
from xnorflow_boards.flows.tools import FlowTool

PYTHON = FlowTool("python", (sys.executable, "-c"), "3")


def test_a_run_is_logged_and_measured(tmp_path):
    lines = []
    code = "x = bytearray(64 << 20); print('one'); print('two')"
    step = run("work", PYTHON, [code], tmp_path, "log", lines.append)
    assert step.status == 0
    assert lines == ["one", "two"] == list(step.tail)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert step.peak_mib > 64
    assert step.seconds > 0
    assert set(step.summary()) == {"name", "tool", "version", "seconds", "cpu_seconds", "peak_mib"}


def test_a_failure_gives_the_tools_own_error(tmp_path):
    code = "import sys; print('ERROR: no place for it'); print('bye', file=sys.stderr); sys.exit(3)"
    step = run("work", PYTHON, [code], tmp_path, "log", lambda line: None)
    assert (step.status, step.complaint) == (3, "ERROR: no place for it")
    silent = run("work", PYTHON, ["raise SystemExit(1)"], tmp_path, "log", lambda line: None)
    assert silent.complaint == "it wrote nothing"
