"""Every table of layers, arrays, tails or operations has an entry for each of their classes.

For a new class, a test fails for every table that has no entry, and names that table.
"""

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from xnorflow import frontend, graph, ir, lower
from xnorflow.devices.tables import Family, fpga, fpgas
from xnorflow.graph.ops import Elementwise, Op, WindowReduction
from xnorflow.ir.layer import Layer
from xnorflow.lower.passes import output_shape
from xnorflow.plan.layer_rules import RULES, StageRule
from xnorflow.resources import coefficients, terms
from xnorflow.resources.engine import EngineSummary
from xnorflow_hw.array import baked_array, factory, stored_sums
from xnorflow_hw.fabric import popcount
from xnorflow_hw.spec import ArraySpec, TailSpec
from xnorflow_sim.golden import apply

ROOT = Path(__file__).parents[1]


def subclasses(base: type[Any]) -> set[type[Any]]:
    """Return all subclasses of a class in our packages, without those that tests define."""
    found = {c for child in base.__subclasses__() for c in {child, *subclasses(child)}}
    return {c for c in found if c.__module__.startswith("xnorflow")}


LAYERS = sorted(subclasses(Layer), key=lambda c: c.__name__)
OPS = sorted(
    (c for c in subclasses(Op) - {Elementwise, WindowReduction} if not inspect.isabstract(c)),
    key=lambda c: c.__name__,
)
FAMILIES = {family.name: family for family in (fpga(part).family for part in fpgas())}

MADE_BY_LOWERING = {"LookupOp"}
"""Operations that no file has."""


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


def engines(kind: str, family: Family) -> Iterator[EngineSummary]:
    """Yield engines of all that an array of this kind can be on a family."""
    forms = {*popcount.forms(family.fabric), "add"}
    forms |= {f.FORM for f in (stored_sums, baked_array) if family.fabric in f.FABRICS}
    pool = EngineSummary(
        name="pool",
        kind=kind,
        positions=16,
        channels=8,
        reduction=18,
        inputs=32,
        pe=2,
        simd=4,
        cycles=144,
        rom_depth=0,
        rom_width=0,
        buffer_depth=16,
        buffer_width=8,
        act_bits=1,
    )
    yield from (replace(pool, act_bits=bits) for bits in (1, 2))
    choices = product(sorted(forms), (1, 40, 4000), (1, 2), (1, 2), (0, 1, 3))
    for form, words, bits, at_once, levels in choices:
        yield replace(
            pool,
            form=form,
            rom_depth=words,
            rom_width=8,
            act_bits=bits,
            acc_bits=6,
            at_once=at_once,
            threshold_rows=words if levels else 0,
            threshold_levels=levels,
            threshold_words=(14,) if levels else (),
        )


def lacking(kind: str, family: Family) -> set[str]:
    """Return the terms of arrays of this kind that an estimate counts as nothing."""
    found = coefficients.fitted()[family.coefficients]
    names = {name for e in engines(kind, family) for name in terms.array(e, family)}
    return {
        name
        for name in names
        if name != terms.FAR
        and not name.startswith(terms.WHOLE)
        and not name.endswith(coefficients.FORMS)
        and any(
            name not in of and name.replace(terms.CONSTANT, "") not in of
            for of in (found.lut, found.ff)
        )
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", terms.ARRAYS)
def test_every_term_of_an_array_has_a_coefficient(kind: str, family: str) -> None:
    without = lacking(kind, FAMILIES[family])
    assert not without, f"resources/coefficients.json of {family} lacks {sorted(without)}"


def test_every_array_that_is_built_has_a_spec() -> None:
    assert set(factory.ARRAYS) == set(get_args(ArraySpec)), "ArraySpec of spec/arrays.py lacks it"
    assert set(factory.TAILS) == set(get_args(TailSpec)), "TailSpec of spec/tails.py lacks it"


@pytest.mark.parametrize("array", get_args(factory.Array))
def test_every_array_has_a_model_that_a_test_holds_it_to(array: type[Any]) -> None:
    assert callable(getattr(array, "model", None)), f"{array.__module__} has no model()"
    tests = names_in((ROOT / "tests/hw/array").glob("test_*.py"))
    assert array.__name__ in tests and "model" in tests, "nothing in tests/hw/array tests it"


@pytest.mark.parametrize("layer", LAYERS)
def test_random_networks_have_every_layer(layer: type[Layer]) -> None:
    assert layer.__name__ in names_in([ROOT / "tests/strategies.py"]), "strategies.py lacks it"


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
    used = names_in(room(frontend)) | names_in(room(graph)) | MADE_BY_LOWERING
    assert op.__name__ in used, "no handler in frontend/ makes it"


@pytest.mark.parametrize("op", OPS)
def test_every_operation_is_lowered(op: type[Op]) -> None:
    if not issubclass(op, Elementwise):
        assert op.__name__ in names_in(room(lower)), "nothing in lower/ takes it"


@pytest.mark.parametrize("op", OPS)
def test_the_shape_after_every_operation_is_known(op: type[Op]) -> None:
    made = object.__new__(op)
    weights = np.ones((3, 1, 1, 2), np.int64)
    fields = {"window": ir.Window(), "weights": weights, "node": "any", "op": op.__name__}
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    assert len(output_shape(made, (4, 5, 2))) == 3


def test_every_operation_that_is_named_exists() -> None:
    named = {n for m in (frontend, lower) for n in names_in(room(m)) if n.endswith("Op")}
    missing = named - {c.__name__ for c in OPS} - {"Op"}
    assert not missing, f"graph/ops.py lacks {sorted(missing)}"
