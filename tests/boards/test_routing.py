"""Routers that go round in circles are stopped, and the other one has its turn."""

import sys
from types import SimpleNamespace

import pytest

from xnorflow_boards.process import run
from xnorflow_boards.routing import PATIENCE, Impasse, Watch, remaining
from xnorflow_boards.runs import OpenRun
from xnorflow_boards.tools import Tool

CIRCLES = "Info:     iter={} wires=11178 overused=4 overuse=4 archfail=NA"


@pytest.mark.parametrize(("line", "left"), [
    ("Info:     iter=17 wires=433252 overused=100 overuse=103 archfail=NA", 100),
    ("Info:     iter=485 wires=11397 overused=3 overuse=4 tmgfail=2207 archfail=NA", 2210),
    ("Info:       4140 |      298       3551 |   15   126 |         0|       0.09       0.99|", 0),
    ("Info: Routing complete.", None),
    ("Info: Device utilisation:", None),
])
def test_progress_is_read(line, left):
    assert remaining(line) == left


def test_a_router_may_wait_but_not_for_ever():
    watch = Watch()
    for conflicts in (9, 8, 7):
        for k in range(PATIENCE):
            watch(CIRCLES.format(k).replace("overused=4", f"overused={conflicts}"))
    with pytest.raises(Impasse, match=f"7 conflicts were left, for {PATIENCE} lines"):
        watch(CIRCLES.format(0).replace("overused=4", "overused=8"))


def test_a_tool_is_stopped_by_who_watches(tmp_path):
    endless = f"import itertools\nfor k in itertools.count(): print({CIRCLES!r}.format(k))"
    tool = Tool("python", (sys.executable, "-c"), "3")
    with pytest.raises(Impasse):
        run("work", tool, [endless], tmp_path, "log", Watch())
    assert len((tmp_path / "log").read_text().splitlines()) >= PATIENCE


def routed(tmp_path, endless):
    """Place with a nextpnr whose routers of these names never end; give what was run."""
    code = "\n".join([
        "import itertools, json, sys",
        "which, report = (sys.argv[sys.argv.index(a) + 1] for a in ('--router', '--report'))",
        f"for k in itertools.count() if which in {endless!r} else (): print({CIRCLES!r}.format(k))",
        "print('Info:     TRELLIS_COMB:      10/   100     10%')",
        "clock = {'achieved': 50.0, 'constraint': 40.0}",
        "json.dump({'fmax': {'clk': clock}, 'critical_paths': []}, open(report, 'w'))",
    ])
    names = []
    design = SimpleNamespace(net=SimpleNamespace(name="digits"))
    board = SimpleNamespace(name="icebreaker")
    made = OpenRun(design, board, tmp_path, lambda name, doing: names.append(name))
    family = SimpleNamespace(
        routers=("router2", "router1"), place=lambda plan: [], usage=lambda cells, log: cells
    )
    tool = Tool("nextpnr", (sys.executable, "-c", code), "0")
    return made, family, tool, names


def test_the_other_router_has_its_turn(tmp_path):
    made, family, tool, names = routed(tmp_path, ("router2",))
    placement = made._place(family, tool, None, 40.0, 3, False)
    assert (placement.router, placement.seed, placement.fmax_mhz) == ("router1", 3, 50.0)
    assert list(dict.fromkeys(names)) == [
        "placement and routing, seed 3", "placement and routing, seed 3, router1"]


def test_two_lost_routers_are_said(tmp_path):
    made, family, tool, _ = routed(tmp_path, ("router2", "router1"))
    with pytest.raises(Impasse) as e:
        made._place(family, tool, None, 40.0, 1, True)
    text = made._unrouted(family, str(e.value), 1, True)
    assert "no route for digits on icebreaker with 1 seed, neither by router2 nor by" in text
    assert "4 conflicts" in text and "no --rip-up, more seeds (--seeds 4)" in text
