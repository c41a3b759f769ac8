"""ECP5's block RAM with the registers that it has behind its outputs.

Without its own register a block answers 5.6 ns after the clock, with it in a fraction of that; a
register out of the fabric stands behind the wires. Yosys leaves those registers in the fabric. Here
they move into the blocks, where all of a block's outputs that are read go to nothing but plain
registers: it is the same cycle, so nothing else changes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Cell = dict[str, Any]

WHOLE = 36
"""Width of a port that has the outputs of both."""


def _sides(cell: Cell) -> list[tuple[str, str]]:
    """Give the ports that are read by themselves: letters of their outputs, that of their clock."""
    if cell["type"] != "DP16KD":
        return []
    wide = int(cell["parameters"]["DATA_WIDTH_B"], 2) == WHOLE
    return [("AB", "B")] if wide else [("A", "A"), ("B", "B")]


def absorb(netlist: dict[str, Any]) -> int:
    """Move registers into the blocks of a Yosys netlist in JSON; return how many.

    Parameters
    ----------
    netlist : dict
        Changed in place.
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
    """Give the register behind each output that is read; none if they cannot all move."""
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
    """Whether a cell is a register on that clock's rising edge that is never held nor reset."""
    if register["type"] != "TRELLIS_FF":
        return False
    pins, options = register["connections"], register["parameters"]
    return (
        pins["CLK"] == clock
        and options.get("CLKMUX", "CLK") == "CLK"
        and (options.get("CEMUX", "1").strip() == "1" or pins.get("CE") == ["1"])
        and pins.get("LSR", ["0"]) == ["0"]
    )
