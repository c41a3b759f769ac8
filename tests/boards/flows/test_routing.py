"""A router that makes no progress is stopped, and the other one is tried."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from xnorflow_boards.build.open_build import OpenBuild, Synthesised
from xnorflow_boards.flows import ICE40
from xnorflow_boards.flows.process import Stop, run
from xnorflow_boards.flows.routing import PATIENCE, Impasse, Watch, remaining
from xnorflow_boards.flows.tools import FlowTool

CIRCLES = "Info:     iter={} wires=11178 overused=4 overuse=4 archfail=NA"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("Info:     iter=17 wires=433252 overused=100 overuse=103 archfail=NA", 100),
        ("Info:     iter=485 wires=11397 overused=3 overuse=4 tmgfail=2207 archfail=NA", 3),
        (
            "Info:  iter=3 wires=9 overused=2 overuse=2 resources=5 overused=1 overuse=1"
            " archfail=NA",
            3,
        ),
        (
            "Info:       4140 |      298       3551 |   15   126 |         0|"
            "       0.09       0.99|",
            0,
        ),
        ("Info: Routing complete.", None),
        ("Info: Device utilisation:", None),
    ],
)
def test_progress_is_read(line, left):
    assert remaining(line) == left


def test_a_router_may_wait_but_not_for_ever():
    watch = Watch()
    for conflicts in (9, 8, 7):
        for k in range(PATIENCE):
            watch(CIRCLES.format(k).replace("overused=4", f"overused={conflicts}"))
    with pytest.raises(Stop, match=f"7 conflicts were left, for {PATIENCE} lines"):
        watch(CIRCLES.format(0).replace("overused=4", "overused=8"))


def test_slow_routes_may_be_mended_as_long_as_it_takes():
    watch = Watch()
    for k in range(3 * PATIENCE):
        watch(CIRCLES.format(k).replace("overused=4", f"overused={k % 7}"))
    arcs = "Info:       1000 |       35        873 |   35   873 |      {}|       0.32       0.32|"
    for _ in range(PATIENCE):
        watch("Info: 24 arcs ripped up due to negative slack WNS=-1.5 TNS=-8.")
        for left in (7, 9, 8):
            watch(arcs.format(left))


def test_a_tool_is_stopped_by_who_watches(tmp_path):
    endless = f"import itertools\nfor k in itertools.count(): print({CIRCLES!r}.format(k))"
    tool = FlowTool("python", (sys.executable, "-c"), "3")
    step = run("work", tool, [endless], tmp_path, "log", Watch())
    assert step.status != 0 and step.cpu_seconds > 0 and "4 conflicts" in step.stopped
    assert step.summary()["stopped"] == step.stopped
    assert len((tmp_path / "log").read_text().splitlines()) >= PATIENCE


def routed(tmp_path, endless, failing=()):
    """Build with a nextpnr whose routers of these names never end, or fail."""
    code = "\n".join(
        [
            "import itertools, json, sys",
            "which, report = (sys.argv[sys.argv.index(a) + 1] for a in ('--router', '--report'))",
            "print('Info: Routing..')",
            f"for k in itertools.count() if which in {endless!r} else ():"
            f" print({CIRCLES!r}.format(k))",
            f"if which in {failing!r}: sys.exit('ERROR: Failed to find a route')",
            "print('Info:     TRELLIS_COMB:      10/   100     10%')",
            "clock = {'achieved': 50.0, 'constraint': 40.0}",
            "json.dump({'fmax': {'clk': clock}, 'critical_paths': []}, open(report, 'w'))",
        ]
    )
    names = []
    design = SimpleNamespace(net=SimpleNamespace(name="digits"))
    flow = replace(
        ICE40,
        routers=("router2", "router1"),
        place=lambda plan: [],
        usage=lambda cells, log: cells,
    )
    board = SimpleNamespace(name="icebreaker", flow=flow, file=SimpleNamespace(linked=True))
    made = OpenBuild(design, board, tmp_path, lambda name, doing: names.append(name))
    tool = FlowTool("nextpnr", (sys.executable, "-c", code), "0")
    # Neither the plan nor what packs is used by placement.
    return made, Synthesised(None, 40.0, tool, tool), names


@pytest.mark.parametrize(
    "fault", [{"endless": ("router2",)}, {"endless": (), "failing": ("router2",)}]
)
def test_the_other_router_has_its_turn(tmp_path, fault):
    made, netlist, names = routed(tmp_path, **fault)
    placement = made.place(netlist, 3, False)
    assert (placement.router, placement.seed, placement.fmax_mhz) == ("router1", 3, 50.0)
    steps = ["placement and routing, seed 3", "placement and routing, seed 3, router1"]
    assert list(dict.fromkeys(names)) == steps == [step.name for step in made.steps]
    assert placement.log == "place-3-router1.log" and (tmp_path / placement.log).exists()


def test_two_lost_routers_are_said(tmp_path):
    made, netlist, _ = routed(tmp_path, ("router2",), ("router1",))
    with pytest.raises(Impasse) as e:
        made.place(netlist, 1, True)
    text = made._unrouted([{"seed": 1, "why": str(e.value)}], True)
    assert "no route for digits on icebreaker with 1 seed (router2: 4 conflicts were left" in text
    assert "router1: ERROR: Failed to find a route). What would work: no --rip-up, more" in text
    assert "--seeds 4" in text
