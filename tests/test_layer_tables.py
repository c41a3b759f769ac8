"""Every table of layers, arrays, tails or operations has an entry for each of their classes.

For a new class, a test fails for every table that has no entry, and names the class and the file.
"""

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from amaranth.lib.wiring import Component

from xnorflow import graph, ir, lower
from xnorflow.devices.tables import Family, fpga, fpgas
from xnorflow.frontend import operators
from xnorflow.graph.join_ops import JoinOp
from xnorflow.graph.ops import Elementwise, Op, WindowReduction
from xnorflow.ir.joins import Join
from xnorflow.ir.layer import Layer
from xnorflow.lower.branches.segments import BETWEEN, shape_between
from xnorflow.lower.passes import output_shape
from xnorflow.plan.layer_rules import RULES, StageRule
from xnorflow.resources import coefficients, terms
from xnorflow.resources.engine import EngineSummary, Products
from xnorflow_hw.array import baked_array, factory, stored_sums
from xnorflow_hw.fabric import popcount
from xnorflow_hw.spec import ArraySpec, TailSpec
from xnorflow_hw.spec.arrays import Weightless
from xnorflow_hw.spec.kinds import MULTIPLIERS
from xnorflow_sim.golden import apply, join

ROOT = Path(__file__).parents[1]
LAYERS_OF, AVERAGES = "sw/xnorflow/lower/write_layers.py", "sw/xnorflow/lower/averages.py"
PLAIN = "sw/xnorflow/merge/plain_layers.py"
REFERENCE = "tests/sw/lower/reference.py"


def subclasses(base: type[Any]) -> set[type[Any]]:
    """Return all subclasses of a class in our packages, without those that tests define."""
    found = {c for child in base.__subclasses__() for c in {child, *subclasses(child)}}
    return {c for c in found if c.__module__.startswith("xnorflow")}


LAYERS = sorted(
    (
        c
        for c in subclasses(Layer)
        # Lowering has a stand-in for layers that are written already.
        if not inspect.isabstract(c) and not c.__module__.startswith(lower.__name__)
    ),
    key=lambda c: c.__name__,
)
OPS = sorted(
    (c for c in subclasses(Op) - {Elementwise, WindowReduction} if not inspect.isabstract(c)),
    key=lambda c: c.__name__,
)
FAMILIES = {family.name: family for family in (fpga(part).family for part in fpgas())}

MADE_BY_LOWERING = {"LookupOp"}
"""Operations that no file has."""
REPLACED_BY_A_PASS = {"AveragePoolOp"}
"""Operations that no graph has any more when layers are written."""


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


def parts_of(file: str, kind: type[ast.AST]) -> Iterator[Any]:
    """Yield the nodes of one kind in the syntax tree of a file."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, kind):
            yield node


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name."""
    return ast.unparse(node).rpartition(".")[2]


def cases_in(file: str) -> set[str]:
    """Return the classes that a file has a `case` for."""
    return {last_name(node.cls) for node in parts_of(file, ast.MatchClass)}


def first_arguments(file: str, function: str) -> set[str]:
    """Return the names that a file gives to a function, or to a method, as its first argument."""
    return {
        last_name(node.args[0])
        for node in parts_of(file, ast.Call)
        if node.args and last_name(node.func) == function
    }


def room(module: Any) -> list[Path]:
    """Return the files of a room and of the rooms in it."""
    return sorted(Path(module.__file__).parent.rglob("*.py"))


def components(of: Any) -> set[type[Any]]:
    """Return the components that a room has, whether anything builds them or not."""
    for file in sorted(Path(of.__file__).parent.glob("*.py")):
        if file.stem != "__init__":
            import_module(f"{of.__package__}.{file.stem}")
    return {c for c in subclasses(Component) if c.__module__.startswith(f"{of.__package__}.")}


def test_there_is_something_to_look_at() -> None:
    assert {"Conv", "Scores", "Flatten"} <= {c.__name__ for c in LAYERS}
    assert {"ConvOp", "AddOp"} <= {c.__name__ for c in OPS}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_whole(layer: type[Layer]) -> None:
    without = sorted(layer.__abstractmethods__)
    assert not without, f"{layer.__name__} of ir/layers.py lacks {', '.join(without)}"
    assert layer.kind, f"{layer.__name__} has no name for its kind"
    assert ir.KINDS[layer.kind] is layer


@pytest.mark.parametrize("layer", LAYERS)
def test_the_golden_model_computes_every_layer(layer: type[Layer]) -> None:
    table = join if issubclass(layer, Join) else apply
    known = table.dispatch(layer) is not table.dispatch(object)
    assert known, f"sim/xnorflow_sim/golden.py lacks {layer.__name__}"


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_a_rule_for_hardware(layer: type[Layer]) -> None:
    assert layer in RULES, f"RULES of plan/layer_rules.py lacks {layer.__name__}"


@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_known_whether_every_layer_can_vanish(layer: type[Layer]) -> None:
    assert layer.__name__ in cases_in(PLAIN), f"is_plain of {PLAIN} lacks {layer.__name__}"


@pytest.mark.parametrize("layer", LAYERS)
def test_lowering_writes_every_layer(layer: type[Layer]) -> None:
    made = names_in(room(lower)) | names_in(room(graph))
    assert layer.__name__ in made, f"nothing in lower/ makes a {layer.__name__} (write_layers.py)"


@pytest.mark.parametrize("layer", [c for c in LAYERS if isinstance(RULES.get(c), StageRule)])
def test_the_resource_model_knows_the_array_of_every_layer(layer: type[Layer]) -> None:
    assert layer.kind in terms.ARRAYS, f"ARRAYS of resources/terms.py lacks {layer.kind!r}"


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
    for multiplier in MULTIPLIERS:
        products = Products(multiplier, 8)
        yield replace(pool, products=products, rom_depth=40, rom_width=64, act_bits=8, acc_bits=20)
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
    for table, union, where in (
        (factory.ARRAYS, ArraySpec, "ArraySpec of spec/arrays.py"),
        (factory.TAILS, TailSpec, "TailSpec of spec/tails.py"),
    ):
        without = {c.__name__ for c in set(table).difference(get_args(union))}
        assert not without, f"{where} lacks {sorted(without)}"


@pytest.mark.parametrize("spec", get_args(ArraySpec))
def test_every_spec_of_an_array_has_all_answers(spec: type[Any]) -> None:
    asked = {"lanes_out", "out_bits", "size", "latency", *inspect.get_annotations(Weightless)}
    without = sorted(asked - {*dir(spec), *(f.name for f in fields(spec))})
    assert not without, f"{spec.__name__} of spec/arrays.py lacks {', '.join(without)}"


def test_every_array_of_the_room_is_one_that_the_factory_builds() -> None:
    there = {c.__name__ for c in components(factory) if c.__name__.endswith("Array")}
    without = there - {c.__name__ for c in get_args(factory.Array)}
    assert there and not without, f"Array of array/factory.py lacks {sorted(without)}"


@pytest.mark.parametrize("array", get_args(factory.Array))
def test_every_array_has_a_model_that_a_test_holds_it_to(array: type[Any]) -> None:
    assert callable(getattr(array, "model", None)), f"{array.__module__} has no model()"
    tests = [names_in([file]) for file in (ROOT / "tests/hw/array").glob("test_*.py")]
    tested = any({array.__name__, "model"} <= names for names in tests)
    assert tested, f"nothing in tests/hw/array holds {array.__name__} to its model()"


@pytest.mark.parametrize("array", get_args(factory.Array))
def test_every_array_is_described(array: type[Any]) -> None:
    lines = (ROOT / "docs/hardware.md").read_text(encoding="utf-8").splitlines()
    headings = " ".join(line for line in lines if line.startswith("### "))
    known = array.__name__ in headings.replace(",", " ").split()
    assert known, f"docs/hardware.md has no heading with {array.__name__}"


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_described(layer: type[Layer]) -> None:
    page = (ROOT / "docs/hardware.md").read_text(encoding="utf-8")
    assert f"`{layer.__name__}`" in page, f"docs/hardware.md says nothing of {layer.__name__}"


@pytest.mark.parametrize("layer", LAYERS)
def test_random_networks_have_every_layer(layer: type[Layer]) -> None:
    files = ("tests/strategies.py", "tests/graph_strategies.py")
    drawn = any(layer.__name__ in first_arguments(file, "add") for file in files)
    assert drawn, f"{' and '.join(files)} draw no {layer.__name__}"


@pytest.mark.parametrize("spec", get_args(ArraySpec))
def test_every_array_is_built(spec: type[Any]) -> None:
    assert spec in factory.ARRAYS, f"ARRAYS of array/factory.py lacks {spec.__name__}"


@pytest.mark.parametrize("spec", get_args(TailSpec))
def test_every_tail_is_built(spec: type[Any]) -> None:
    assert spec in factory.TAILS, f"TAILS of array/factory.py lacks {spec.__name__}"


def test_every_array_is_made_by_a_rule() -> None:
    made = names_in(room(inspect.getmodule(StageRule)))
    without = {c.__name__ for c in (*get_args(ArraySpec), *get_args(TailSpec))} - made
    assert not without, f"no rule in plan/layer_rules.py makes {sorted(without)}"


@pytest.mark.parametrize("op", OPS)
def test_every_operation_is_imported_from_some_operator(op: type[Op]) -> None:
    used = names_in(room(operators)) | names_in(room(graph)) | MADE_BY_LOWERING
    assert op.__name__ in used, f"no handler in frontend/operators/ makes a {op.__name__}"


@pytest.mark.parametrize("op", OPS)
def test_every_operation_is_lowered(op: type[Op]) -> None:
    if op.__name__ in REPLACED_BY_A_PASS:
        assert op.__name__ in names_in([ROOT / AVERAGES]), (
            f"{AVERAGES} does not replace {op.__name__}"
        )
    elif not issubclass(op, Elementwise):
        cases = {name for file in room(lower) for name in cases_in(str(file.relative_to(ROOT)))}
        assert op.__name__ in cases, f"nothing in lower/ has a case for {op.__name__} ({LAYERS_OF})"


@pytest.mark.parametrize("op", [op for op in OPS if not issubclass(op, Elementwise)])
def test_every_operation_has_a_reference_in_float32(op: type[Op]) -> None:
    assert op.__name__ in cases_in(REFERENCE), f"{REFERENCE} has no case for {op.__name__}"


@pytest.mark.parametrize("op", OPS)
def test_the_shape_after_every_operation_is_known(op: type[Op]) -> None:
    made = object.__new__(op)
    weights = np.ones((3, 1, 1, 2), np.int64)
    given = {"window": ir.Window(), "weights": weights, "node": "any", "op": op.__name__}
    given |= {"factors": (2, 1), "fill": "repeat", "crop": (0, 0, 0, 0), "value": np.zeros((1, 1))}
    given |= {"signs": (1, 1), "axis": 2, "minimum": False}
    for name, value in given.items():
        object.__setattr__(made, name, value)
    between = issubclass(op, BETWEEN)
    maps = [(4, 5, 2)] * (1 + issubclass(op, JoinOp))
    found = shape_between(made, *maps) if between else output_shape(made, *maps)
    assert len(found) == 3


def test_every_operation_that_is_named_exists() -> None:
    named = {n for m in (operators, lower) for n in names_in(room(m)) if n.endswith("Op")}
    missing = named - {c.__name__ for c in subclasses(Op)} - {"Op"}
    assert not missing, f"graph/ops.py lacks {sorted(missing)}"
