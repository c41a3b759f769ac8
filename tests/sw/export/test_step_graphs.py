"""Steps of networks that branch, as files in an executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from xnorflow.evidence.executor import Executor
from xnorflow.export.step_model import step_model
from xnorflow.graph import execute
from xnorflow.graph import ops as g
from xnorflow.graph.join_ops import (
    AddMapOp,
    ConcatOp,
    MaximumOp,
    OrderOp,
    ProductOp,
    StretchOp,
    SumOp,
)
from xnorflow.ir import FRAME, Window

RNG = np.random.default_rng(3)


def conv(name: str, out: int, channels: int, **options: object) -> g.ConvOp:
    weights = RNG.integers(-1, 2, (out, 1, 1, channels))
    return g.ConvOp(weights=weights, scale=np.float32(1), window=Window(), name=name, **options)


def graph() -> g.Graph:
    """Every join and stretch, and two outputs."""
    ops = (
        conv("a", 4, 2, inputs=(FRAME,)),
        conv("b", 4, 2, inputs=(FRAME,)),
        SumOp((1, -1, 1), inputs=("a", "b", "a"), name="sum"),
        MaximumOp(inputs=("sum", "b"), name="most"),
        MaximumOp(True, inputs=("most", "a"), name="least"),
        conv("gate", 1, 2, inputs=(FRAME,)),
        ProductOp(inputs=("least", "gate"), name="product"),
        StretchOp((2, 3), "repeat", (1, 0, 0, 2), name="large"),
        StretchOp((1, 2), "zeros", inputs=("product",), name="spread"),
        StretchOp((2, 1), "blocks", inputs=("spread",), name="deep"),
        StretchOp((1, 1), "repeat", (0, 1, 1, 0), name="cropped"),
        OrderOp(name="ordered"),
        ConcatOp(0, inputs=("a", "b"), name="rows"),
        ConcatOp(1, inputs=("rows", "rows"), name="columns"),
        ConcatOp(2, inputs=("columns", "columns"), name="channels"),
        AddMapOp(np.float32(RNG.integers(0, 9, (1, 1, 8))), name="position"),
        AddMapOp(np.float32(RNG.integers(0, 9, (4, 1, 1))), name="end"),
    )
    shapes = {"end": (4, 4, 8), "ordered": (3, 3, 2), "large": (3, 4, 4)}
    outputs = []
    for name, shape in shapes.items():
        places = np.arange(np.prod(shape)).reshape(shape).transpose(2, 0, 1)
        outputs.append(g.GraphOutput(f"of/{name}", name, places.shape, places.ravel()))
    return g.Graph("net", (2, 2, 2), ops, outputs=tuple(outputs))


def test_a_graph_gives_its_float_values_bit_by_bit(tmp_path: Path) -> None:
    made, path = graph(), tmp_path / "graph.onnx"
    model = step_model(made)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    x = RNG.integers(0, 256, (5, *made.shape)).astype(np.uint8)
    found = Executor(path, outputs=[o.name for o in made.outputs]).run(x)
    assert found.sizes == tuple(len(o.gather) for o in made.outputs)
    *_, (_, want) = execute.run(made, x.astype(np.float64))
    np.testing.assert_array_equal(found.scores, want.reshape(len(x), -1))


def test_outputs_have_their_shapes(tmp_path: Path) -> None:
    model = step_model(graph())
    shapes = {
        o.name: [d.dim_value for d in o.type.tensor_type.shape.dim][1:] for o in model.graph.output
    }
    assert shapes == {"of/end": [8, 4, 4], "of/cropped": [2, 3, 3], "of/large": [4, 3, 4]}
