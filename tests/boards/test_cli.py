import json

import pytest
from click.testing import CliRunner

from xnorflow import compile, demo, load
from xnorflow.cli import main
from xnorflow.devices.figure import compact
from xnorflow.devices.links import at_baud, links
from xnorflow.devices.tables import fpgas

pytest.importorskip("amaranth_boards")


def call(*arguments):
    return CliRunner().invoke(main, arguments)


def test_boards_lists_every_board_with_sources():
    rows = json.loads(call("boards", "--json").stdout)
    assert [row["name"] for row in rows] == list(fpgas())
    assert sum(row["bitstream"] for row in rows) == 7
    for row in rows:
        device = fpgas()[row["name"]]
        assert row["lut"] == {
            "value": device.luts.value,
            "source": device.luts.source.document,
            "kind": row["lut"]["kind"],
        }
    lines = call("boards").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:18]] == list(fpgas())
    assert max(map(len, lines)) <= 80


def test_errors_are_one_message(tmp_path):
    for arguments in (("build", str(tmp_path)), ("program", str(tmp_path))):
        result = call(*arguments)
        assert result.exit_code == 2
        assert result.output.startswith("error: ")
        assert "Traceback" not in result.output


def test_doctor_knows_the_tools_of_the_boards():
    rows = {row["name"]: row for row in json.loads(call("doctor", "--json").stdout)}
    for name in (
        "yosys",
        "nextpnr-ecp5",
        "ecppack",
        "nextpnr-ice40",
        "icepack",
        "nextpnr-himbaechel-gowin",
        "gowin_pack",
        "openFPGALoader",
    ):
        assert rows[name]["version"] or "nstall" in rows[name]["install"]


def test_build_says_what_the_frames_need_of_the_link_and_which_of_the_two_is_slower(
    tmp_path, synthesiser
):
    design = compile(load(demo.model_path()), cycles=20_000, link="uart")
    done = call("build", str(design.write(tmp_path / "digits")), "--board", "arty-a7-35")
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "digits/build/build.json").read_text())
    carried = links()["uart"].fps(design.frame_bytes)
    assert result["headline_fps"] == carried < result["fps"]
    assert result["host"]["chosen"] == "uart"
    said = " ".join(done.output.split())
    assert f"the accelerator needs {compact(result['host']['bytes_per_second'])}B/s" in said
    assert f"together {carried:,.0f} frames/s: the link is the limit" in said


def test_build_counts_the_serial_port_at_the_rate_that_was_asked_for(tmp_path, synthesiser):
    design = compile(load(demo.model_path()), cycles=20_000)
    folder = str(design.write(tmp_path / "digits"))
    done = call("build", folder, "--board", "arty-a7-35", "--baud", "3000000", "--json")
    result = json.loads(done.stdout)
    assert result["headline_fps"] == result["fps"], "no link was chosen"
    assert result["host"]["links"]["uart"]["fps"] == at_baud(3_000_000).fps(design.frame_bytes)
    assert result["host"]["board_link"] == "uart"


def test_build_says_whether_the_link_to_the_host_is_counted(monkeypatch, tmp_path):
    placed = {
        "name": "digits",
        "board": "icebreaker",
        "kind": "placed",
        "resources": {"lut": {"used": 2016, "available": 5280}},
        "clock_mhz": 12.0,
        "fmax_mhz": 33.7,
        "met": True,
        "seed": 1,
        "ii": 1000,
        "fps": 12000.0,
        "unrouted": [],
    }
    monkeypatch.setattr("xnorflow_boards.build.bitstream.build", lambda *_, **__: placed)
    words = " ".join(call("build", str(tmp_path)).stdout.split())
    assert "placed with the link to the host, which compile's estimate" in words
    assert "link to the host" not in call("build", str(tmp_path), "--core").stdout
