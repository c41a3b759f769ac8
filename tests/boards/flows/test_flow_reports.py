"""The readers of the tools' reports, on excerpts of real ones."""

import pytest

from xnorflow.devices.tables import fpga
from xnorflow_boards.flows import OPEN_FLOWS, vivado
from xnorflow_boards.flows.report import cells_of_log, fmax, netlist_cells, overfull, slowest_path

ECP5 = """\
Info: Logic utilisation before packing:
Info:     Total LUT4s:      3857/24288    15%
Info:           RAM LUTs:    268/ 3036     8%

Info: Device utilisation:
Info: \t          TRELLIS_IO:       3/    197     1%
Info: \t              DP16KD:       4/     56     7%
Info: \t          MULT18X18D:       0/     28     0%
Info: \t          TRELLIS_FF:    2712/  24288    11%
Info: \t        TRELLIS_COMB:    4331/  24288    17%
Info: \t        TRELLIS_RAMW:      71/   3036     2%
"""
ICE40 = """\
Info: Packing LUT-FFs..
Info:      568 LCs used as LUT4 only
Info:      517 LCs used as LUT4 and DFF
Info: Packing non-LUT FFs..
Info:      476 LCs used as DFF only
Info: Packing carries..
Info:       48 LCs used as CARRY only
Info: Device utilisation:
Info: \t         ICESTORM_LC:    1636/   5280    30%
Info: \t        ICESTORM_RAM:      14/     30    46%
Info: \t        ICESTORM_DSP:       0/      8     0%
"""
GOWIN = """\
Info: Device utilisation:
Info: \t                 VCC:       1/      1   100%
Info: \t                LUT4:    3656/   8640    42%
Info: \t                 ALU:     900/   6480    13%
Info: \t                 DFF:    2393/   6480    36%
Info: \t           RAM16SDP4:      69/    270    25%
Info: \t               BSRAM:       4/     26    15%
Info: \t           MULT18X18:       0/     20     0%
"""


@pytest.mark.parametrize(
    ("flow", "log", "lut", "ff", "bram", "dsp"),
    [
        ("ecp5", ECP5, (4331, 24288), (2712, 24288), (4, 56), (0, 28)),
        ("ice40", ICE40, (1636, 5280), (517 + 476, 5280), (14, 30), (0, 8)),
        ("gowin", GOWIN, (3656 + 4 * 69, 8640), (2393, 6480), (4, 26), (0, 20)),
    ],
)
def test_usage(flow, log, lut, ff, bram, dsp):
    usage = {f.name: f for f in OPEN_FLOWS}[flow].usage(cells_of_log(log), log)
    assert (usage.lut, usage.ff, usage.bram, usage.dsp) == (lut, ff, bram, dsp)
    assert usage.summary()["lut"] == {"used": lut[0], "available": lut[1]}


def test_two_small_multipliers_of_gowin_are_one():
    log = GOWIN.replace("0/     20     0%", "2/     20    10%")
    log += "Info: \t             MULT9X9:       3/     40     7%\n"
    usage = {f.name: f for f in OPEN_FLOWS}["gowin"].usage(cells_of_log(log), log)
    assert usage.dsp == (4, 20)


def test_what_does_not_fit_is_named():
    log = ECP5.replace("4/     56     7%", "60/     56   107%")
    assert overfull(cells_of_log(ECP5)) == []
    assert overfull(cells_of_log(log)) == ["DP16KD 60 of 56"]


def test_the_slowest_name_of_the_clock_counts():
    report = {
        "fmax": {
            "clk$a": {"achieved": 118.37, "constraint": 100.0},
            "clk$b": {"achieved": 97.5, "constraint": 100.0},
        }
    }
    assert fmax(report) == 97.5
    with pytest.raises(ValueError, match="no clock"):
        fmax({"fmax": {}})


def test_netlist_cells_by_module():
    cells = '{"SB_LUT4": 21, "SB_DFF": 3}'
    text = 'some lines\n{"modules": {"\\\\board": {"num_cells_by_type": ' + cells + "}}}"
    assert netlist_cells(text) == {"board": {"SB_DFF": 3, "SB_LUT4": 21}}


def test_xilinx_cells_are_weighed_by_what_they_take():
    cells = {
        "LUT2": 10,
        "LUT6": 5,
        "RAM32M": 3,
        "SRL16E": 2,
        "FDRE": 7,
        "FDSE": 1,
        "CARRY4": 9,
        "RAMB18E1": 1,
        "RAMB36E1": 2,
        "DSP48E1": 4,
    }
    usage = vivado.usage(fpga("arty-a7-35"), cells)
    assert (usage.lut, usage.ff, usage.bram, usage.dsp) == (
        (10 + 5 + 12 + 2, 20800),
        (8, 41600),
        (5, 100),
        (4, 90),
    )


def test_the_slowest_path_is_from_clock_to_clock():
    def part(start, end, delay, kind):
        return {"from": {"cell": start}, "to": {"cell": end}, "delay": delay, "type": kind}

    clock = "posedge clk"
    report = {
        "critical_paths": [
            {
                "from": clock,
                "to": clock,
                "path": [
                    part("a", "a", 0.5, "clk-to-q"),
                    part("a", "b", 1.25, "routing"),
                    part("b", "b", 0.25, "setup"),
                ],
            },
            {"from": clock, "to": clock, "path": [part("c", "d", 1.0, "routing")]},
            {"from": "<async>", "to": clock, "path": [part("pin", "e", 9.0, "routing")]},
            {"from": clock, "to": clock, "path": []},
        ]
    }
    path = slowest_path(report)
    assert path is not None
    assert path.summary() == {"from": "a", "to": "b", "logic_ns": 0.75, "routing_ns": 1.25}
    assert slowest_path({}) is None


def test_a_xilinx_lut_of_two_outputs_is_one_and_what_is_not_known_is_an_error() -> None:
    from xnorflow.errors import CheckFailed

    assert vivado.usage(fpga("pynq-z1"), {"LUT6": 3, "LUT6_2": 4, "CARRY4": 9}).lut[0] == 7
    memories = {"RAM32M": 1, "RAM64M": 1, "RAM64X1D": 1, "RAM128X1D": 1}
    assert vivado.usage(fpga("pynq-z1"), memories).lut[0] == 4 + 4 + 2 + 4
    assert vivado.usage(fpga("zcu104"), {"RAM64M8": 1, "RAM256X1D": 1}).lut[0] == 8 + 8
    with pytest.raises(CheckFailed, match="RAM256X1S"):
        vivado.usage(fpga("pynq-z1"), {"RAM256X1S": 1})
