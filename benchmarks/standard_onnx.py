"""QONNX models with standard ONNX operators, so that ONNX Runtime runs whole batches of them.

This is an independent executor of the network: it shares no code with the frontend and the
lowering. Each rewrite follows the operator's definition in the QONNX specification.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

DOMAINS = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")


class _Rewriter:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph, self.count = graph, 0
        self.constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self.nodes: list[onnx.NodeProto] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"standard_{self.count}"
        self.count += 1
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"standard_{self.count}"
        self.count += 1
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def rewrite(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        x, output = node.input[0], node.output[0]
        if node.op_type == "BipolarQuant":
            scale = self.constants[node.input[1]]
            reached = self.add("GreaterOrEqual", x, self.constant(0.0))
            self.add("Where", reached, self.constant(scale), self.constant(-scale), output=output)
        elif node.op_type == "Quant":
            scale, zero, bits = (self.constants[n] for n in node.input[1:4])
            signed, narrow = attributes["signed"], attributes["narrow"]
            low = -(2.0 ** (bits - 1)) + narrow if signed else 0.0
            high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - narrow
            y = self.add("Add", self.add("Div", x, self.constant(scale)), self.constant(zero))
            y = self.add("Clip", y, self.constant(low), self.constant(high))
            mode = attributes["rounding_mode"].decode()
            if mode in ("ROUND", "HALF_EVEN"):
                y = self.add("Round", y)
            elif mode == "HALF_UP":
                y = self.add("Floor", self.add("Add", y, self.constant(0.5)))
            else:
                raise SystemExit(f"rounding mode {mode} is not rewritten here")
            y = self.add("Sub", y, self.constant(zero))
            self.add("Mul", y, self.constant(scale), output=output)
        elif node.op_type == "MultiThreshold":
            thresholds = self.constants[node.input[1]]
            rank = 4 if self.rank(x) == 4 else 2
            total = ""
            for column in thresholds.T:
                column = column.reshape(1, -1, *[1] * (rank - 2))
                hit = self.add("GreaterOrEqual", x, self.constant(column))
                hit = self.add("Cast", hit, to=onnx.TensorProto.FLOAT)
                total = self.add("Add", total, hit) if total else hit
            y = self.add("Mul", total, self.constant(attributes["out_scale"]))
            self.add("Add", y, self.constant(attributes["out_bias"]), output=output)
        else:
            raise SystemExit(f"{node.op_type} is not rewritten here")

    def rank(self, tensor: str) -> int:
        """Return the number of axes: 4 behind a convolution or pool, 2 behind a matrix product."""
        maker = next(n for n in self.graph.node if tensor in n.output)
        return 4 if maker.op_type in ("Conv", "MaxPool") else 2


def standard(path: Path) -> onnx.ModelProto:
    """Return a model of standard operators with a free batch dimension."""
    model = onnx.load(path)
    graph = model.graph
    rewriter = _Rewriter(graph)
    for node in graph.node:
        if node.domain in DOMAINS:
            rewriter.rewrite(node)
        else:
            rewriter.nodes.append(node)
    del graph.node[:]
    graph.node.extend(rewriter.nodes)
    names = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in names]
    for value in [*inputs, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]
    for opset in list(model.opset_import):
        if opset.domain:
            model.opset_import.remove(opset)
        elif opset.version < 12:
            # Opset 12 is the first with GreaterOrEqual; from 9 to 12 no other operator changed.
            opset.version = 12
    model.ir_version = max(model.ir_version, 7)
    return model


def session(model: onnx.ModelProto, threads: int, fuse: bool) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's session of a model; with `fuse` it merges operators."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not fuse:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class Executor:
    """ONNX Runtime in float32 on a file, with a number of threads.

    With `fuse` it merges operators, and then rounds otherwise than the file's own operations do.
    """

    def __init__(self, path: Path, threads: int = 1, fuse: bool = True) -> None:
        self.session = session(standard(path), threads, fuse)

    def __call__(self, x: NDArray[np.uint8], scale: float, batch: int = 100) -> NDArray[np.float32]:
        """Return the float32 scores [N, classes] of uint8 frames [N, H, W] or [N, H, W, C]."""
        x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
        name = self.session.get_inputs()[0].name
        parts = []
        for first in range(0, len(x), batch):
            samples = x[first : first + batch].astype(np.float32) * np.float32(scale)
            parts.append(self.session.run(None, {name: samples})[0])
        return np.concatenate(parts)
