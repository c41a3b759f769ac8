"""Every public function is typed, and its docstring has every parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest

import xnorflow as xf
from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.row import Row
from xnorflow.evidence.record import Evidence, Outcome, read_evidence
from xnorflow_boards.build.bitstream import build
from xnorflow_boards.build.load_bitstream import program
from xnorflow_sim.simulation import Run

CLASSES = (xf.IntegerNetwork, xf.Design, Run, Comparison, Row, Evidence, Outcome)
FUNCTIONS = (xf.load, xf.compile, xf.compare, xf.check, xf.sweep, read_evidence, build, program)


def public() -> Iterator[tuple[str, Any]]:
    """Yield the functions, and the methods and properties of the classes, by name."""
    for function in FUNCTIONS:
        yield function.__name__, function
    for cls in CLASSES:
        for name, found in inspect.getmembers(cls):
            if name == "__call__" or not name.startswith("_"):
                if isinstance(found, property):
                    yield f"{cls.__name__}.{name}", found.fget
                elif isinstance(found, cached_property):
                    yield f"{cls.__name__}.{name}", found.func
                elif inspect.isroutine(found):
                    yield f"{cls.__name__}.{name}", found


ALL = dict(public())


def test_all_public_names_are_looked_at() -> None:
    functions = {name for name in xf.__all__ if inspect.isfunction(getattr(xf, name))}
    assert {getattr(xf, name) for name in functions} <= set(FUNCTIONS)
    assert {"IntegerNetwork.__call__", "Design.simulate", "Run.save", "Comparison.to_json"} <= set(
        ALL
    )
    for cls in (*CLASSES, xf.BadInput, xf.CheckFailed, xf.ToolMissing, xf.UnsupportedModel):
        assert inspect.getdoc(cls)


@pytest.mark.parametrize("name", sorted(ALL))
def test_it_is_typed_and_documented(name: str) -> None:
    function: Callable[..., Any] = ALL[name]
    text = inspect.getdoc(function) or ""
    assert text.strip().endswith((".", ")", "+SKIP")) or "Returns" in text, name
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    given = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    for parameter in given:
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    listed = set(re.findall(r"^(\w[\w, ]*?)(?: :|$)", text, re.MULTILINE))
    known = {word for names in listed for word in names.split(", ")}
    if "those of calling the network" not in text:
        missing = {p.name for p in given} - known
        assert not missing, missing


def test_the_contract_of_the_design() -> None:
    """The calls that the design document promises."""
    load, compile = (inspect.signature(f).parameters for f in (xf.load, xf.compile))
    assert {"path", "input", "input_scale"} <= set(load)
    assert {"net", "board", "fps", "cycles", "folding"} <= set(compile)
    assert list(inspect.signature(xf.compare).parameters)[:3] == ["net", "fpgas", "gpus"]
    for function in (xf.load, xf.compile, xf.compare, xf.check, xf.Design.simulate, build):
        assert "progress" in inspect.signature(function).parameters
