"""Good files of every kind that xnorflow reads, to be damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

import xnorflow as xf
from xnorflow import demo
from xnorflow.ir import file as ir_file


def _small_onnx(path: Path) -> None:
    """Write a dense network: batch-norm, sign, Gemm, and a multiplication with a scale."""
    rng = np.random.default_rng(1)
    arrays = {
        "w0": rng.choice([-1.0, 1.0], (12, 8)),
        "gamma": rng.normal(size=8),
        "beta": rng.normal(size=8),
        "mean": rng.normal(size=8) * 100,
        "var": rng.uniform(1, 9, 8),
        "w1": rng.choice([-1.0, 1.0], (3, 8)),
        "b1": rng.integers(-3, 3, 3),
        "scale": np.array(0.25),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], name="dense"),
        helper.make_node("BatchNormalization", ["a", "gamma", "beta", "mean", "var"], ["b"]),
        helper.make_node("Sign", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "w1", "b1"], ["d"], transB=1, name="last"),
        helper.make_node("Mul", ["d", "scale"], ["y"]),
    ]
    _write_onnx(path, nodes, arrays, [1, 12], [])


def _quantised_onnx(path: Path) -> None:
    """Write a convolution and a dense layer with weights and activations of several bits."""
    rng = np.random.default_rng(2)
    arrays = {
        "w0": rng.integers(-3, 4, (4, 1, 3, 3)) / 4,
        "w1": rng.integers(-7, 8, (16, 3)) / 8,
        "s0": np.array(0.25), "s1": np.array(0.125), "s2": np.array(0.5), "zero": np.array(0.0),
        "three": np.array(3.0), "four": np.array(4.0), "two": np.array(2.0),
    }  # fmt: skip
    domain = "qonnx.custom_op.general"
    options: dict[str, Any] = {"domain": domain, "narrow": 0, "rounding_mode": "ROUND"}
    nodes = [
        helper.make_node("Quant", ["w0", "s0", "zero", "three"], ["q0"], signed=1, **options),
        helper.make_node("Conv", ["x", "q0"], ["a"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Quant", ["b", "s2", "zero", "two"], ["c"], signed=0, **options),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Quant", ["w1", "s1", "zero", "four"], ["q1"], signed=1, **options),
        helper.make_node("MatMul", ["d", "q1"], ["y"]),
    ]
    _write_onnx(path, nodes, arrays, [1, 1, 4, 4], [domain])


def _write_onnx(
    path: Path,
    nodes: list[onnx.NodeProto],
    arrays: dict[str, np.ndarray[Any, Any]],
    shape: list[int],
    domains: list[str],
) -> None:
    tensors = [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()]
    kinds = [helper.make_tensor_value_info("x", 1, shape)]
    out = [helper.make_tensor_value_info("y", 1, [1, 3])]
    graph = helper.make_graph(nodes, path.stem, kinds, out, tensors)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())


def prepare(folder: Path) -> None:
    """Write one good file of every kind."""
    data = demo.data()
    x, y = data["x_test"][:6], data["y_test"][:6]
    shutil.copy(demo.model_path(), folder / "digits.onnx")
    _small_onnx(folder / "small.onnx")
    _quantised_onnx(folder / "quantised.onnx")
    np.savez(folder / "stored.npz", x=x, y=y)
    np.savez_compressed(folder / "packed.npz", x_test=x, y_test=y, other=np.zeros(3))
    np.save(folder / "frames.npy", x)
    net = xf.load(folder / "digits.onnx")
    ir_file.save(net, folder / "network.npz")
    small = xf.load(folder / "small.onnx")
    xf.compile(small, cycles=24).write(folder / "design")
    (folder / "folding.json").write_text(
        json.dumps({"layers": {"conv0": {"pe": 4, "simd": 1}, "dense0": {"pe": 10, "simd": 8}}})
    )
    finn = {f"MVAU_hls_{i}": {"PE": 2, "SIMD": 1, "ram_style": "block"} for i in range(4)}
    (folder / "finn.json").write_text(json.dumps({"Defaults": {}, **finn}))
    for name, mode in (("grey", "L"), ("colour", "RGB"), ("palette", "P")):
        (folder / name).mkdir()
        for i, frame in enumerate(x[:3]):
            Image.fromarray(frame * 15).convert(mode).save(folder / name / f"{i}_a.png")
