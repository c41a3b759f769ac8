"""Carry chains of ECP5 without the extra cells that nextpnr would add at their ends.

If the first carry input or the last carry output of a chain is connected at all, nextpnr leads it
through a further cell of two LUTs. Yosys connects the last output to a net that nobody reads, and
the first input to a constant even where the first position ignores it. Both connections can go,
which saves up to four LUTs a chain.
"""

from __future__ import annotations

from typing import Any

DONT_CARE = ["x"]


def trim(netlist: dict[str, Any]) -> int:
    """Disconnect the unused carry ends of the CCU2C cells of a netlist.

    Parameters
    ----------
    netlist : dict
        Netlist in Yosys's JSON format; it is changed in place.

    Returns
    -------
    int
        Number of ends that were disconnected.
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
    """Whether the cell's first LUT is constant zero, so that its second one makes the carry out."""
    pins = cell["connections"]
    init = int(cell["parameters"]["INIT0"], 2)
    rows = list(range(16))
    for place, pin in enumerate("ABCD"):
        value = pins[f"{pin}0"]
        if value in (["0"], ["1"]):
            rows = [row for row in rows if row >> place & 1 == int(value[0])]
    return not any(init >> row & 1 for row in rows)
