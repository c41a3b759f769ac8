"""Verilog of a single component, for linting and for small drivers."""

from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Const, Value

# Amaranth's own style: sums wider than their target, unused carries, registers with initial values.
STYLE = ("-Wno-WIDTH", "-Wno-UNUSEDSIGNAL", "-Wno-PROCASSINIT")


def to_verilog(dut: Any, name: str = "top") -> str:
    """Convert a component; the ports of streams are joined with one underscore."""
    ports = {}
    for path, _, member in dut.signature.flatten(dut):
        value = Value.cast(member)
        if not isinstance(value, Const) and len(value):
            ports["_".join(map(str, path))] = (value, None)
    return verilog.convert(dut, name=name, ports=ports, emit_src=False)
