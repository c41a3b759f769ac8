import sys
from pathlib import Path

import pytest

from xnorflow.devices.board_names import (
    BOARDS,
    canonical,
    described,
    is_name,
    plugged_names,
    portable,
)
from xnorflow.devices.board_text import toml_text
from xnorflow.devices.tables import fpga, fpgas
from xnorflow.errors import BadInput

EXAMPLES = Path(__file__).parents[3] / "examples/boards"
BARE = {"name": "bare", "part": "LFE5U-45F"}


@pytest.fixture
def write(tmp_path):
    def write(**said):
        path = tmp_path / "my.toml"
        path.write_text(toml_text(BARE | said))
        return str(path)

    return write


def test_shipped_boards_are_named_in_any_case():
    assert fpga("ULX3S-85F") == fpgas()["ulx3s-85f"]
    assert canonical("ULX3S-85F") == "ulx3s-85f" and portable("ulx3s-85f") is None


def test_a_part_is_a_board_without_pins():
    device = fpga("lfe5u-45f")
    # nextpnr-ecp5's own totals for --45k.
    assert (device.board, device.part) == ("LFE5U-45F", "lfe5u-45f")
    assert (device.luts.use(), device.ram_blocks.use(), device.dsps.use()) == (43848, 108, 72)
    assert canonical("lfe5u-45f") == "LFE5U-45F" and portable("lfe5u-45f") is None
    assert fpga("iCE40UP5K").spram_number == 4
    assert not described("LFE5U-45F-6BG381C").linked


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_boards_by_their_path(path):
    device = fpga(str(path))
    assert device.board == path.stem
    assert canonical(str(path)) == str(path)
    assert portable(str(path)).text == path.read_text()


def test_a_path_stays_the_same_board_in_another_folder(write, monkeypatch):
    path = Path(write())
    monkeypatch.chdir(path.parent)
    assert canonical("my.toml") == str(path)


def test_a_changed_file_is_read_again(write):
    path = write()
    assert fpga(path).luts.use() == 43848
    assert write(part="LFE5U-85F") == path
    assert fpga(path).luts.use() == 83640


def test_capacities_are_those_of_the_file_where_it_states_them(write):
    stated = {"luts": 900, "source": "half of it is a soft core's"}
    device = fpga(write(capacities=stated))
    assert (device.luts.use(), device.ffs.use()) == (900, 43848)
    assert (device.luts.source.document, device.luts.source.status) == (stated["source"], "stated")
    assert device.luts.figure("LUT").kind == "estimated"


def test_an_unknown_part_needs_capacities(write):
    with pytest.raises(BadInput, match=r"xc7a200t.* are not known.*luts, ffs, ram_blocks in \[cap"):
        fpga(write(part="xc7a200tsbg484-1"))
    with pytest.raises(BadInput, match="What would work: ram_blocks in"):
        fpga(write(part="xc7a200tsbg484-1", capacities={"luts": 9, "ffs": 9}))
    device = fpga(
        write(part="xc7a200tsbg484-1", capacities={"luts": 10, "ffs": 20, "ram_blocks": 3})
    )
    assert (device.family.name, device.ram_blocks.use(), device.dsps.use()) == ("xilinx-7", 3, 0)


def test_spram_needs_the_flash_that_its_content_comes_from(write):
    up5k = {
        "part": "iCE40UP5K-SG48",
        "clock": {"pin": "35", "mhz": 12},
        "uart": {"rx": "6", "tx": "9"},
    }
    flash = {"cs": "16", "clk": "15", "copi": "14", "cipo": "17"}
    assert fpga(write(**up5k)).spram_number == 0
    assert fpga(write(**up5k, flash=flash)).spram_number == 4


def test_a_platform_is_a_board_with_the_part_of_its_class():
    pytest.importorskip("amaranth_boards")
    name = "amaranth_boards.ulx3s:ULX3S_45F_Platform"
    assert (fpga(name).board, fpga(name).part) == ("ULX3S_45F_Platform", "lfe5u-45f")
    assert portable(name).platform == name
    for name, part in (
        ("tang_primer_20k:TangPrimer20kPlatform", "gw2a-18"),
        ("arty_a7:ArtyA7_35Platform", "xc7a35t"),
        ("icestick:ICEStickPlatform", "ice40hx1k"),
    ):
        assert fpga(f"amaranth_boards.{name}").part == part


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package.boards:Mine", "there is no module no_such_package"),
        ("json:JSONDecoder", "json:JSONDecoder is no Amaranth platform; json has none"),
        (
            "amaranth_boards.ulx3s:ULX3S_54F_Platform",
            "no Amaranth platform; .*ULX3S_45F_Platform.*did you mean 'ULX3S_",
        ),
        ("ulx3s-25", "unknown board 'ulx3s-25'; known are .*; did you mean 'ulx3s-25f'"),
        ("LFE5U-46F", "did you mean 'LFE5U-45F'"),
        ("x" * 5000, "unknown board 'x{100}'; "),
        (3, "has to be named by a text, not 3"),
    ],
)
def test_other_names_are_answered_with_what_would_work(name, message):
    pytest.importorskip("amaranth_boards")
    with pytest.raises(BadInput, match=message):
        fpga(name)


def test_files_name_boards_but_no_paths_and_no_classes():
    assert is_name("ulx3s-85f") and is_name("GW1NR-LV9QN88PC6/I5")
    for name in ("../x", "x.toml", "os:path", "", None, 3, "a b"):
        assert not is_name(name)


PLUGIN = """
[xnorflow.boards]
their-board = their_boards:BOARD
{more}
[xnorflow.parts]
gw1nz-1 = their_boards:PART
"""
MODULE = '''
BOARD = """
name = "their-board"
part = "LFE5U-25F"
"""
PART = """
name = "gw1nz-1"
part = "GW1NZ-1"
[capacities]
luts = 1152
ffs = 864
ram_blocks = 4
source = "Gowin DS841"
"""
'''


def install(folder, monkeypatch, more=""):
    """Install a package as pip would: a module, and its metadata with entry points."""
    (folder / "their_boards.py").write_text(MODULE)
    info = folder / "their_boards-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their_boards\nVersion: 1\n")
    (info / "entry_points.txt").write_text(PLUGIN.format(more=more))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "their_boards", raising=False)


def test_boards_and_parts_of_other_packages(tmp_path, monkeypatch, write):
    install(tmp_path, monkeypatch)
    assert list(plugged_names(BOARDS)) == ["their-board"]
    assert fpga("Their-Board").part == "lfe5u-25f"
    assert canonical("Their-Board") == "their-board" and portable("their-board") is None
    assert fpga("GW1NZ-1").luts.use() == 1152
    assert fpga(write(part="GW1NZ-1")).luts.source.document == "Gowin DS841"
    with pytest.raises(BadInput, match="did you mean 'their-board'"):
        fpga("their-bord")


def test_a_package_that_does_not_load_breaks_its_own_boards_alone(tmp_path, monkeypatch):
    install(
        tmp_path,
        monkeypatch,
        "gone = their_boards:GONE\nother = their_boards:BOARD\nwrong = json:loads",
    )
    with pytest.raises(BadInput, match=r"the entry point 'gone' .* does not load"):
        fpga("gone")
    with pytest.raises(BadInput, match="name is 'their-board', not 'other'"):
        fpga("other")
    with pytest.raises(BadInput, match="is a function; it has to be the text"):
        fpga("wrong")
    assert fpga("their-board").board == "their-board"
