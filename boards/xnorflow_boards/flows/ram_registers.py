"""Output registers of ECP5's block RAMs, used in place of flip-flops in the fabric.

A block without its output register answers 5.6 ns after the clock, and the wires to the flip-flop
come on top; with the register it answers in a fraction of that. Yosys leaves the flip-flops in the
fabric. This pass moves them into the block wherever all outputs of a port that are read go to plain
flip-flops only. The data arrive in the same cycle as before, so nothing else changes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Cell = dict[str, Any]

WHOLE = 36
"""Width in bits of a port that uses the outputs of both ports."""


def _sides(cell: Cell) -> list[tuple[str, str]]:
    """Return (letters of the outputs, letter of the clock) of each port that is read by itself."""
    if cell["type"] != "DP16KD":
        return []
    wide = int(cell["parameters"]["DATA_WIDTH_B"], 2) == WHOLE
    return [("AB", "B")] if wide else [("A", "A"), ("B", "B")]


def absorb(netlist: dict[str, Any]) -> int:
    """Move flip-flops into the output registers of block RAMs.

    Parameters
    ----------
    netlist : dict
        Netlist in Yosys's JSON format; it is changed in place.

    Returns
    -------
    int
        Number of flip-flops that were moved.
    """
    return sum(_absorb(module) for module in netlist["modules"].values())


def _absorb(module: dict[str, Any]) -> int:
    cells: dict[str, Cell] = module["cells"]
    readers: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) != "output":
                for bit in bits:
                    readers[bit].append((name, port))
    ports = {bit for port in module["ports"].values() for bit in port["bits"]}
    moved = 0
    for cell in list(cells.values()):
        for outputs, port in _sides(cell):
            found = _registers(cell, outputs, port, cells, readers, ports)
            for output, register in found.items():
                cell["connections"][output] = cells.pop(register)["connections"]["Q"]
            if found:
                for letter in outputs:
                    cell["parameters"][f"REGMODE_{letter}"] = "OUTREG"
                    cell["connections"][f"OCE{letter}"] = ["1"]
            moved += len(found)
    return moved


def _registers(
    cell: Cell,
    outputs: str,
    port: str,
    cells: dict[str, Cell],
    readers: dict[int, list[tuple[str, str]]],
    ports: set[int],
) -> dict[str, str]:
    """Return the flip-flop behind each output of a port that is read, by the output's name.

    Empty if they cannot all move, because the port has one mode for all of its outputs.
    """
    pins = cell["connections"]
    plain = (
        pins[f"OCE{port}"] == ["1"]
        and pins[f"RST{port}"] == ["0"]
        and all(cell["parameters"][f"REGMODE_{letter}"] == "NOREG" for letter in outputs)
    )
    found: dict[str, str] = {}
    for output in (f"DO{letter}{k}" for letter in outputs for k in range(18)):
        bit = pins.get(output, ["x"])[0]
        behind = readers.get(bit, [])
        if isinstance(bit, str) or (not behind and bit not in ports):
            continue
        if not plain or bit in ports or len(behind) != 1:
            return {}
        register, pin = behind[0]
        if pin != "DI" or not _is_plain(cells[register], pins[f"CLK{port}"]):
            return {}
        found[output] = register
    return found


def _is_plain(register: Cell, clock: list[Any]) -> bool:
    """Whether a cell is a flip-flop on the clock's rising edge without enable and reset."""
    if register["type"] != "TRELLIS_FF":
        return False
    pins, options = register["connections"], register["parameters"]
    return (
        pins["CLK"] == clock
        and options.get("CLKMUX", "CLK") == "CLK"
        and (options.get("CEMUX", "1").strip() == "1" or pins.get("CE") == ["1"])
        and pins.get("LSR", ["0"]) == ["0"]
    )
