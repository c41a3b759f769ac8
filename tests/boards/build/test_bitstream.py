import json

import pytest
from jsonschema import Draft202012Validator

from xnorflow import compile as compile_network
from xnorflow import demo, load
from xnorflow.design.design import Design
from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow.schemas import schema
from xnorflow_boards import board
from xnorflow_boards.build.bitstream import FOLDER, build
from xnorflow_boards.build.load_bitstream import program
from xnorflow_boards.build.open_build import OpenBuild
from xnorflow_boards.build.vivado_build import VivadoBuild
from xnorflow_boards.flows import ICE40, tools

pytest.importorskip("amaranth_boards")


@pytest.fixture(scope="module")
def net():
    return load(demo.model_path())


@pytest.fixture
def design(net, tmp_path):
    """Return the demo network for the smallest board, with few lanes."""
    made = compile_network(net, board="icebreaker", cycles=20_000, clock=12)
    made.write(tmp_path / "digits")
    return tmp_path / "digits"


@pytest.fixture(scope="module")
def ice40():
    """Skip the test if a tool for the smallest board is not installed."""
    for find in (tools.yosys, ICE40.find_nextpnr, ICE40.find_packer):
        try:
            find()
        except ToolMissing as error:
            pytest.skip(str(error))


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bad_requests_are_refused_and_leave_nothing(net, design, tmp_path):
    before = entries(design)
    for wish, error in (
        ({"board": "ulx4s"}, "unknown board 'ulx4s'"),
        ({"board": "zcu104", "core_only": True}, "no open tool flow that could place"),
        ({"seeds": 0}, "0 seeds"),
        ({"clock": 0}, "a clock of 0 MHz is not possible"),
        ({"clock": -1.0}, "a clock of -1.0 MHz is not possible"),
        ({"clock": float("nan")}, "a clock of nan MHz is not possible"),
        ({"clock": 10_000}, "a clock of 10000 MHz is not possible.* below 10,000"),
        ({"clock": "12"}, "a clock of '12' MHz is not possible; it has to be a number"),
        ({"clock": 500}, "the PLL cannot make 500 MHz from 12 MHz: it gives 16 to 275 MHz"),
        ({"baud": 100_000_000}, "off 100000000 baud"),
    ):
        with pytest.raises(BadInput, match=error):
            build(design, **wish)
        assert entries(design) == before
    with pytest.raises(BadInput, match="is not a design that xnorflow wrote"):
        build(tmp_path)
    compile_network(net, cycles=20_000).write(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="compiled for no board; name one with --board"):
        build(tmp_path / "nowhere")


def test_program_needs_a_bitstream(design):
    with pytest.raises(BadInput, match="holds no bitstream .*; make one with: xnorflow build"):
        program(design)
    (design / FOLDER).mkdir()
    (design / FOLDER / "build.json").write_text(
        json.dumps(
            {
                "format": "xnorflow-build-1",
                "bitstream": "digits.bin",
                "core_only": True,
                "board": "icebreaker",
            }
        )
    )
    with pytest.raises(BadInput, match="only measures the accelerator"):
        program(design)


BUILT = {
    "format": "xnorflow-build-1",
    "bitstream": "digits.bin",
    "core_only": False,
    "board": "icebreaker",
}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, r"digits\.bin is missing; make it with: xnorflow build"),
        ({"bitstream": "b" * 300}, "b is missing; make it with"),
        ({"bitstream": 5}, "its bitstream is 5, not the name of a file beside it"),
        ({"bitstream": ["digits.bin"]}, "its bitstream is .*, not the name of a file"),
        ({"bitstream": ""}, "its bitstream is '', not the name of a file"),
        ({"bitstream": "../digits.bin"}, "its bitstream is '../digits.bin', not the name"),
        ({"core_only": "no"}, "its core_only is 'no'"),
        ({"board": 5}, "its board is 5, which is no name"),
    ],
)
def test_program_names_the_bitstream_that_is_not_there(tmp_path, fields, error):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "build.json").write_text(json.dumps(BUILT | fields))
    with pytest.raises(BadInput, match=error):
        program(tmp_path)


@pytest.mark.slow
def test_demo_network_to_a_bitstream_on_icebreaker(net, design, ice40):
    steps = []
    result = build(design, seeds=2, progress=lambda step, doing: steps.append(step))
    folder = design / FOLDER
    assert result == json.loads((folder / "build.json").read_text())
    made = compile_network(net, board="icebreaker", cycles=20_000, clock=12)
    assert (result["kind"], result["design_digest"]) == ("placed", made.digest)
    assert (result["clock_mhz"], result["met"], result["ii"]) == (12, True, made.ii)
    assert result["fmax_mhz"] == max(run["fmax_mhz"] for run in result["seeds"])
    assert len(result["seeds"]) == 2
    assert result["fps"] == result["headline_fps"] == 12e6 / made.ii
    assert result["host"]["bytes_per_second"] == made.frame_bytes.rate(result["fps"])
    assert result["host"]["links"]["uart"]["title"] == "UART at 1 Mbaud"
    # As a user's validator would read it, beside the check of every write.
    Draft202012Validator(schema("build")).validate(json.loads((folder / "build.json").read_text()))
    for entry in result["resources"].values():
        assert 0 <= entry["used"] <= entry["available"]
    assert result["resources"]["lut"]["available"] == 5280
    assert 500 < result["resources"]["ff"]["used"] < result["resources"]["lut"]["used"]
    # Every bitstream of an iCE40UP5K has this length and begins with this preamble.
    data = (folder / "digits.bin").read_bytes()
    assert len(data) == 104_090
    assert b"\x7e\xaa\x99\x7e" in data[:64]
    assert [step["name"] for step in result["steps"]] == [
        "synthesis",
        "placement and routing, seed 1",
        "placement and routing, seed 2",
        "packing",
    ]
    assert all(step["seconds"] > 0 and step["peak_mib"] > 10 for step in result["steps"])
    assert steps[0] == "synthesis"
    assert entries(folder) == sorted(
        [
            "board.pcf",
            "build.json",
            "digits.bin",
            "packing.log",
            "synthesis.log",
            f"place-{result['seed']}.log",
        ]
    )


@pytest.mark.slow
def test_a_missed_clock_and_a_core_that_makes_its_own(design, ice40):
    before = entries(design)
    with pytest.raises(CheckFailed, match=r"misses its clock on icebreaker: [\d.]+ MHz of 99"):
        build(design, clock=99)
    assert entries(design) == before
    core = build(design, clock=99, core_only=True, check_clock=False, rip_up=True)
    assert (core["met"], core["core_only"], core["baud"]) == (False, True, None)
    assert core["fmax_mhz"] > 40 and core["rip_up"]
    assert "host" not in core and "headline_fps" not in core
    around = core["synthesised"]["around"]
    assert around["digits"] == 1
    assert sum(count for name, count in around.items() if name.startswith("SB_DFF")) < 100


@pytest.mark.slow
def test_what_does_not_fit_is_said(net, tmp_path, ice40):
    widest = {"PE": 32, "SIMD": 32}
    folding = tmp_path / "folding.json"
    folding.write_text(
        json.dumps(
            {
                "MVAU_0": {"PE": 16, "SIMD": 1},
                "MVAU_1": {"PE": 32, "SIMD": 16},
                "MVAU_2": widest,
                "MVAU_3": {"PE": 10, "SIMD": 32},
            }
        )
    )
    compile_network(net, "icebreaker", folding=folding, must_fit=False).write(tmp_path / "big")
    with pytest.raises(CheckFailed, match=r"does not fit icebreaker: it needs .*ICESTORM_"):
        build(tmp_path / "big")
    assert not (tmp_path / "big" / FOLDER).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "script", "fed", "counted"),
    [
        ("arty-a7-35", "board.tcl", 1_000_000, "link, UART and clock"),
        ("zcu104", "core.tcl", None, "AXI wrapper"),
    ],
)
def test_vivado_projects_with_resources_from_yosys(
    net, tmp_path, synthesiser, name, script, fed, counted
):
    # A design that is compiled for no board can be built for any.
    design = compile_network(net, cycles=20_000).write(tmp_path / "digits")
    result = build(design, board=name, clock=100)
    folder = design / FOLDER
    assert (result["fmax_mhz"], result["bitstream"], result["baud"]) == (None, None, fed)
    assert result["host"]["board_link"] == ("axi-dma" if fed is None else "uart")
    Draft202012Validator(schema("build")).validate(json.loads((folder / "build.json").read_text()))
    assert result["kind"] == "synthesised by Yosys, before packing and placement"
    assert 300 < result["resources"]["lut"]["used"] < 5000
    accelerator, around = (result["synthesised"][name] for name in ("accelerator", "around"))
    assert around["digits"] == 1 and accelerator["FDRE"] > 300
    assert result["resources"]["ff"]["used"] == sum(
        cells.get(kind, 0) for cells in (accelerator, around) for kind in ("FDRE", "FDSE")
    )
    assert f"the accelerator and its {counted}" in result["notes"][0]
    project = (folder / script).read_text()
    assert result["part"] in project
    for file in folder.glob("*.xdc"):
        assert "create_clock" in file.read_text()
        assert file.name in project
    for image in folder.glob("*.hex"):
        assert name != "zcu104" or image.name in project
    assert (folder / "digits.v").read_text().count("module digits") >= 1
    with pytest.raises(BadInput, match="loaded with its maker's tools"):
        program(design)


def test_a_build_takes_boards_of_its_own_flow_only(design, tmp_path):
    made = Design.read(design)
    with pytest.raises(TypeError, match="zcu104 is built by AMD UltraScale"):
        OpenBuild(made, board("zcu104"), tmp_path, lambda step, doing: None)
    with pytest.raises(TypeError, match="icebreaker is not"):
        VivadoBuild(made, board("icebreaker"), tmp_path, lambda step, doing: None)
