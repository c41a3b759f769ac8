import json

import pytest
from click.testing import CliRunner

from xnorflow.cli import main
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
