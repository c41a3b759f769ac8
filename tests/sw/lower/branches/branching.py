"""Branching graphs for tests, built by hand, and the comparison with float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph import execute
from xnorflow.graph import ops as g
from xnorflow.ir import IntegerNetwork, Window
from xnorflow.lower import lower


def f32(*values: Any) -> NDArray[np.float32]:
    """Return float32 constants: a scalar, or one per channel."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


@dataclass
class Builder:
    """Builds a graph operation by operation; each method of a value returns its name."""

    shape: tuple[int, int, int]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    ops: list[g.Op] = field(default_factory=list)

    def add(self, op: g.Op, *inputs: str) -> str:
        name = f"v{len(self.ops)}"
        self.ops.append(replace(op, node=f"n{len(self.ops)}", name=name, inputs=inputs))
        return name

    def conv(
        self,
        x: str,
        channels: int,
        out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        scale: Any = 1.0,
        pad: float = 0.0,
        weights: Sequence[int] = (-1, 1),
        bias: Any = None,
        groups: int = 1,
    ) -> str:
        w = self.rng.choice(weights, (out, kernel, kernel, channels // groups)).astype(np.int64)
        half = kernel // 2
        window = Window((kernel, kernel), (stride, stride), pads=(half,) * 4)
        constant = None if bias is None else np.asarray(bias, np.float32)
        return self.add(g.ConvOp(w, f32(scale), window, pad, constant, groups, op="Conv"), x)

    def sign(self, x: str) -> str:
        return self.add(g.BipolarQuantOp(f32(1.0), op="BipolarQuant"), x)

    def norm(self, x: str, a: Any, b: Any) -> str:
        """x * a + b."""
        a, b = (np.atleast_1d(np.asarray(v, np.float32)) for v in (a, b))
        scaled = self.add(g.MultiplyOp(a, op="Mul"), x)
        return self.add(g.AddOp(b, op="Add"), scaled)

    def head(self, x: str, features: int, classes: int) -> str:
        """Sign, flattening and dense layer."""
        flat = self.add(g.FlattenOp(op="Flatten"), self.sign(x))
        w = self.rng.choice([-1, 1], (classes, 1, 1, features)).astype(np.int64)
        return self.add(g.ConvOp(w, f32(1.0), op="Gemm"), flat)

    def graph(self, **kwargs: Any) -> g.Graph:
        return g.Graph("net", self.shape, tuple(self.ops), **kwargs)


def samples(graph: g.Graph, count: int = 12, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *graph.shape)).astype(np.uint8)


def float_scores(graph: g.Graph, x: NDArray[Any]) -> NDArray[np.float64]:
    return execute.scores(graph, x.astype(np.float64) * graph.input_scale.factor)


def scores(net: IntegerNetwork, x: NDArray[Any]) -> NDArray[Any]:
    """Return the elements of all outputs, one output after the other."""
    return np.concatenate([v.reshape(len(x), -1) for v in net.evaluate(x).values()], 1)


def check(graph: g.Graph, count: int = 12) -> IntegerNetwork:
    """Lower a graph, and compare the order of all scores of each output with float64."""
    net = lower(graph)
    x = samples(graph, count)
    want, got = float_scores(graph, x), scores(net, x)
    assert got.shape == want.shape
    at = 0
    for size in [o.gather.size for o in net.outputs] or [want.shape[1]]:
        a, b = got[:, at : at + size], want[:, at : at + size]
        at += size
        assert (np.sign(a[:, :, None] - a[:, None]) == np.sign(b[:, :, None] - b[:, None])).all()
        assert len(np.unique(b)) > 1
    return net
