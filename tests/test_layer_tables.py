"""Every table of layers, arrays, tails or operations has an entry for each of their classes.

For a new class, a test fails for every table that has no entry, and names that table.
"""

import ast
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

from xnorflow import graph, ir, lower
from xnorflow.frontend.importer import HANDLER_MODULES
from xnorflow.graph.ops import Elementwise, Op
from xnorflow.ir.layer import Layer
from xnorflow.plan.layer_rules import RULES, StageRule
from xnorflow.resources import terms
from xnorflow_hw.array import factory
from xnorflow_hw.spec import ArraySpec, TailSpec
from xnorflow_sim.golden import apply

ROOT = Path(__file__).parents[1]


def subclasses(base: type[Any]) -> set[type[Any]]:
    """Return all subclasses of a class in our packages, without those that tests define."""
    found = {c for child in base.__subclasses__() for c in {child, *subclasses(child)}}
    return {c for c in found if c.__module__.startswith("xnorflow")}


LAYERS = sorted(subclasses(Layer), key=lambda c: c.__name__)
OPS = sorted(
    (c for c in subclasses(Op) if c is not Elementwise and not inspect.isabstract(c)),
    key=lambda c: c.__name__,
)


def names_in(files: Iterable[Path]) -> set[str]:
    """Return every name and attribute that Python files use."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


def room(module: Any) -> list[Path]:
    return sorted(Path(module.__file__).parent.glob("*.py"))


def test_there_is_something_to_look_at() -> None:
    assert {"Conv", "Scores", "Flatten"} <= {c.__name__ for c in LAYERS}
    assert {"ConvOp", "AddOp"} <= {c.__name__ for c in OPS}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_whole(layer: type[Layer]) -> None:
    assert not inspect.isabstract(layer), f"{layer.__name__} lacks {layer.__abstractmethods__}"
    assert ir.KINDS[layer.kind] is layer


@pytest.mark.parametrize("layer", LAYERS)
def test_the_golden_model_computes_every_layer(layer: type[Layer]) -> None:
    assert apply.dispatch(layer) is not apply.dispatch(object), "golden.py lacks it"


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_a_rule_for_hardware(layer: type[Layer]) -> None:
    assert layer in RULES, "plan/layer_rules.py lacks it"


@pytest.mark.parametrize("layer", LAYERS)
def test_lowering_writes_every_layer(layer: type[Layer]) -> None:
    assert layer.__name__ in names_in(room(lower)), "nothing in lower/ makes it"


@pytest.mark.parametrize("layer", [c for c in LAYERS if isinstance(RULES.get(c), StageRule)])
def test_the_resource_model_knows_the_array_of_every_layer(layer: type[Layer]) -> None:
    assert layer.kind in terms.ARRAYS, "resources/terms.py lacks it"


@pytest.mark.parametrize("spec", get_args(ArraySpec))
def test_every_array_is_built(spec: type[Any]) -> None:
    assert spec in factory.ARRAYS, "array/factory.py lacks it"


@pytest.mark.parametrize("spec", get_args(TailSpec))
def test_every_tail_is_built(spec: type[Any]) -> None:
    assert spec in factory.TAILS, "array/factory.py lacks it"


def test_every_array_is_made_by_a_rule() -> None:
    made = names_in(room(inspect.getmodule(StageRule)))
    assert {c.__name__ for c in get_args(ArraySpec)} <= made
    assert {c.__name__ for c in get_args(TailSpec)} <= made


@pytest.mark.parametrize("op", OPS)
def test_every_operation_is_imported_from_some_operator(op: type[Op]) -> None:
    used = names_in(room(HANDLER_MODULES[0])) | names_in(room(graph))
    assert op.__name__ in used, "no handler in frontend/ makes it"


@pytest.mark.parametrize("op", OPS)
def test_every_operation_is_lowered(op: type[Op]) -> None:
    if not issubclass(op, Elementwise):
        assert op.__name__ in names_in(room(lower)), "nothing in lower/ takes it"
