import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.devices.board_file import BoardFile
from xnorflow.devices.board_names import SHIPPED, shipped
from xnorflow.devices.board_text import template, toml_text
from xnorflow.devices.part_names import PartName
from xnorflow.errors import BadInput

GOOD = """
name = "my-board"
title = "My board"
part = "LFE5U-12F-6BG381C"
io = {IO_TYPE = "LVCMOS33", DRIVE = 4}

[clock]
pin = "G2"
mhz = 25

[uart]
rx = "M1"
tx = "L4"
io = {IO_TYPE = "LVCMOS33", PULLMODE = "UP"}

[reset]
pin = "R1"
active_low = true

[leds]
pins = ["B2", "C2"]

[loader]
board = "ulx3s"

[bitstream]
compress = true
"""


def parse(text):
    return BoardFile.parse(text, "my.toml")


def test_a_file_says_what_is_in_it():
    board = parse(GOOD)
    assert (board.name, board.part.device, board.clock_mhz) == ("my-board", "LFE5U-12F", 25)
    assert board.clock.io == (("IO_TYPE", "LVCMOS33"), ("DRIVE", 4))
    assert board.uart.io == (("IO_TYPE", "LVCMOS33"), ("PULLMODE", "UP"))
    assert board.reset.active_low and not board.leds.active_low
    assert [pin for _, pin in board.pins()] == ["G2", "M1", "L4", "R1", "B2", "C2"]
    assert board.loader.arguments == ("-b", "ulx3s")
    assert board.linked and board.compress
    assert board.text == GOOD


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "my-board"', "", "my.toml: name is missing; it has to be a name such as"),
        ('name = "my-board"', "name = 3", "name has to be a name .*, not 3"),
        ('name = "my-board"', 'name = "a b"', "name has to be a name of letters"),
        ('name = "my-board"', 'name = "../x"', "name has to be a name such as"),
        ("title =", "titel =", "titel is no key; known are name, title.*did you mean 'title'"),
        ("LFE5U-12F-6BG381C", "LFE5U-13X", "part cannot be: 'LFE5U-13X' is the part of no known"),
        ("LFE5U-12F-6BG381C", "LFE5U-12F", "part cannot be: LFE5U-12F names no package"),
        ("part =", 'family = "ecp6"\npart =', "family is 'ecp6'.*did you mean 'ecp5'"),
        ("part =", 'family = "gw2ar"\npart =', "family is 'gw2ar', but LFE5U.* 'ecp5'"),
        ("mhz = 25", "", "clock.mhz is missing; it has to be a number from 0.001 to 1000"),
        ("mhz = 25", "mhz = true", "clock.mhz has to be a number .*, not True"),
        ("mhz = 25", 'mhz = "25"', "clock.mhz has to be a number .*, not '25'"),
        ("mhz = 25", "mhz = nan", "clock.mhz has to be a number .*, not nan"),
        ("mhz = 25", f"mhz = {10**400}", "clock.mhz has to be .*not a number beyond 64 bits"),
        ("mhz = 25", "mhz = 25\nfrequency = 1", "clock.frequency is no key; known are pin, mhz"),
        ('pin = "G2"', 'pin = "G2\\nLOCATE"', "clock.pin has to be a name of letters, digits"),
        ('rx = "M1"', 'rx = "g2"', "uart.rx is the pin g2, which clock.pin has, too"),
        ('["B2", "C2"]', '["B2", "B2"]', "leds.pins is the pin B2, which the same list has"),
        ('["B2", "C2"]', '["B2", 2]', "leds.pins has to be a list of names .*it has 2"),
        ('["B2", "C2"]', "[]", "leds.pins has to have 1 to 64 names, not 0"),
        ("active_low = true", "active_low = 1", "reset.active_low has to be true or false, not 1"),
        ('[uart]\nrx = "M1"\ntx = "L4"', "[uat]", "uat is no key; .*did you mean 'uart'"),
        ("DRIVE = 4", "DRIVE = 4.5", "io.DRIVE has to be a name or a whole number"),
        ("DRIVE = 4", '"a b" = 4', "io.'a b' is not the name of an attribute"),
        ("DRIVE = 4", 'DRIVE = "$(x)"', "io.DRIVE has to be a name of letters"),
        ('board = "ulx3s"', 'board = "-o"', "loader.board has to be a name of openFPGALoader"),
        ('board = "ulx3s"', "dfu = true", "loader.board or cable has to say"),
        ("compress = true", "spi_as_gpio = true", "bitstream.spi_as_gpio is an option of gw"),
        ("compress = true", "compress = true\n[platform]\nclass = 'a:B'", "clock goes without"),
        ("compress = true", "compress = true\n[platform]\nclass = 'a b'", "platform.class has to"),
        ("compress = true", "compress = true\n[capacities]\nluts = -1", "capacities.luts has to"),
        ("compress = true", "compress = true\n[capacities]\nluts = 1e9", "not 1000000000.0"),
        ("[leds]", "[leds", "my.toml is no board file: "),
        ("[leds]", "x = " + "[" * 3000, "my.toml is no board file: "),
    ],
)
def test_hostile_files_are_answered_with_the_key_and_what_would_work(old, new, message):
    assert old in GOOD
    with pytest.raises(BadInput, match=message):
        parse(GOOD.replace(old, new))


def test_the_clock_and_the_serial_port_go_together():
    bare = 'name = "b"\npart = "iCE40HX8K-CT256"\n'
    assert not parse(bare).linked
    with pytest.raises(BadInput, match=r"uart is missing: the pins of \[clock\] and of the link"):
        parse(bare + '[clock]\npin = "J3"\nmhz = 12')
    with pytest.raises(BadInput, match=r"leds goes with the tables \[clock\] and \[uart\] or"):
        parse(bare + '[leds]\npins = ["J3"]')


STREAM = """
name = "b"
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


def test_byte_streams_instead_of_a_serial_port():
    board = parse(STREAM)
    assert board.linked and board.uart is None
    assert board.stream["rx_data0"] == "A16" and board.stream["tx_data7"] == "A6"
    for old, new, message in (
        ('"A16", ', "", "stream.rx_data has to be a list of 8 pins, bit 0 first, not 7"),
        ("rx_data = ", "tx_data2 = ", "stream.tx_data2 is no key"),
        ('"A9"', '"J3"', "stream.tx_data is the pin J3, which clock.pin has"),
        ("[stream]", '[uart]\nrx = "M1"\ntx = "L4"\n[stream]', r"stream goes without \[uart\]"),
        ('[clock]\npin = "J3"\nmhz = 12', "", r"clock is missing: .*\[uart\] or \[stream\]"),
    ):
        assert old in STREAM
        with pytest.raises(BadInput, match=message):
            parse(STREAM.replace(old, new))


def test_a_part_that_only_its_maker_knows_needs_its_family():
    text = 'name = "b"\nfamily = "xilinx-7"\npart = "xq7k325trf676-2M"\n'
    assert parse(text).part == PartName("xq7k325trf676-2M", "xilinx-7", "xq7k325trf676-2m")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(BadInput, match=r"no board file .*x.toml; 'xnorflow boards --show"):
        BoardFile.read(tmp_path / "x.toml")
    for name, content in (("a", b"\xff"), ("b", b"#" * 70_000)):
        path = tmp_path / f"{name}.toml"
        path.write_bytes(content)
        with pytest.raises(BadInput, match=f"{name}.toml is no board file: "):
            BoardFile.read(path)
    with pytest.raises(BadInput, match="folder"):
        BoardFile.read(tmp_path)


def test_the_templates_are_board_files():
    for part in ("LFE5U-45F", "GW1NR-LV9QN88PC6/I5"):
        assert parse(template(PartName.of(part))).part == PartName.of(part)
    filled = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and "Remove" not in line else line
        for line in template(PartName.of("LFE5U-45F-6BG381C")).splitlines()
    )
    assert parse(filled).uart["rx"] == "M1"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_named_as_their_boards(name):
    assert shipped(name).name == name
    assert shipped(name).url.startswith("https://") and shipped(name).host


def test_all_shipped_files_are_known():
    folder = Path(__file__).parents[3] / "sw/xnorflow/devices/boards"
    assert {path.stem for path in folder.iterdir()} == set(SHIPPED)


WORDS = st.text(max_size=20)
SIMPLE = WORDS | st.integers() | st.floats() | st.booleans() | st.lists(WORDS, max_size=3)
KEYS = st.sampled_from(
    [
        "name",
        "title",
        "part",
        "family",
        "die",
        "io",
        "clock",
        "uart",
        "reset",
        "leds",
        "flash",
        "loader",
        "bitstream",
        "platform",
    ]
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, SIMPLE | st.dictionaries(WORDS, SIMPLE, max_size=3), max_size=5))
def test_any_content_is_a_board_or_bad_input(content):
    from xnorflow.devices.board_file import _Reader
    from xnorflow.devices.toml_fields import Fields

    try:
        board = _Reader(Fields({"part": "LFE5U-45F"} | content, "x"), "").board()
    except BadInput as e:
        assert str(e).startswith("x: ") and str(e).isprintable()
    else:
        assert board.name


@given(st.dictionaries(st.sampled_from("abc"), WORDS | st.booleans() | st.integers(0, 9)))
def test_written_text_reads_back(content):
    printable = {k: v for k, v in content.items() if not isinstance(v, str) or v.isprintable()}
    assert tomllib.loads(toml_text(printable | {"t": printable})) == printable | {"t": printable}
