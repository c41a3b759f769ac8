"""docs/operators.md lists the operators that are read; run this file to write its tables."""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import onnx
import pytest

from xnorflow.frontend import constants, operators
from xnorflow.frontend.model_file import OLDEST_OPSET
from xnorflow.frontend.node import DOMAINS, MICROSOFT, QONNX, QONNX_ONLY, STANDARD
from xnorflow.frontend.operators.integers import float_quant
from xnorflow.frontend.operators.reshape import MOVES
from xnorflow.frontend.registry import HANDLERS

PAGE = Path(__file__).parents[3] / "docs/operators.md"
START, END = "<!-- from the registry -->\n", "<!-- end -->\n"
NEWEST = 24
TITLES = {
    STANDARD: "Standard ONNX",
    QONNX: "QONNX, FINN and Brevitas",
    MICROSOFT: "ONNX Runtime",
}


def versions(op):
    """Return the operator sets that define or change a standard operator, if they are read."""
    known = {
        s.since_version
        for s in onnx.defs.get_all_schemas_with_history()
        if s.name == op and s.domain == ""
    }
    old = max((v for v in known if v <= OLDEST_OPSET), default=None)
    return sorted(v for v in known if v == old or OLDEST_OPSET < v <= NEWEST)


def tables():
    """Return the generated part of the page."""
    lines = []
    for family, title in TITLES.items():
        mine = [d for d, f in DOMAINS.items() if f == family]
        domains = ", ".join(f"`{d}`" if d else "the default one" for d in mine)
        lines += [f"### {title}", "", f"Domains: {domains}.", ""]
        if family == STANDARD:
            lines += [
                "| operator | operator sets that change it | attributes read |",
                "|---|---|---|",
            ]
        else:
            lines += ["| operator | attributes read |", "|---|---|"]
        for (_, op), entry in sorted((k, e) for k, e in HANDLERS.items() if k[0] == family):
            if entry.handler is float_quant:  # It refuses them.
                continue
            attributes = ", ".join(sorted(entry.attributes)) or "none"
            changed = ", ".join(map(str, versions(op)))
            row = f"| {op} | {changed} | {attributes} |"
            lines.append(row if family == STANDARD else f"| {op} | {attributes} |")
        lines.append("")
    folded = sorted(
        {
            *constants.BROADCAST,
            *constants.GATHERING,
            *MOVES,
            *("Constant", "ConstantOfShape", "DequantizeLinear", "Expand", "Gather"),
            *("QuantizeLinear", "Range", "Shape", "Size"),
        }
    )
    lines += [
        "### On constants",
        "",
        "Whatever depends on stored tensors and shapes alone is evaluated while reading: "
        + ", ".join(folded)
        + ", and the quantisers BipolarQuant, IntQuant and Quant.",
        "",
    ]
    return "\n".join(lines)


def split(text):
    before, rest = text.split(START)
    inside, after = rest.split(END)
    return before, inside, after


def test_the_page_lists_what_is_read():
    _, inside, _ = split(PAGE.read_text(encoding="utf-8"))
    here = Path(__file__).relative_to(PAGE.parents[1])
    assert inside == tables(), f"docs/operators.md is not up to date; python {here} writes it"


def test_every_family_has_a_table_and_every_standard_operator_is_one_of_onnx():
    assert {family for family, _ in HANDLERS} == set(TITLES)
    assert all(versions(op) for family, op in HANDLERS if family == STANDARD)
    assert not any(versions(op) for op in QONNX_ONLY)


def handlers(module):
    """Return the public functions of a module that import nodes, by what they take and return."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        takes = list(inspect.signature(function).parameters)[:2] == ["node", "inputs"]
        gives = function.__annotations__.get("return") in ("Result", "Outcome")
        if takes and gives and function.__module__ == module.__name__ and name[0] != "_":
            yield function


MODULES = [m.name for m in walk_packages(operators.__path__, f"{operators.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_every_function_that_imports_a_node_is_marked(name):
    registered = {entry.handler for entry in HANDLERS.values()}
    found = set(handlers(import_module(name)))
    assert found or not name.endswith(("windows", "fan_out", "votes"))
    without = sorted(f.__name__ for f in found - registered)
    assert not without, f"{name}: {without} lack @handles"


if __name__ == "__main__":
    before, _, after = split(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(before + START + tables() + END + after, encoding="utf-8")
