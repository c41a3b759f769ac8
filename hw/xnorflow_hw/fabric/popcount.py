"""Popcount of XNOR: the number of SIMD activation bits that equal their weight bits.

The form "tree" suits any fabric. Three products form a two-bit leaf; two counts and one more
product, as carry-in, form the next node, so that a node of 2^k - 1 products is full. Of the plain
forms that were measured it takes the fewest LUTs on every family that Yosys maps. Registers are
spread evenly over the levels. The form "dense" places the carry chains of a fabric. The form
"recoded" does so too, but takes activations and weights of lanes that are recoded by threes
(`recode`).

A masked popcount takes a bit `m` more per lane and counts lanes that agree where it is 1, so that
weights may be 0. It has the forms "tree" and "dense".

In generated Verilog the component is an instance of a flat module, whose text `verilog_module`
writes. Synthesis reads the tree or the primitives of the module; Verilator reads `$countones`,
unless XNORFLOW_STRUCTURAL is defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Cat, ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay_lines
from xnorflow_hw.fabric import (
    popcount_ecp5,
    popcount_lut4,
    popcount_tree,
    popcount_xilinx7,
    recode,
)
from xnorflow_hw.fabric.popcount_tree import PlanNode, plan
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec.kinds import FABRICS, STYLES, Fabric, Style, SumForm
from xnorflow_hw.spec.latency import popcount_latency

FORMS: tuple[SumForm, ...] = ("tree", "dense", "recoded")
_PLACED: dict[tuple[SumForm, Fabric], Callable[..., list[str]]] = {
    ("dense", "ecp5"): popcount_ecp5.body,
    ("dense", "ice40"): popcount_lut4.ice40,
    ("dense", "gowin"): popcount_lut4.gowin,
    ("dense", "xilinx7"): popcount_xilinx7.body,
    ("recoded", "ice40"): partial(popcount_lut4.ice40, recoded=True),
    ("recoded", "gowin"): partial(popcount_lut4.gowin, recoded=True),
}
"""Writers of a module's body, for a width and a latency."""


def forms(fabric: Fabric, *, masked: bool = False) -> tuple[str, ...]:
    """Return the forms that a fabric has, or those that can be masked.

    Raises
    ------
    ValueError
        If the fabric is unknown.
    """
    if fabric not in FABRICS:
        raise ValueError(f"fabric is {fabric!r}; known are {', '.join(FABRICS)}")
    placed = (form for form in FORMS if (form, fabric) in _PLACED)
    return ("tree", *(form for form in placed if not (masked and form == "recoded")))


def _check(form: SumForm, fabric: Fabric, *, masked: bool) -> None:
    """Check that a fabric has a form."""
    known = forms(fabric, masked=masked)
    if form not in known:
        raise ValueError(
            f"form is {form!r}; known for the fabric {fabric!r} are {', '.join(known)}"
        )


def module_name(
    simd: int,
    latency: int,
    *,
    form: SumForm = "tree",
    fabric: Fabric = "generic",
    masked: bool = False,
) -> str:
    """Return the name of the Verilog module."""
    kind = "" if form == "tree" else f"{form}_{fabric}_"
    return f"xnorflow_{'masked' if masked else 'xnor'}_popcount_{kind}{simd}_{latency}"


def verilog_module(
    simd: int,
    latency: int,
    *,
    form: SumForm = "tree",
    fabric: Fabric = "generic",
    masked: bool = False,
) -> str:
    """Write the flat module for a width and a latency, in Verilog-2005 except for Verilator's body.

    Its ports are ``clk`` (only if latency > 0), ``x`` and ``w`` [simd-1:0], and ``n``, the count,
    `latency` clock cycles later; a masked one has ``m`` [simd-1:0], too. In the form "recoded"
    ``x`` and ``w`` are recoded lanes; see `recode`.

    Parameters
    ----------
    simd : int
        Number of lanes.
    latency : int
        Clock cycles.
    form : {"tree", "dense", "recoded"}
        How the count is built.
    fabric : Fabric
        The logic cells it is built of; a tree is the same for all.
    masked : bool
        Whether lanes count only where ``m`` is 1.

    Raises
    ------
    ValueError
        If the fabric lacks the form.
    """
    _check(form, fabric, masked=masked)
    width = simd.bit_length()
    clk = ["  input wire clk,"] if latency else []
    lines = [
        f"module {module_name(simd, latency, form=form, fabric=fabric, masked=masked)} (",
        *clk,
        f"  input wire [{simd - 1}:0] x,",
        f"  input wire [{simd - 1}:0] w,",
        *([f"  input wire [{simd - 1}:0] m,"] if masked else []),
        f"  output wire [{width - 1}:0] n",
        ");",
        "`ifdef XNORFLOW_COUNTONES",
        *_counted(simd, form, masked=masked),
        *delay_lines("n", width, latency),
    ]
    if form == "tree":
        lines += ["`else", *popcount_tree.body(simd, latency, masked=masked)]
    else:
        options = {"masked": True} if masked else {}
        lines += [
            "`elsif XNORFLOW_PRIMITIVES",
            *_PLACED[form, fabric](simd, latency, **options),
            "`else",
            *_loop(simd, form, masked=masked),
            *delay_lines("n", width, latency),
        ]
    return "\n".join([*lines, "`endif", "endmodule", ""])


def _pairs(simd: int) -> list[str]:
    """Write the bits of weight 1 and those of weight 2 of the count of recoded lanes."""
    if not recode.triples(simd):
        return [f"  wire [{simd - 1}:0] single = ~(x ^ w);"]
    parities, singles = (f"{simd}'h{mask:x}" for mask in recode.masks(simd))
    return [
        f"  wire [{simd - 1}:0] differ = x ^ w;",
        f"  wire [{simd - 1}:0] single = ~differ & {singles};",
        f"  wire [{simd - 1}:0] same = ~(differ << 1) & ~(differ << 2);",
        f"  wire [{simd - 1}:0] double = (same ^ differ) & {parities};",
    ]


def _counted(simd: int, form: SumForm, *, masked: bool) -> list[str]:
    """Write the count for Verilator."""
    width = simd.bit_length()
    if form != "recoded" or not recode.triples(simd):
        agree = "~(x ^ w) & m" if masked else "~(x ^ w)"
        return [f"  wire [{width - 1}:0] n0 = {width}'($countones({agree}));"]
    total = "$countones(single) + ($countones(double) << 1)"
    return [*_pairs(simd), f"  wire [{width - 1}:0] n0 = {width}'({total});"]


def _loop(simd: int, form: SumForm, *, masked: bool) -> list[str]:
    """Write the count in plain Verilog, for simulators without `$countones` and primitives."""
    width = simd.bit_length()

    def bit(name: str) -> str:
        return f"{{{width - 1}'d0, {name}}}" if width > 1 else name

    agree = "(x[lane] == w[lane]) & m[lane]" if masked else "x[lane] == w[lane]"
    lines, adds = [], [bit(agree)]
    if form == "recoded":
        lines, adds = _pairs(simd), [bit("single[lane]")]
        if recode.triples(simd):
            adds.append(f"({bit('double[lane]')} << 1)")
    return [
        *lines,
        f"  reg [{width - 1}:0] n0;",
        "  integer lane;",
        "  always @* begin",
        f"    n0 = {width}'d0;",
        f"    for (lane = 0; lane < {simd}; lane = lane + 1) n0 = n0 + {' + '.join(adds)};",
        "  end",
    ]


def instance(
    *,
    simd: int,
    latency: int,
    x: Value,
    w: Value,
    n: Value,
    mask: Value | None = None,
    form: SumForm = "tree",
    fabric: Fabric = "generic",
) -> Instance:
    """Build an instance of the Verilog module between values of the right widths.

    Parameters
    ----------
    simd, latency, form, fabric
        As those of `verilog_module`.
    x, w : Value [simd]
        Activation and weight bits.
    n : Value
        The count.
    mask : Value [simd], optional
        Whether each lane counts, of a masked popcount.
    """
    clock = {"i_clk": ClockSignal()} if latency else {}
    masked = {} if mask is None else {"i_m": mask}
    name = module_name(simd, latency, form=form, fabric=fabric, masked=mask is not None)
    return Instance(name, **clock, i_x=x, i_w=w, **masked, o_n=n)


def verilog(
    sizes: Iterable[tuple[int, int]],
    *,
    form: SumForm = "tree",
    fabric: Fabric = "generic",
    masked: bool = False,
) -> str:
    """Write the prologue and the modules of all (simd, latency) pairs, each once and in order."""
    options: dict[str, Any] = {"form": form, "fabric": fabric, "masked": masked}
    modules = [verilog_module(*size, **options) for size in sorted(set(sizes))]
    return "\n".join([PROLOGUE, *modules]) if modules else ""


class XnorPopcount(wiring.Component):
    """Counts the lanes in which `x` and `w` agree.

    Parameters
    ----------
    simd : int
        Number of lanes.
    latency : int, optional
        Clock cycles from `x` and `w` to `n`; `popcount_latency` by default.
    masked : bool
        Whether lanes count only where `m` is 1.
    style : {"amaranth", "verilog"}
        Plain Amaranth, or an instance of `verilog_module`.

    Members
    -------
    x, w : In(simd)
        Activation and weight bits, one of each per lane.
    m : In(simd)
        Whether each lane counts; only of a masked popcount.
    n : Out(range(simd + 1))
        The count, `latency` cycles later. Not reset.

    Raises
    ------
    ValueError
        If `simd` is below 1, `latency` is negative, or the style is unknown.
    """

    def __init__(
        self,
        *,
        simd: int,
        latency: int | None = None,
        masked: bool = False,
        style: Style = "amaranth",
    ) -> None:
        """Check the parameters and declare the ports."""
        if simd < 1:
            raise ValueError(f"simd is {simd}; it has to be 1 or more")
        if latency is not None and latency < 0:
            raise ValueError(f"latency is {latency}; it has to be 0 or more")
        if style not in STYLES:
            raise ValueError(f"style is {style!r}; known are {', '.join(STYLES)}")
        self.simd, self.masked, self.style = simd, masked, style
        self.latency = popcount_latency(simd) if latency is None else latency
        mask = {"m": In(simd)} if masked else {}
        super().__init__({"x": In(simd), "w": In(simd), **mask, "n": Out(range(simd + 1))})

    @staticmethod
    def model(x: NDArray[Any], w: NDArray[Any], m: NDArray[Any] | int = 1) -> NDArray[np.int64]:
        """Return the counts, int64 [...], of 0/1 arrays [..., simd]."""
        return ((np.asarray(x) == np.asarray(w)) & np.asarray(m)).sum(-1, dtype=np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Build the tree or the instance."""
        m = Module()
        if self.style == "verilog":
            m.submodules.popcount = instance(
                simd=self.simd,
                latency=self.latency,
                x=self.x,
                w=self.w,
                n=self.n,
                mask=self.m if self.masked else None,
            )
            return m
        values: dict[str, Signal] = {}
        for node in plan(self.simd, self.latency):
            value = Signal(node.width, name=node.name, reset_less=True)
            domain = m.d.sync if node.kind == "register" else m.d.comb
            domain += value.eq(self._value(node, values))
            values[node.name] = value
        m.d.comb += self.n.eq(value)
        return m

    def _value(self, node: PlanNode, values: dict[str, Signal]) -> Value:
        """Return the value of a node in Amaranth."""
        if node.kind == "product":
            lane = node.inputs[0]
            agree = ~(self.x[lane] ^ self.w[lane])
            return agree & self.m[lane] if self.masked else agree
        inputs = [values[name] for name in node.inputs]
        match node.kind, inputs:
            case "register", [source]:
                return source
            case "leaf", [a, b]:
                return Cat(a ^ b, a & b)
            case "leaf", [a, b, c]:
                return Cat(a ^ b ^ c, (a & b) | (c & (a | b)))
        a, b, c = inputs
        return a + b + c
