"""From a file like those that tf2onnx makes of Larq models to simulated Verilog.

    python examples/larq_like.py

The parameters are random, because the form of the file is the subject. TensorFlow keeps channels
last, so the graph begins and ends with transposes. tf2onnx fuses a batch-norm behind a convolution
into the convolution's weights, which are then -s and +s per channel, with a bias. Larq's `ste_sign`
turns 0 into +1 by `Sign, Add 0.1, Sign`. Larq may pad with +1 instead of 0, which becomes a `Pad`
node, and it pools before it normalises.
"""

# ruff: noqa: T201

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

import xnorflow as xf

HEIGHT, WIDTH, COLOURS, HIDDEN, CLASSES = 12, 12, 3, (16, 32), 10


class Graph:
    """A graph under construction, whose nodes and constants are named in the order they come."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: ArrayLike, dtype: type = np.float32) -> str:
        """Add a constant and return its name."""
        name = f"const_fold_opt__{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        """Add a node and return the name of its output."""
        name = f"StatefulPartitionedCall/{op}__{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, list(inputs), [f"{name}:0"], name=name, **attributes)
        )
        return f"{name}:0"

    def sign(self, x: str) -> str:
        """Add Larq's ste_sign: +1 where x >= 0, else -1."""
        return self.node("Sign", self.node("Add", self.node("Sign", x), self.constant(0.1)))

    def model(self, shape: list[int], output: str) -> onnx.ModelProto:
        """Return the finished model, whose input is `x`."""
        inp = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        out = helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, CLASSES])
        graph = helper.make_graph(self.nodes, "tf2onnx", [inp], [out], self.constants)
        opset = helper.make_opsetid("", 13)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="tf2onnx")
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def build(rng: np.random.Generator) -> onnx.ModelProto:
    """Build the file from random parameters."""

    def signs(*shape: int) -> np.ndarray:
        return rng.choice([-1.0, 1.0], shape)

    def gammas(channels: int) -> np.ndarray:
        return rng.uniform(0.5, 1.5, channels) * signs(channels)

    g, (first, second) = Graph(), HIDDEN
    x = g.node("Transpose", "x", perm=[0, 3, 1, 2])

    # QuantConv2D(padding="same"), BatchNormalization: one Conv, weights -s and +s, a bias.
    factor = gammas(first) / np.sqrt(rng.uniform(1, 9, first))
    weights = signs(first, COLOURS, 3, 3) * factor[:, None, None, None]
    bias = rng.normal(0, 1, first)
    x = g.node(
        "Conv",
        x,
        g.constant(weights),
        g.constant(bias),
        pads=[1, 1, 1, 1],
        kernel_shape=[3, 3],
        strides=[1, 1],
        dilations=[1, 1],
        group=1,
    )

    # QuantConv2D(padding="same", pad_values=1), MaxPool2D, BatchNormalization.
    x = g.node("Pad", g.sign(x), g.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), g.constant(1.0))
    x = g.node(
        "Conv",
        x,
        g.constant(signs(second, first, 3, 3)),
        kernel_shape=[3, 3],
        strides=[1, 1],
        dilations=[1, 1],
        group=1,
    )
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.node(
        "BatchNormalization",
        x,
        g.constant(gammas(second)),
        g.constant(rng.normal(0, 1, second)),
        g.constant(rng.normal(20, 9, second)),
        g.constant(rng.uniform(50, 200, second)),
        epsilon=1e-3,
    )

    # Flatten, QuantDense, BatchNormalization as Mul and Add, Softmax.
    features = HEIGHT // 2 * (WIDTH // 2) * second
    x = g.node("Transpose", g.sign(x), perm=[0, 2, 3, 1])
    x = g.node("Reshape", x, g.constant([-1, features], np.int64))
    x = g.node("MatMul", x, g.constant(signs(features, CLASSES)))
    x = g.node("Mul", x, g.constant(rng.uniform(0.05, 0.15, CLASSES)))
    x = g.node("Add", x, g.constant(rng.normal(0, 0.5, CLASSES)))
    return g.model([1, HEIGHT, WIDTH, COLOURS], g.node("Softmax", x, axis=-1))


def main() -> None:
    """Build the file, import it, compare it with ONNX Runtime, and simulate its hardware."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (100, HEIGHT, WIDTH, COLOURS), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "larq_like.onnx"
        onnx.save(build(rng), str(path))
        net = xf.load(path, input_scale=1 / 255)
        for layer, inp, out in net:
            print(f"{layer.name:18} {inp.shape!s:14} {inp.alphabet} -> {out.shape} {out.alphabet}")

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        frames = x.astype(np.float32)[:, None] * np.float32(1 / 255)
        original = np.concatenate([session.run(None, {"x": frame})[0] for frame in frames])
        wrong = (net(x).argmax(1) != original.argmax(1)).sum()
        print(f"{len(x)} random frames: {wrong} labels differ from ONNX Runtime's")

        design = xf.compile(net, cycles=3000)
        run = design.simulate(x[:20])  # raises CheckFailed where a score differs
        print(f"simulated: {len(run.labels)} frames equal, II {run.ii}, latency {run.latency}")


if __name__ == "__main__":
    main()
