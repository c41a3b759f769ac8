from fractions import Fraction

import pytest
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal

from xnorflow.devices.tables import fpgas
from xnorflow.errors import BadInput
from xnorflow_boards import board, boards
from xnorflow_boards.flows import ECP5, FLOWS, GOWIN, ULTRASCALE_PLUS, Plan, VivadoFlow
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.gateware.board_top import BoardTop
from xnorflow_boards.gateware.clocking import Clocking

pytest.importorskip("amaranth_boards")

OPEN = (
    "ulx3s-85f",
    "ulx3s-25f",
    "icebreaker",
    "orangecrab-85f",
    "colorlight-i5",
    "tangnano9k",
    "tangnano20k",
)
PINS = {  # Clock, receive and send, from the boards' own documents.
    "ulx3s-85f": ("G2", "M1", "L4"),
    "ulx3s-25f": ("G2", "M1", "L4"),
    "icebreaker": ("35", "6", "9"),
    "orangecrab-85f": ("A9", "N17", "M18"),
    "colorlight-i5": ("P3", "H18", "J17"),
    "tangnano9k": ("52", "18", "17"),
    "tangnano20k": ("4", "70", "69"),
    "arty-a7-35": ("E3", "A9", "D10"),
    "arty-a7-100": ("E3", "A9", "D10"),
}
CLOCKS = {"icebreaker": 24, "tangnano9k": 54, "tangnano20k": 108}
PLLS = {"ecp5": "EHXPLLL", "ice40": "SB_PLL40_PAD", "gowin": "rPLL", "vivado": "PLLE2_BASE"}


class Toggle(Elaboratable):
    """The smallest core that uses all of its ports."""

    def __init__(self):
        self.clk, self.rst, self.rx, self.tx = (Signal(name=n) for n in ("clk", "rst", "rx", "tx"))

    def elaborate(self, platform):
        m = Module()
        m.domains += ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        m.d.sync += self.tx.eq(self.tx ^ self.rx)
        return m


def planned(name, mhz):
    entry = board(name)
    platform = entry.platform()
    clocking = Clocking(entry.flow, platform, mhz)
    files = platform.prepare(BoardTop(clocking, Toggle()), name=TOP).files
    texts = {n: t if isinstance(t, str) else t.decode() for n, t in files.items()}
    return entry, clocking, Plan.read(platform, texts), texts


def test_the_boards_are_those_that_the_design_names():
    assert list(boards()) == list(fpgas())
    assert {name for name, entry in boards().items() if entry.open} == set(OPEN)
    with pytest.raises(BadInput, match="unknown board 'ulx4s'; known are ulx3s-85f"):
        board("ulx4s")


def test_parts_agree_with_the_devices_whose_capacities_are_used():
    for name, entry in boards().items():
        family, _, size = fpgas()[name].part.partition("-")
        plain = entry.part.lower().replace("-", "").replace("lv", "")
        assert plain.startswith((family + size).replace("-", "")), name


def test_every_flow_is_used_and_is_that_of_the_fpgas_family():
    # No shipped board has an UltraScale; it is a part by itself.
    entries = [*boards().values(), board("xcku115")]
    assert {entry.flow.title for entry in entries} == {flow.title for flow in FLOWS}
    families = {}
    for entry in entries:
        families.setdefault(entry.flow.title, set()).add(entry.device.family.name)
        assert isinstance(entry.flow, VivadoFlow) or entry.platform is not None
    assert families == {
        "ECP5": {"ecp5"},
        "iCE40": {"ice40-ultraplus"},
        "Gowin": {"gw1nr", "gw2ar"},
        "AMD 7-series": {"xilinx-7"},
        "AMD UltraScale": {"xilinx-ultrascale"},
        "AMD UltraScale+": {"xilinx-ultrascale-plus"},
    }


def test_a_clock_without_a_pll_for_it_is_refused():
    platform = board("arty-a7-35").platform()
    with pytest.raises(BadInput, match=r"no PLL of AMD UltraScale\+.*: .*--clock 100"):
        Clocking(ULTRASCALE_PLUS, platform, 150)
    assert Clocking(ULTRASCALE_PLUS, platform, 100).mhz == 100
    platform = board("tangnano9k").platform()
    platform.family = "GW5A-25"
    with pytest.raises(BadInput, match="PLL of GW5A-25 are not known; known are .*--clock 27"):
        Clocking(GOWIN, platform, 54)


@pytest.mark.parametrize("name", PINS)
def test_constraints_name_the_pins(name):
    entry, clocking, plan, files = planned(name, CLOCKS.get(name, 50))
    if entry.open:
        constraints = files[entry.flow.constraints]
        assert plan.commands[entry.flow.packer]
    else:
        constraints = files[f"{TOP}.xdc"]
    patterns = {
        "ecp5": 'LOCATE COMP "{0}" SITE "{1}";',
        "ice40": "set_io {0} {1}",
        "gowin": 'IO_LOC "{0}" {1};',
        "vivado": 'set_property LOC {1} [get_ports "{0}"]',
    }
    clock = f"{plan.platform.default_clk}_0__io"
    for port, pin in zip((clock, "uart_0__rx__io", "uart_0__tx__io"), PINS[name], strict=True):
        assert patterns[entry.flow.name].format(port, pin) in constraints
    source = files.get(f"{TOP}.il") or files[f"{TOP}.v"]
    assert PLLS[entry.flow.name] in source
    assert clocking.mhz > 0


@pytest.mark.parametrize("name", ["ulx3s-25f", "icebreaker", "tangnano9k", "arty-a7-35"])
def test_the_clock_of_the_pin_needs_no_pll(name):
    source = {"ulx3s-25f": 25, "icebreaker": 12, "tangnano9k": 27, "arty-a7-35": 100}[name]
    entry, clocking, _, files = planned(name, source)
    assert (clocking.mhz, clocking.setting) == (Fraction(source), None)
    assert PLLS[entry.flow.name] not in (files.get(f"{TOP}.il") or files[f"{TOP}.v"])


def test_gowin_is_placed_by_himbaechel_with_the_dies_name():
    _, _, plan, _ = planned("tangnano20k", 81)
    assert "family=GW2A-18C" in GOWIN.place(plan)
    arguments = GOWIN.pack(plan)
    assert arguments[arguments.index("-d") + 1] == "GW2A-18C"


def test_dfu_suffix_is_that_of_the_standard():
    _, _, plan, _ = planned("orangecrab-85f", 48)
    data = ECP5.finish(plan, b"bitstream")
    suffix = data[len(b"bitstream") :]
    assert len(suffix) == 16
    # bcdDevice, idProduct, idVendor, bcdDFU, signature, length: DFU 1.1, table B.1.
    assert suffix[:12] == bytes.fromhex("ffff f05a 0912 0001") + b"UFD" + b"\x10"
    crc = 0xFFFFFFFF
    for byte in data[:-4]:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    assert suffix[12:] == crc.to_bytes(4, "little")
    _, _, plain, _ = planned("ulx3s-25f", 25)
    assert ECP5.finish(plain, b"bitstream") == b"bitstream"
