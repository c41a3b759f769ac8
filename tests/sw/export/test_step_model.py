"""Every step of the lowering, as a file in an executor, orders the scores alike."""

from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from xnorflow import demo
from xnorflow.errors import CheckFailed, UnsupportedModel
from xnorflow.evidence.executor import Executor
from xnorflow.export import checked as checked_export
from xnorflow.export import export_steps
from xnorflow.export.step_model import step_model
from xnorflow.frontend import read
from xnorflow.graph import ops as g
from xnorflow.lower import PASSES, lower

from ..lower import reference
from ..lower.draw_graph import graphs


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_a_drawn_graph_gives_its_float_scores_bit_by_bit(tmp_path_factory, graph, seed):
    x = np.random.default_rng(seed).integers(0, 256, (4, *graph.shape), np.uint8)
    try:
        lower(graph)
    except UnsupportedModel:
        reject()
    folder = tmp_path_factory.mktemp("steps")
    try:
        onnx.save(step_model(graph), folder / "graph.onnx")
    except UnsupportedModel as e:
        assert "dilated average pool" in str(e)
        reject()
    np.testing.assert_array_equal(
        Executor(folder / "graph.onnx").run(x).scores, reference.run(graph, x)
    )
    made = export_steps(graph, folder, x=x)
    assert len(made) == len(PASSES) + 2 and not any(e.differing for e in made)


def test_each_pass_is_a_file_in_order(tmp_path):
    graph = read(demo.model_path())
    made = export_steps(graph, tmp_path)
    names = ["imported", *(p.__name__ for p in PASSES), "integer"]
    assert [e.path.name for e in made] == [f"{i:02d}_{n}.onnx" for i, n in enumerate(names)]
    assert {e.frames for e in made} == {16}


def test_a_pass_that_changes_the_function_is_found(tmp_path, monkeypatch):
    from xnorflow import lower as lowering

    graph = read(demo.model_path())

    def harmful(graph):
        last = graph.ops[-1]
        assert isinstance(last, g.ConvOp)
        return replace(graph, ops=(*graph.ops[:-1], replace(last, weights=-last.weights)))

    steps = list(lowering.lowering_steps(graph))
    steps[2] = ("harmful", harmful(steps[2][1]))
    monkeypatch.setattr(checked_export, "lowering_steps", lambda graph, fixed: steps)
    with pytest.raises(CheckFailed, match=r"02_harmful.onnx orders the scores of 1\d of 16"):
        export_steps(graph, tmp_path)


def test_an_operation_without_a_node_is_refused_by_name():
    @dataclass(frozen=True, eq=False)
    class HalveOp(g.Elementwise):
        def apply(self, x):
            return x / 2

    graph = g.Graph("net", (1, 1, 2), (HalveOp(node="half", op="Halve"),))
    with pytest.raises(UnsupportedModel, match="Halve node 'half'.*without --passes"):
        step_model(graph)
