"""Flip-flops move into ECP5's block RAM where its output register does the same, only there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from xnorflow_boards.flows.ram_registers import absorb

READ = """
module top(input clk, en, input [8:0] a, output [{last}:0] o);
  reg [{last}:0] mem [0:511]; reg [{last}:0] q, r;
  initial $readmemh("rom.hex", mem);
  always @(posedge clk) q <= mem[a];
  always @(posedge clk) r <= q;
  assign o = r;
endmodule
"""
WIDTHS = (36, 18)
Netlist = dict[str, Any]


@pytest.fixture(scope="module")
def netlists(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Return the netlist that Yosys makes of a ROM with a register."""
    pytest.importorskip("pyosys")
    made = {}
    for width in WIDTHS:
        folder = tmp_path_factory.mktemp("rom")
        words = (k * 2654435761 % 2**width for k in range(512))
        (folder / "rom.hex").write_text("".join(f"{word:x}\n" for word in words))
        (folder / "top.v").write_text(READ.format(last=width - 1))
        (folder / "run.ys").write_text(
            "read_verilog top.v\nsynth_ecp5 -top top\nwrite_json top.json\n"
        )
        script = "from pyosys import libyosys as y; y.run_pass('script run.ys', y.Design())"
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True)
        made[width] = (folder / "top.json").read_text()
    return made


def cells(netlist: Netlist, kind: str) -> list[Netlist]:
    return [c for c in netlist["modules"]["top"]["cells"].values() if c["type"] == kind]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_plain_register_moves(width: int, netlists: dict[int, str]) -> None:
    netlist = json.loads(netlists[width])
    (ram,) = cells(netlist, "DP16KD")
    after = {
        c["connections"]["DI"][0]: c["connections"]["Q"][0] for c in cells(netlist, "TRELLIS_FF")
    }
    before = dict(ram["connections"])
    assert len(after) == absorb(netlist) == width
    assert not cells(netlist, "TRELLIS_FF")
    # Every output now drives the net that its flip-flop drove.
    read = {pin for pin, bits in before.items() if bits[0] in after}
    assert len(read) == width
    assert all(ram["connections"][pin] == [after[before[pin][0]]] for pin in read)
    # A port of 36 bits uses the outputs of both ports.
    ports = {pin[2] for pin in read}
    assert len(ports) == 1 + (width > 18)
    for port in "AB":
        registered = port in ports
        assert ram["parameters"][f"REGMODE_{port}"] == ("OUTREG" if registered else "NOREG")
        assert not registered or ram["connections"][f"OCE{port}"] == ["1"]
    assert absorb(netlist) == 0


def enable(netlist: Netlist) -> None:
    register = cells(netlist, "TRELLIS_FF")[3]
    register["parameters"]["CEMUX"] = "CE"
    register["connections"]["CE"] = netlist["modules"]["top"]["ports"]["en"]["bits"]


def reset(netlist: Netlist) -> None:
    register = cells(netlist, "TRELLIS_FF")[3]
    register["connections"]["LSR"] = netlist["modules"]["top"]["ports"]["en"]["bits"]


def other_edge(netlist: Netlist) -> None:
    cells(netlist, "TRELLIS_FF")[3]["parameters"]["CLKMUX"] = "INV"


def other_clock(netlist: Netlist) -> None:
    register = cells(netlist, "TRELLIS_FF")[3]
    register["connections"]["CLK"] = netlist["modules"]["top"]["ports"]["en"]["bits"]


def read_before(netlist: Netlist) -> None:
    bit = cells(netlist, "TRELLIS_FF")[3]["connections"]["DI"]
    cells(netlist, "TRELLIS_FF")[5]["connections"]["M"] = bit
    cells(netlist, "TRELLIS_FF")[5]["port_directions"]["M"] = "input"


def output_before(netlist: Netlist) -> None:
    bit = cells(netlist, "TRELLIS_FF")[3]["connections"]["DI"]
    netlist["modules"]["top"]["ports"]["early"] = {"direction": "output", "bits": bit}


def cleared(netlist: Netlist) -> None:
    (ram,) = cells(netlist, "DP16KD")
    for port in "AB":
        ram["connections"][f"RST{port}"] = netlist["modules"]["top"]["ports"]["en"]["bits"]


@pytest.mark.parametrize(
    "change",
    [
        enable,
        reset,
        other_edge,
        other_clock,
        read_before,
        output_before,
        cleared,
    ],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize("width", WIDTHS)
def test_others_stay(
    width: int, change: Callable[[Netlist], None], netlists: dict[int, str]
) -> None:
    netlist = json.loads(netlists[width])
    change(netlist)
    before = json.dumps(netlist)
    assert absorb(netlist) == 0
    assert json.dumps(netlist) == before
