"""Writes an accelerator as Verilog: one self-contained file, and large ROM images beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xnorflow_hw.base import names
from xnorflow_hw.base.conversion import convert
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec import AcceleratorSpec
from xnorflow_hw.top import processes
from xnorflow_hw.top.accelerator import Accelerator

_ESCAPED = re.compile(r"\\(\S+) ")
_INITIALISED = re.compile(r"^(  reg (?:\[[^\]]*\] )?)(\w+) = ([^;]+);$", re.MULTILINE)
_NOT = re.compile(r"= ! (\w[^;]*);$", re.MULTILINE)
_LINT_OFF = """\
/* verilator lint_save */
/* verilator lint_off DECLFILENAME */ // One file holds all modules.
/* verilator lint_off UNUSEDSIGNAL */ // Yosys declares carries and bits that nothing reads.
/* verilator lint_off WIDTHEXPAND */  // Yosys leaves zero-extension to the language.
"""
_LINT_ON = "/* verilator lint_restore */\n"


@dataclass(frozen=True)
class Emitted:
    """What was generated for an accelerator.

    Parameters
    ----------
    verilog : str
        Text of the one Verilog file.
    images : dict of str to str
        Hex images of memories, by file name.
    sections : tuple of tuple of int
        Words to be loaded into each SPRAM; empty where there is none.
    """

    verilog: str
    images: dict[str, str]
    sections: tuple[tuple[int, ...], ...] = ()


def emit(spec: AcceleratorSpec, *, header: str = "", taps: bool = False) -> Emitted:
    """Write the Verilog of an accelerator.

    The text depends on the arguments alone.

    Parameters
    ----------
    spec : AcceleratorSpec
        Spec of the accelerator.
    header : str
        Lines to put into the comment at the top.
    taps : bool
        Whether to add outputs that show the transfers of each stage; see `Accelerator`.

    Returns
    -------
    Emitted
        The Verilog file, and the images that have to lie beside it.
    """
    top = Accelerator(spec, style="verilog", taps=taps)
    text = convert(top, name=spec.name, ports=top.ports)
    parts = [_header(spec, header, len(top.sections)), _LINT_OFF, _readable(text)]
    if top.modules:
        parts.append(PROLOGUE)
        parts += [top.modules[name] for name in sorted(top.modules)]
    parts.append(_LINT_ON)
    return Emitted("\n".join(parts), dict(sorted(top.images.items())), top.sections)


def _readable(text: str) -> str:
    """Return Yosys's text with plain names, joined processes and nothing that lint warns about."""
    text = processes.join(plain_names(text))
    text = _INITIALISED.sub(r"\1\2;\n  initial \2 = \3;", text)
    return _NOT.sub(r"= ~|\1;", text)


def plain_names(text: str) -> str:
    r"""Return the text with names such as ``\net.conv0.buffer`` turned into ``net_conv0_buffer``.

    An escaped name that has no free plain form stays as it is.
    """
    taken = set(re.findall(r"[A-Za-z_][A-Za-z0-9_$]*", _ESCAPED.sub(" ", text)))
    plain: dict[str, str] = {}
    for name in sorted(set(_ESCAPED.findall(text))):
        candidate = names.plain(re.sub(r"[^A-Za-z0-9_]", "_", name))
        if re.match(r"[A-Za-z_]", candidate) and candidate not in taken:
            plain[name] = candidate
            taken.add(candidate)
    return _ESCAPED.sub(lambda m: plain.get(m[1], m[0]), text)


def _count(number: int, what: str) -> str:
    """Return a number with its noun, in the plural if needed."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def _load_port(sprams: int) -> list[str]:
    """Return the lines that describe the port `load`, if there is one."""
    if not sprams:
        return []
    return [
        "  load            writes SPRAM while rst is 1: a word of 16 bits, its address of 14,",
        f"                  {_count(sprams, 'write enable')}; simulators read images unless",
        "                  XNORFLOW_LOAD is defined",
    ]


def _header(spec: AcceleratorSpec, header: str, sprams: int) -> str:
    """Write the comment at the top: the given lines, the ports and the stages."""
    lines = [line.rstrip() for line in header.splitlines()]
    sample_bits = 8 * spec.input.sample_bytes
    lines += [
        "",
        "Ports",
        "  clk, rst        clock; synchronous reset, active high, at any time",
        f"  s_axis_tdata    {_count(spec.input.lanes, 'sample')} of {sample_bits} bits, the first"
        " lowest; row by row, pixel by pixel,",
        f"                  channel fastest; {_count(spec.input.beats, 'beat')} per frame",
        f"  m_axis_tdata    {_count(spec.out_lanes, 'score')} of {spec.score_bits} bits, two's"
        " complement, in the order of the classes;",
        f"                  {_count(spec.output_beats, 'beat')} per frame, tlast on the last",
        *_load_port(sprams),
        "",
        "Stages",
    ]
    for stage in spec.stages:
        b, a = stage.buffer, stage.array
        lines.append(f"  {stage.name:14s} {a.size:20s} {b.cycles:10d} cycles per frame")
    return "\n".join(f"// {line}".rstrip() for line in lines) + "\n"
