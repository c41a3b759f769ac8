"""Boards that are described by a file, a platform's class or a part, down to their constraints."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Signal
from click.testing import CliRunner

from xnorflow import compile as compile_network
from xnorflow import demo, load
from xnorflow.cli import main
from xnorflow.devices.board_file import BoardFile
from xnorflow.devices.board_names import SHIPPED
from xnorflow.errors import BadInput, ToolMissing
from xnorflow_boards import board
from xnorflow_boards.build.bitstream import build
from xnorflow_boards.build.load_bitstream import program
from xnorflow_boards.flows import ECP5, GOWIN, ICE40, XILINX_7, Plan, tools
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.gateware.board_top import BoardTop, Harness, linked
from xnorflow_boards.gateware.clocking import Clocking
from xnorflow_hw.link.link_spec import MAX_WINDOW

from .test_catalogue import Toggle

pytest.importorskip("amaranth_boards")

EXAMPLES = Path(__file__).parents[2] / "examples/boards"
OWN = """
from amaranth_boards.ulx3s import ULX3S_12F_Platform
import builtins
builtins.imported_platform = True


class OwnPlatform(ULX3S_12F_Platform):
    pass


class WithoutPort(ULX3S_12F_Platform):
    resources = ULX3S_12F_Platform.resources[:1]
"""


def call(*arguments):
    return CliRunner().invoke(main, [str(word) for word in arguments])


def planned(name, mhz, **options):
    entry = board(str(name), **options)
    platform = entry.platform()
    clocking = Clocking(entry.flow, platform, mhz)
    files = platform.prepare(BoardTop(clocking, Toggle()), name=TOP).files
    texts = {n: t if isinstance(t, str) else t.decode() for n, t in files.items()}
    return entry, Plan.read(platform, texts) if entry.open else None, texts


@pytest.fixture
def described(tmp_path):
    def write(text, name="my.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Install a user's module with platforms, which shows when it is imported."""
    import builtins

    (tmp_path / "own_platforms.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda: hasattr(builtins, "imported_platform")
    sys.modules.pop("own_platforms", None)
    if hasattr(builtins, "imported_platform"):
        del builtins.imported_platform


def test_pins_become_constraints():
    entry, _, files = planned(EXAMPLES / "ulx3s-12f.toml", 100)
    assert (entry.name, entry.flow, entry.part) == ("ulx3s-12f", ECP5, "LFE5U-12F-6BG381C")
    # The pins are those that amaranth-boards has for this board.
    lines = files[f"{TOP}.lpf"]
    for port, pin in (("clk25_0__io", "G2"), ("uart_0__rx__io", "M1"), ("uart_0__tx__io", "L4")):
        assert f'LOCATE COMP "{port}" SITE "{pin}";' in lines
        assert f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33;' in lines
    assert 'LOCATE COMP "status_led_0__io" SITE "B2";' in lines
    assert "EHXPLLL" in files[f"{TOP}.il"]


def test_the_pll_of_an_ice40_is_at_the_pad_or_not(described):
    text = (EXAMPLES / "hx8k-evn.toml").read_text()
    entry, plan, files = planned(described(text), 48)
    assert entry.flow is ICE40 and "--hx8k" in ICE40.place(plan)
    assert "set_io clk12_0__io J3" in files[f"{TOP}.pcf"]
    assert "SB_PLL40_CORE" in files[f"{TOP}.il"]
    _, _, files = planned(described(text + "\n[bitstream]\npll_at_pad = true\n"), 48)
    assert "SB_PLL40_PAD" in files[f"{TOP}.il"]


def test_gowin_gets_the_die_of_the_part(described):
    text = (EXAMPLES / "tangprimer20k.toml").read_text()
    entry, plan, files = planned(EXAMPLES / "tangprimer20k.toml", 81)
    assert entry.flow is GOWIN and "family=GW2A-18C" in GOWIN.place(plan)
    assert 'IO_LOC "uart_0__rx__io" T13;' in files[f"{TOP}.cst"]
    assert "PULL_MODE=UP" in files[f"{TOP}.cst"]
    with pytest.raises(BadInput, match="GW2A-18 are not known; known are those of GW1NR-9C C6/I5"):
        planned(described('die = "GW2A-18"\n' + text), 81)
    slower = described(text.replace("C8/I7", "C7/I6"))
    with pytest.raises(BadInput, match="GW2A-18C are not known at speed grade C7/I6.*--clock 27"):
        planned(slower, 81)
    assert planned(slower, 27)
    with pytest.raises(BadInput, match="tangprimer20k makes no platform: Series"):
        planned(described('die = "GW1N-9"\n' + text), 27)


def test_options_reset_and_flash_of_a_board(described):
    text = (EXAMPLES / "ulx3s-12f.toml").read_text()
    more = '[reset]\npin = "R1"\nactive_low = true\n[bitstream]\ncompress = true\n'
    _, plan, files = planned(described(f"{text}\n{more}"), 25)
    assert 'LOCATE COMP "rst_0__io" SITE "R1";' in files[f"{TOP}.lpf"]
    assert "--compress" in ECP5.pack(plan)
    text = (EXAMPLES / "tangprimer20k.toml").read_text()
    _, plan, _ = planned(described(f"{text}\n[bitstream]\nspi_as_gpio = true\n"), 27)
    assert "--mspi_as_gpio" in GOWIN.pack(plan)
    flash = '\n[flash]\ncs = "R12"\nclk = "R11"\ncopi = "P12"\ncipo = "P11"\n'
    text = (EXAMPLES / "hx8k-evn.toml").read_text()
    platform = board(str(described(text + flash))).platform()
    assert ("spi_flash_1x", 0) in platform.resources


STREAM = """
name = "streams"
part = "iCE40HX8K-CT256"
[clock]
pin = "J3"
mhz = 12
[stream]
clk = "N16"
rx_data = ["A16", "A15", "B15", "B13", "B14", "B12", "B11", "A11"]
rx_valid = "B10"
rx_ready = "A10"
tx_data = ["C9", "A9", "B9", "B8", "A7", "B7", "C7", "A6"]
tx_valid = "C6"
tx_ready = "B6"
"""


def test_the_pins_of_byte_streams_lead_to_the_link(described, net):
    entry = board(str(described(STREAM)))
    design = compile_network(net, str(described(STREAM)), cycles=20_000, clock=12)
    platform = entry.platform()
    core = linked(design, 12e6, None)
    assert core.uart is None and core.spec.window == MAX_WINDOW
    platform.add_file("digits.v", design.verilog)
    clocking = Clocking(entry.flow, platform, 12)
    files = platform.prepare(BoardTop(clocking, core), name=TOP).files
    for port, pin in (("rx_data", "A16"), ("tx_data", "C9")):
        assert f"set_io byte_stream_0__{port}__io[0] {pin}\n" in files[f"{TOP}.pcf"]
    assert "set_io byte_stream_0__clk__io N16" in files[f"{TOP}.pcf"]
    core_wires = wires(files[f"{TOP}.il"], "core")
    for name, port in (
        ("rx_data", "i"),
        ("rx_valid", "i"),
        ("tx_ready", "i"),
        ("rx_ready", "o"),
        ("tx_data", "o"),
        ("tx_valid", "o"),
    ):
        pin = wires(files[f"{TOP}.il"], f"pin_{name}")
        joined = {key: wire for key, wire in pin.items() if "byte_stream" not in key}
        assert len(joined) == (8 if name == "rx_data" else 1)
        for key, wire in joined.items():
            assert wire in core_wires.values() if key == port else core_wires[key] == wire


def wires(text, cell):
    """Return what the ports of a cell of the top module are connected to, in RTLIL."""
    body = re.search(rf"  cell \\{TOP}\.\w+ \\{cell}\n(.*?)\n  end\n", text, re.DOTALL)[1]
    return dict(re.findall(r"connect \\(\S+) (.*)", body))


def test_byte_streams_and_the_harness(described):
    entry = board(str(described(STREAM)))
    platform = entry.platform()
    clocking = Clocking(entry.flow, platform, 12)

    class Probe(Harness):
        def __init__(self):
            self.clk, self.rst, self.rx, self.tx = (Signal() for _ in range(4))

        elaborate = Toggle.elaborate

    files = platform.prepare(BoardTop(clocking, Probe()), name=TOP).files
    assert "set_io byte_stream_0__tx_valid__io C6" in files[f"{TOP}.pcf"]


def test_an_amd_board_with_pins_gets_a_vivado_project(described):
    entry, _, files = planned(
        described(
            'name = "basys"\npart = "xc7a35tcpg236-1"\nio = {IOSTANDARD = "LVCMOS33"}\n'
            '[clock]\npin = "W5"\nmhz = 100\n[uart]\nrx = "B18"\ntx = "A18"\n'
        ),
        100,
    )
    assert entry.flow is XILINX_7 and entry.part == "xc7a35tcpg236-1"
    assert 'set_property LOC B18 [get_ports "uart_0__rx__io"]' in files[f"{TOP}.xdc"]
    assert "-part xc7a35tcpg236-1" in files[f"{TOP}.tcl"]


@pytest.mark.parametrize("name", [n for n in SHIPPED if board(n).open])
def test_shipped_files_work_outside_the_package(name, described):
    path = described(board(name).file.text)
    source = float(board(name).platform().default_clk_frequency) / 1e6
    _, _, there = planned(path, source)
    _, _, here = planned(name, source)
    assert there == here


def test_a_class_of_another_package_is_imported_only_on_demand(own, described):
    path = described(
        'name = "own"\npart = "LFE5U-12F-6BG381C"\n'
        '[platform]\nclass = "own_platforms:OwnPlatform"\n'
    )
    entry = board(str(path))
    assert entry.device.luts.use() == 24288
    with pytest.raises(BadInput, match="run the code of that package.*--import-platform"):
        entry.platform()
    assert not own()
    assert planned(path, 25, import_platform=True) and own()


def test_a_class_that_is_named_itself_is_imported(own):
    assert planned("own_platforms:OwnPlatform", 25) and own()
    with pytest.raises(BadInput, match=r"WithoutPort has no serial port.*\[uart\]"):
        board("own_platforms:WithoutPort").platform()


def test_a_serial_port_is_added_to_a_class(own, described):
    text = 'name = "own"\npart = "LFE5U-12F-6BG381C"\n[platform]\nclass = "own_platforms:{}"\n'
    path = described(text.format("WithoutPort") + '[uart]\nrx = "M1"\ntx = "L4"\n')
    _, _, files = planned(path, 25, import_platform=True)
    assert 'LOCATE COMP "uart_0__rx__io" SITE "M1";' in files[f"{TOP}.lpf"]
    path = described(text.format("OwnPlatform") + '[uart]\nrx = "M1"\ntx = "L4"\n')
    with pytest.raises(BadInput, match="serial port of own does not go with"):
        board(str(path), import_platform=True).platform()


@pytest.fixture(scope="module")
def net():
    return load(demo.model_path())


@pytest.fixture(scope="module")
def parts(net, tmp_path_factory):
    """Return the folder of a design for a part alone."""
    made = compile_network(net, "LFE5U-45F", cycles=20_000, clock=25)
    return made.write(tmp_path_factory.mktemp("part") / "digits")


def test_a_bitstream_needs_package_and_pins(parts):
    with pytest.raises(BadInput, match="LFE5U-45F names no package, which a bitstream needs"):
        build(parts)
    with pytest.raises(BadInput, match="without the pins .*--core.*boards --show LFE5U-45F-6BG"):
        build(parts, board="LFE5U-45F-6BG381C")
    for core in (False, True):
        with pytest.raises(BadInput, match="LFE5U-45F names no package"):
            build(parts, board="LFE5U-45F", core_only=core)
    assert not (parts / "build").exists()


@pytest.fixture(scope="module")
def ice40():
    """Skip the test if a tool for iCE40 is not installed."""
    for find in (tools.yosys, ICE40.find_nextpnr, ICE40.find_packer):
        try:
            find()
        except ToolMissing as error:
            pytest.skip(str(error))


def test_a_described_board_is_built_and_its_folder_knows_it(net, ice40, described, tmp_path):
    path = described((EXAMPLES / "hx8k-evn.toml").read_text())
    folder = compile_network(net, str(path), cycles=20_000, clock=12).write(tmp_path / "digits")
    path.unlink()
    made = build(folder)
    assert made["met"] and made["resources"]["lut"]["available"] == 7680
    assert (made["board"], made["board_file"]) == ("hx8k-evn", "board.toml")
    assert json.loads((folder / "build/build.json").read_text())["board_file"] == "board.toml"
    assert BoardFile.read(folder / "build/board.toml").loader.board == "ice40_generic"


def test_a_part_with_its_package_is_measured_alone(net, ice40, tmp_path):
    part = "iCE40HX8K-CT256"
    folder = compile_network(net, part, cycles=20_000, clock=25).write(tmp_path / "digits")
    made = build(folder, core_only=True)
    assert made["met"] and made["core_only"] and made["board"] == part
    assert "set_io" not in (folder / "build/board.pcf").read_text()
    gowin = "GW1NR-LV9QN88PC6/I5"
    with pytest.raises(BadInput, match=f"{gowin} is described without the pins .*: a board file"):
        lacks = compile_network(net, gowin, cycles=20_000).write(tmp_path / "gowin")
        build(lacks, core_only=True)


def test_program_finds_the_board_in_the_folder(parts, tmp_path):
    folder = Path(shutil.copytree(parts, tmp_path / "digits"))
    (folder / "build").mkdir()
    (folder / "build/board.toml").write_text((EXAMPLES / "ulx3s-12f.toml").read_text())
    content = {
        "format": "xnorflow-build-1",
        "bitstream": "digits.bit",
        "core_only": False,
        "board": "ulx3s-12f",
        "board_file": "board.toml",
    }
    for said, message in (
        ({}, "digits.bit is missing"),
        ({"board_file": "../board.toml"}, "its board_file is '../board.toml', not 'board.toml'"),
        ({"board_file": None, "board": "antigravity:X"}, "'antigravity:X', which is no name"),
    ):
        (folder / "build/build.json").write_text(json.dumps(content | said))
        with pytest.raises(BadInput, match=message):
            program(folder)
    assert "antigravity" not in sys.modules


def test_commands_take_files_and_parts(tmp_path):
    model, path = demo.model_path(), EXAMPLES / "ulx3s-12f.toml"
    small = (model, "--cycles", 20_000)
    result = call("compile", *small, "-o", tmp_path / "out", "--board", path)
    assert result.exit_code == 0 and "of ulx3s-12f" in " ".join(result.stdout.split())
    assert (tmp_path / "out/board.toml").exists()
    result = call("compare", *small, "--fpga", f"ulx3s-25f,{path}", "--part", "lfe5u-45f", "--json")
    rows = json.loads(result.stdout)["rows"]
    assert [row["device"] for row in rows] == ["ulx3s-25f", "ulx3s-12f", "LFE5U-45F"]
    result = call("inspect", model, "--passes", "--board", path)
    assert result.exit_code == 0


def test_wrong_boards_are_one_message(tmp_path):
    model = demo.model_path()
    for words, message in (
        (("--board", "ulx3s-25"), "did you mean 'ulx3s-25f'"),
        (("--board", tmp_path / "none.toml"), "there is no board file"),
        (("--part", "LFE5U-45"), "is the part of no known family"),
        (("--part", "LFE5U-45F", "--board", "ulx3s-25f"), "leave out --board"),
    ):
        result = call("compile", model, "-o", tmp_path / "out", *words)
        assert result.exit_code == 2 and "Traceback" not in result.output
        assert message in " ".join(result.output.split())
    assert call("compare", model).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_boards_shows_files_to_begin_with(tmp_path):
    for name in ("colorlight-i5", "amaranth_boards.icestick:ICEStickPlatform", "iCE40HX1K-TQ144"):
        path = tmp_path / "shown.toml"
        path.write_text(call("boards", "--show", name).stdout)
        assert BoardFile.read(path).part == board(name).file.part
    shown = json.loads(call("boards", "--show", "colorlight-i5", "--json").stdout)
    assert shown["clock"] == {"pin": "P3", "mhz": 25}


def test_doctor_lists_the_tools_of_one_board():
    result = call("doctor", "--board", EXAMPLES / "hx8k-evn.toml", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["hx8k-evn"]["version"] == "iCE40HX8K-CT256"
    assert "icepack" in rows and "ecppack" not in rows
