"""`inspect --passes` shows what each pass did."""

import json

from click.testing import CliRunner, Result

from xnorflow.cli import main
from xnorflow.demo import model_path
from xnorflow.lower import PASSES as LOWERING
from xnorflow.merge.merging import PASSES as MERGING
from xnorflow.plan.hardware_passes import PASSES as PLANNING


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["inspect", str(model_path()), *arguments])


def test_every_pass_is_shown_in_order() -> None:
    done = run("--passes", "--board", "ulx3s-85f", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["passes"]
    names = [p["name"] for p in found]
    lowering = [p.__name__ for p in LOWERING]
    merging = [p.name for p in MERGING]
    planning = [p.name for p in PLANNING]
    assert names == ["imported", *lowering, "integer", *merging, "map", *planning]
    assert not any(p["changes"] for p in found if p["name"] in merging)
    by_name = {p["name"]: p["changes"] for p in found}
    assert "+ Conv of Conv Conv_0" in by_name["imported"]
    assert "conv1: sums tree -> dense" in by_name["fabric"]
    assert any("block" in change for change in by_name["memories"])


def test_the_hardware_of_a_design_without_a_board_is_plain_verilog() -> None:
    done = run("--passes")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    at = lines.index("fabric: how each array sums a beat, and with which primitives")
    assert "dense" not in lines[at + 1]


def test_a_board_alone_is_refused() -> None:
    done = run("--board", "ulx3s-85f")
    assert done.exit_code == 2 and "--board goes with --passes" in done.output
