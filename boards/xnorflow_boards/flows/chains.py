"""Carry chains of ECP5 without the ends that nextpnr would add to them.

nextpnr feeds a chain's first carry in, and its last one out, through a further cell of two LUTs
each, if a net is there at all. Yosys leaves a net that nobody reads, and a constant where the first
position makes its carry by itself. Both are don't-cares; without them a chain saves up to four
LUTs.
"""

from __future__ import annotations

from typing import Any

DONT_CARE = ["x"]


def trim(netlist: dict[str, Any]) -> int:
    """Free unused ends of the CCU2C cells of a Yosys netlist in JSON; return how many.

    Parameters
    ----------
    netlist : dict
        Changed in place.
    """
    freed = 0
    for module in netlist["modules"].values():
        cells = module["cells"].values()
        used = {bit for port in module["ports"].values() for bit in port["bits"]}
        for cell in cells:
            directions = cell["port_directions"]
            for name, bits in cell["connections"].items():
                if directions.get(name) != "output":
                    used.update(bits)
        for cell in cells:
            if cell["type"] != "CCU2C":
                continue
            pins = cell["connections"]
            if pins.get("COUT", DONT_CARE) != DONT_CARE and pins["COUT"][0] not in used:
                pins["COUT"] = DONT_CARE
                freed += 1
            unread = pins.get("S0", DONT_CARE)[0] not in used
            if pins.get("CIN") in (["0"], ["1"]) and unread and _ignores_carry(cell):
                pins["CIN"] = DONT_CARE
                freed += 1
    return freed


def _ignores_carry(cell: dict[str, Any]) -> bool:
    """Whether the first LUT is zero for its constant pins: the carry out is then its other's."""
    pins = cell["connections"]
    init = int(cell["parameters"]["INIT0"], 2)
    rows = list(range(16))
    for place, pin in enumerate("ABCD"):
        value = pins[f"{pin}0"]
        if value in (["0"], ["1"]):
            rows = [row for row in rows if row >> place & 1 == int(value[0])]
    return not any(init >> row & 1 for row in rows)
