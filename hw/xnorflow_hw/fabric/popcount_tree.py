"""XNOR popcount as a tree of plain adders, for any fabric; `popcount` says how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xnorflow_hw.base.pipeline import registered_levels


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


def body(simd: int, latency: int, *, masked: bool) -> list[str]:
    """Write the statements of the module: inputs ``x``, ``w``, output ``n``; see `popcount`."""
    nodes = plan(simd, latency)
    widths = {node.name: node.width for node in nodes}
    lines = [line for node in nodes for line in _verilog(node, widths, masked=masked)]
    return [*lines, f"  assign n = {nodes[-1].name};"]


def _verilog(node: PlanNode, widths: dict[str, int], *, masked: bool) -> list[str]:
    """Write one node of the tree."""
    bits = f"[{node.width - 1}:0] {node.name}"
    match node.kind, node.inputs:
        case "product", (lane,):
            mask = f" & m[{lane}]" if masked else ""
            return [f"  wire {bits} = ~(x[{lane}] ^ w[{lane}]){mask};"]
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
