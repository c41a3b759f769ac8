"""A compiled design as an AXI peripheral, and its register map for the software that drives it."""

from __future__ import annotations

import json
import re

from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow_hw.axi import register_map as axi_map
from xnorflow_hw.axi.register_map import Register
from xnorflow_hw.axi.wrapper import AxiAccelerator, AxiSpec, emit_axi


def axi_spec(design: Design) -> AxiSpec:
    """Return the AXI wrapper of a design; BadInput if a register is too small for its numbers."""
    face = design.interface
    try:
        return AxiSpec(
            module=face.top,
            in_bytes=face.in_bytes,
            frame_beats=face.in_beats,
            frame_samples=face.frame,
            out_lanes=face.out_lanes,
            score_bits=face.out_bits,
            result_beats=face.out_beats,
            classes=face.classes,
            digest=bytes.fromhex(design.digest),
            interval=design.ii,
            latency=design.latency,
            edges=face.edges,
        )
    except ValueError as e:
        raise BadInput(f"{design.net.name} cannot have AXI registers: {e}") from e


def wrapper_name(design: Design) -> str:
    """Return the wrapper's module name: ``<design>_axi``, with more ``_`` if that is taken."""
    name = f"{design.spec.name}_axi"
    while re.search(rf"\bmodule {name}\b", design.verilog):
        name += "_"
    return name


def wrapper_verilog(design: Design) -> str:
    """Return the Verilog of the wrapper, which instantiates the design's own module."""
    return emit_axi(AxiAccelerator(axi_spec(design)), name=wrapper_name(design))


def register_table() -> str:
    """Return the register map as a Markdown table."""
    rows = ["| offset | register | access | |", "|---|---|---|---|"]
    for r in sorted(axi_map.registers(2), key=lambda r: r.offset):
        name = f"{r.name}, {r.words} words" if r.words > 1 else r.name
        rows.append(f"| {r.offset:#05x} | {name} | {r.access} | {r.text} |")
        rows += [f"| | {_bits(f.low, f.width)} {f.name} | | {f.text} |" for f in r.fields]
    return "\n".join(rows) + "\n"


def _bits(low: int, width: int) -> str:
    return f"bit {low}" if width == 1 else f"bits {low + width - 1}:{low}"


def c_header(design: Design) -> str:
    """Return a C header with the registers' offsets and masks and the design's constants."""
    spec = axi_spec(design)
    guard = f"{design.spec.name}_registers_h".upper()
    lines = [
        f"/* AXI registers of the xnorflow design {design.net.name}: byte offsets, field masks, */",
        "/* and the values that identify it. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
    ]
    for r in axi_map.registers(spec.edges):
        lines.append(f"#define XNORFLOW_{r.name}_OFFSET {r.offset:#05x} /* {_plain(r)} */")
        for field in r.fields:
            mask = f"XNORFLOW_{r.name}_{field.name}_MASK {field.mask:#010x}u"
            lines.append(f"#define {mask} /* {_ascii(field.text)} */")
    lines.append("")
    for name, value in spec.constants.items():
        if name != "DIGEST":
            lines.append(f"#define XNORFLOW_{name}_VALUE {value}u")
    digest = ", ".join(f"{byte:#04x}" for byte in spec.digest)
    lines += [f"#define XNORFLOW_DIGEST_VALUE {{ {digest} }}", "", "#endif", ""]
    return "\n".join(lines)


def python_module(design: Design) -> str:
    """Return a Python module with the same content as the C header, in dicts.

    It serves a PYNQ overlay, as in ``ip.read(OFFSETS["STATUS"])``.
    """
    spec = axi_spec(design)
    registers = axi_map.registers(spec.edges)
    offsets = {r.name: r.offset for r in registers}
    masks = {f"{r.name}.{f.name}": f.mask for r in registers for f in r.fields}
    values: dict[str, int | str] = spec.constants | {"DIGEST": spec.digest.hex()}
    parts = [
        f'"""AXI registers of the xnorflow design {design.net.name}."""\n',
        f"# Byte offsets. {axi_map.COUNTERS[0].name} to {axi_map.COUNTERS[-1].name} have 64 bits,"
        " the lower word first.",
        f"OFFSETS = {json.dumps(offsets, indent=4)}",
        "# Bits of registers with several fields.",
        f"MASKS = {json.dumps(masks, indent=4)}",
        "# What the constant registers hold; the digest's bytes are in the order of its digits.",
        f"VALUES = {json.dumps(values, indent=4)}",
    ]
    return "\n".join(parts) + "\n"


def _plain(register: Register) -> str:
    size = f"{register.words} words: " if register.words > 1 else ""
    return size + _ascii(register.text)


def _ascii(text: str) -> str:
    """Return a text without its Markdown marks."""
    return text.replace("`", "")
