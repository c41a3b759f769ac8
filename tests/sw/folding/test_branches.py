"""Foldings of networks that branch: for a target, for a board, and from a file."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from xnorflow.compiler import compile_network
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput
from xnorflow.folding import narrowest
from xnorflow.folding.branches import Branches, is_chain
from xnorflow.folding.costs import Prices
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import reductions
from xnorflow.resources.summarise import engine_summaries

from ...small_graphs import SMALL

FAMILY = fpga("ulx3s-85f").family
PRICES = Prices(30.0, 0.5)


def branches(name: str) -> Branches:
    net = SMALL[name]()
    parts = reductions(net)
    folds = narrowest.for_cycles(parts, 2000)
    examples = engine_summaries(parts, accelerator(net, folds, in_lanes=1))
    return Branches(net, parts, examples, FAMILY, 1)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("cycles", [300, 1000, 5000])
def test_a_folding_is_as_fast_as_asked(name: str, cycles: int) -> None:
    made = compile_network(SMALL[name](), cycles=cycles)
    assert made.ii == made.timing.bound <= cycles
    assert not is_chain(made.parts)
    choice = branches(name).cheapest(cycles, PRICES)
    assert choice is not None
    for part, fold in zip(made.parts, choice.folds, strict=True):
        part.check(fold)
        assert part.cycles(fold) <= cycles


def test_a_target_out_of_reach_has_no_folding() -> None:
    assert branches("residual").cheapest(10, PRICES) is None
    with pytest.raises(BadInput, match="10 cycles per frame are out of reach"):
        compile_network(SMALL["residual"](), cycles=10)


def test_the_choice_is_the_cheapest_of_all() -> None:
    """All foldings of three parts are tried, with the others as they were chosen."""
    found = branches("residual")
    own = found._own_costs(700, PRICES, 0)
    matrices = [link.options.cost(700, PRICES) for link in found.links]
    choice = found.cheapest(700, PRICES)
    assert choice is not None
    chosen = [e.folds.index(f) for e, f in zip(found.engines, choice.folds, strict=True)]
    least = found._total(own, matrices, chosen)
    for some in ((0, 1, 3), (1, 2, 3)):
        few = [np.argsort(own[k])[:12] for k in some]
        for tried in product(*few):
            other = list(chosen)
            for k, at in zip(some, tried, strict=True):
                other[k] = int(at)
            assert found._total(own, matrices, other) >= least - 1e-6


def test_a_board_gets_a_design_that_fits() -> None:
    made = compile_network(SMALL["residual"](), "ulx3s-85f")
    assert made.ii == made.timing.bound
    slower = compile_network(SMALL["residual"](), "ulx3s-85f", cycles=20 * made.ii)
    assert slower.ii <= 20 * made.ii
    used = [design.summary()["resources"]["lut"] for design in (made, slower)]
    assert used[1] < used[0]


def test_a_folding_file_need_not_name_joins(tmp_path: Path) -> None:
    net = SMALL["gate"]()
    path = tmp_path / "folding.json"
    layers = {p.name: {"pe": 1, "simd": 1} for p in reductions(net) if not isinstance(p, Joint)}
    path.write_text(json.dumps({"layers": layers}))
    made = compile_network(net, folding=path)
    assert [(f.pe, f.simd) for f in made.folds] == [(1, 1)] * len(made.folds)
    path.write_text(json.dumps({"layers": {**layers, "scaled": {"pe": 4, "simd": 4}}}))
    assert compile_network(net, folding=path).folds[4].pe == 4


@pytest.mark.parametrize("name", SMALL)
def test_a_design_is_written_and_read(name: str, tmp_path: Path) -> None:
    made = compile_network(SMALL[name](), cycles=2000)
    made.write(tmp_path / "design")
    again = type(made).read(tmp_path / "design")
    assert again.digest == made.digest and again.folds == made.folds
    joined = [part for part in made.parts if len(part.reads) > 1]
    ports = [port for port in made.summary()["streams"] if port["source"]]
    assert len(ports) >= len(made.parts) + len(joined)
