"""Popcount of XNOR: the number of SIMD activation bits that equal their weight bits.

The form "tree" suits any fabric. Three products form a two-bit leaf; two counts and one more
product, as carry-in, form the next node, so that a node of 2^k - 1 products is full. Of the plain
forms that were measured it takes the fewest LUTs on every family that Yosys maps. Registers are
spread evenly over the levels. The form "dense" places the carry chains of a fabric. The form
"recoded" does so too, but takes activations and weights of lanes that are recoded by threes
(`recode`).

In generated Verilog the component is an instance of a flat module, whose text `verilog_module`
writes. Synthesis reads the tree or the primitives of the module; Verilator reads `$countones`,
unless XNORFLOW_STRUCTURAL is defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Cat, ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay_lines, registered_levels
from xnorflow_hw.fabric import popcount_ecp5, popcount_lut4, popcount_xilinx7, recode
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec.kinds import FABRICS, STYLES, Fabric, Style, SumForm
from xnorflow_hw.spec.latency import popcount_latency

FORMS: tuple[SumForm, ...] = ("tree", "dense", "recoded")
_PLACED: dict[tuple[SumForm, Fabric], Callable[[int, int], list[str]]] = {
    ("dense", "ecp5"): popcount_ecp5.body,
    ("dense", "ice40"): popcount_lut4.ice40,
    ("dense", "gowin"): popcount_lut4.gowin,
    ("dense", "xilinx7"): popcount_xilinx7.body,
    ("recoded", "ice40"): partial(popcount_lut4.ice40, recoded=True),
    ("recoded", "gowin"): partial(popcount_lut4.gowin, recoded=True),
}
"""Writers of a module's body, for a width and a latency."""


def forms(fabric: Fabric) -> tuple[str, ...]:
    """Return the forms that a fabric has.

    Raises
    ------
    ValueError
        If the fabric is unknown.
    """
    if fabric not in FABRICS:
        raise ValueError(f"fabric is {fabric!r}; known are {', '.join(FABRICS)}")
    return ("tree", *(form for form in FORMS if (form, fabric) in _PLACED))


def _check(form: SumForm, fabric: Fabric) -> None:
    """Check that a fabric has a form."""
    if form not in forms(fabric):
        raise ValueError(
            f"form is {form!r}; known for the fabric {fabric!r} are {', '.join(forms(fabric))}"
        )


@dataclass(frozen=True)
class PlanNode:
    """One named value of the tree.

    Parameters
    ----------
    name : str
        Identifier.
    width : int
        Width in bits.
    kind : str
        "product" (of one lane), "leaf" (the sum of two or three products), "add" (of two counts and
        a product) or "register".
    inputs : tuple of str or int
        Names of the nodes that it takes; for a product the number of its lane.
    """

    name: str
    width: int
    kind: str
    inputs: tuple[Any, ...]


def levels(simd: int) -> int:
    """Return the number of adder levels of the tree."""
    return simd.bit_length() - 1


def plan(simd: int, latency: int) -> list[PlanNode]:
    """Return the nodes of the tree in order of evaluation; the last one is the count.

    Parameters
    ----------
    simd : int
        Number of products to count.
    latency : int
        Number of registers on every path. Those beyond one per level follow the last level.
    """
    depth, nodes = levels(simd), list[PlanNode]()
    within = min(latency, depth)
    registered = registered_levels(depth, within)

    def add(width: int, kind: str, *inputs: Any) -> str:
        nodes.append(PlanNode(f"{kind[0]}{len(nodes)}", width, kind, inputs))
        return nodes[-1].name

    def delayed(name: str, width: int, cycles: int) -> str:
        for _ in range(cycles):
            name = add(width, "register", name)
        return name

    def passed(level: int) -> int:
        return sum(r <= level for r in registered)

    def count(low: int, number: int) -> tuple[str, int, int]:
        """Count products [low, low + number); return name, width and level of the result."""
        if number == 1:
            return add(1, "product", low), 1, 0
        if number <= 3:
            parts = [add(1, "product", low + i) for i in range(number)]
            name, width, level = add(2, "leaf", *parts), 2, 1
        else:
            half = (number - 1) // 2
            terms = [count(low, number - 1 - half), count(low + number - 1 - half, half)]
            terms.append(count(low + number - 1, 1))
            width, level = number.bit_length(), max(term[2] for term in terms) + 1
            aligned = [delayed(n, w, passed(level - 1) - passed(at)) for n, w, at in terms]
            name = add(width, "add", *aligned)
        if level in registered:
            name = add(width, "register", name)
        return name, width, level

    name, width, _ = count(0, simd)
    delayed(name, width, latency - within)
    return nodes


def module_name(
    simd: int, latency: int, *, form: SumForm = "tree", fabric: Fabric = "generic"
) -> str:
    """Return the name of the Verilog module."""
    kind = "" if form == "tree" else f"{form}_{fabric}_"
    return f"xnorflow_xnor_popcount_{kind}{simd}_{latency}"


def verilog_module(
    simd: int, latency: int, *, form: SumForm = "tree", fabric: Fabric = "generic"
) -> str:
    """Write the flat module for a width and a latency, in Verilog-2005 except for Verilator's body.

    Its ports are ``clk`` (only if latency > 0), ``x`` and ``w`` [simd-1:0], and ``n``, the count,
    `latency` clock cycles later. In the form "recoded" ``x`` and ``w`` are recoded lanes; see
    `recode`.

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

    Raises
    ------
    ValueError
        If the fabric lacks the form.
    """
    _check(form, fabric)
    width = simd.bit_length()
    clk = ["  input wire clk,"] if latency else []
    lines = [
        f"module {module_name(simd, latency, form=form, fabric=fabric)} (",
        *clk,
        f"  input wire [{simd - 1}:0] x,",
        f"  input wire [{simd - 1}:0] w,",
        f"  output wire [{width - 1}:0] n",
        ");",
        "`ifdef XNORFLOW_COUNTONES",
        *_counted(simd, form),
        *delay_lines("n", width, latency),
    ]
    if form == "tree":
        lines += ["`else", *_tree(simd, latency)]
    else:
        lines += [
            "`elsif XNORFLOW_PRIMITIVES",
            *_PLACED[form, fabric](simd, latency),
            "`else",
            *_loop(simd, form),
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


def _counted(simd: int, form: SumForm) -> list[str]:
    """Write the count for Verilator."""
    width = simd.bit_length()
    if form != "recoded" or not recode.triples(simd):
        return [f"  wire [{width - 1}:0] n0 = {width}'($countones(~(x ^ w)));"]
    total = "$countones(single) + ($countones(double) << 1)"
    return [*_pairs(simd), f"  wire [{width - 1}:0] n0 = {width}'({total});"]


def _loop(simd: int, form: SumForm) -> list[str]:
    """Write the count in plain Verilog, for simulators without `$countones` and primitives."""
    width = simd.bit_length()

    def bit(name: str) -> str:
        return f"{{{width - 1}'d0, {name}}}" if width > 1 else name

    lines, adds = [], [bit("x[lane] == w[lane]")]
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


def _tree(simd: int, latency: int) -> list[str]:
    """Write the tree as Verilog."""
    nodes = plan(simd, latency)
    widths = {node.name: node.width for node in nodes}
    lines = [line for node in nodes for line in _verilog(node, widths)]
    return [*lines, f"  assign n = {nodes[-1].name};"]


def _verilog(node: PlanNode, widths: dict[str, int]) -> list[str]:
    """Write one node of the tree."""
    bits = f"[{node.width - 1}:0] {node.name}"
    match node.kind, node.inputs:
        case "product", (lane,):
            return [f"  wire {bits} = ~(x[{lane}] ^ w[{lane}]);"]
        case "register", (source,):
            return [f"  reg {bits};", f"  always @(posedge clk) {node.name} <= {source};"]
        case "leaf", (a, b):
            return [f"  wire {bits} = {{{a} & {b}, {a} ^ {b}}};"]
        case "leaf", (a, b, c):
            return [f"  wire {bits} = {{({a} & {b}) | ({c} & ({a} | {b})), {a} ^ {b} ^ {c}}};"]
    # Operands are zero-extended here, so that lint finds no implicit widening.
    terms = []
    for source in node.inputs:
        extra = node.width - widths[source]
        terms.append(f"{{{extra}'d0, {source}}}" if extra else source)
    return [f"  wire {bits} = {' + '.join(terms)};"]


def instance(
    *,
    simd: int,
    latency: int,
    x: Value,
    w: Value,
    n: Value,
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
    """
    clock = {"i_clk": ClockSignal()} if latency else {}
    name = module_name(simd, latency, form=form, fabric=fabric)
    return Instance(name, **clock, i_x=x, i_w=w, o_n=n)


def verilog(
    sizes: Iterable[tuple[int, int]], *, form: SumForm = "tree", fabric: Fabric = "generic"
) -> str:
    """Write the prologue and the modules of all (simd, latency) pairs, each once and in order."""
    modules = [verilog_module(*size, form=form, fabric=fabric) for size in sorted(set(sizes))]
    return "\n".join([PROLOGUE, *modules]) if modules else ""


class XnorPopcount(wiring.Component):
    """Counts the lanes in which `x` and `w` agree.

    Parameters
    ----------
    simd : int
        Number of lanes.
    latency : int, optional
        Clock cycles from `x` and `w` to `n`; `popcount_latency` by default.
    style : {"amaranth", "verilog"}
        Plain Amaranth, or an instance of `verilog_module`.

    Members
    -------
    x, w : In(simd)
        Activation and weight bits, one of each per lane.
    n : Out(range(simd + 1))
        The count, `latency` cycles later. Not reset.

    Raises
    ------
    ValueError
        If `simd` is below 1, `latency` is negative, or the style is unknown.
    """

    def __init__(self, *, simd: int, latency: int | None = None, style: Style = "amaranth") -> None:
        """Check the parameters and declare the ports."""
        if simd < 1:
            raise ValueError(f"simd is {simd}; it has to be 1 or more")
        if latency is not None and latency < 0:
            raise ValueError(f"latency is {latency}; it has to be 0 or more")
        if style not in STYLES:
            raise ValueError(f"style is {style!r}; known are {', '.join(STYLES)}")
        self.simd, self.style = simd, style
        self.latency = popcount_latency(simd) if latency is None else latency
        super().__init__({"x": In(simd), "w": In(simd), "n": Out(range(simd + 1))})

    @staticmethod
    def model(x: NDArray[Any], w: NDArray[Any]) -> NDArray[np.int64]:
        """Return the counts, int64 [...], of 0/1 arrays [..., simd]."""
        return (np.asarray(x) == np.asarray(w)).sum(-1, dtype=np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Build the tree or the instance."""
        m = Module()
        if self.style == "verilog":
            m.submodules.popcount = instance(
                simd=self.simd, latency=self.latency, x=self.x, w=self.w, n=self.n
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
            return ~(self.x[lane] ^ self.w[lane])
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
