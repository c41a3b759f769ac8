"""Unused ends of ECP5's carry chains are disconnected, and used ones are not."""

import copy

import pytest

from xnorflow_boards.flows.carry_ends import DONT_CARE, trim


def netlist(init="0000000000000110", pins="11", reader=False, port=()):
    """Build a chain of one cell: A0 and B0 are nets, `pins` has C0 and D0, and CIN is constant."""
    nets = {
        "A0": [2],
        "B0": [3],
        "C0": [pins[0]],
        "D0": [pins[1]],
        "CIN": ["0"],
        "S0": [4],
        "S1": [5],
        "COUT": [6],
    }
    outputs = ("S0", "S1", "COUT")
    cells = {
        "u": {
            "type": "CCU2C",
            "parameters": {"INIT0": init},
            "connections": nets,
            "port_directions": {n: "output" if n in outputs else "input" for n in nets},
        }
    }
    if reader:
        cells["r"] = {
            "type": "LUT4",
            "parameters": {},
            "connections": {"A": [6], "B": [4]},
            "port_directions": {"A": "input", "B": "input"},
        }
    ports = {"p": {"direction": "output", "bits": list(port)}}
    return {"modules": {"top": {"ports": ports, "cells": cells}}}


@pytest.mark.parametrize(
    ("made", "cin", "cout"),
    [
        (netlist(), True, True),
        (netlist(init="1001011010101010"), False, True),  # adds
        (netlist(pins="01"), True, True),  # the LUT's upper half is zero, too
        (netlist(pins="00"), False, True),  # here it is not
        (netlist(reader=True), False, False),
        (netlist(port=[6]), True, False),
        (netlist(port=[4]), False, True),
    ],
)
def test_only_unused_ends_are_freed(made, cin, cout):
    before = copy.deepcopy(made)
    assert trim(made) == cin + cout
    pins = made["modules"]["top"]["cells"]["u"]["connections"]
    old = before["modules"]["top"]["cells"]["u"]["connections"]
    assert pins["CIN"] == (DONT_CARE if cin else old["CIN"])
    assert pins["COUT"] == (DONT_CARE if cout else old["COUT"])
    assert {p: b for p, b in pins.items() if p not in ("CIN", "COUT")} == {
        p: b for p, b in old.items() if p not in ("CIN", "COUT")
    }
    assert trim(made) == 0
