"""Turns the nodes of a file into a chain of operations, following the one tensor of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import (
    axis_sums,
    dense,
    elementwise,
    fan_out,
    function_nodes,
    integers,
    quantised_layers,
    windows,
)
from xnorflow.frontend import dropped_ends as ending
from xnorflow.frontend.constants import Folder
from xnorflow.frontend.model_file import ModelFile
from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.registry import HANDLERS, Result, activation, handles
from xnorflow.frontend.reshape import MOVES, WITH_OPERAND, move
from xnorflow.frontend.values import (
    FLOAT32,
    Activation,
    Constant,
    Value,
    extended,
    fork,
    operations,
)
from xnorflow.frontend.ways_out import way_out
from xnorflow.graph import ops as graph

HANDLER_MODULES = (
    dense,
    elementwise,
    ending,
    fan_out,
    function_nodes,
    integers,
    quantised_layers,
    axis_sums,
    windows,
)
"""Importing them registers their handlers."""
AFTER_END = frozenset({*MOVES, "Cast", "Softmax", "LogSoftmax", "ArgMax", "TopK"})


@dataclass
class Walk:
    """The state of one pass over a file.

    Parameters
    ----------
    file : ModelFile
    start : Activation
        The input.
    """

    file: ModelFile
    start: Activation
    ops: list[graph.Op] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Activation:
        """Import every node into `ops` and give the output's tensor.

        Raises
        ------
        UnsupportedModel
            Naming the first node that cannot be imported.
        """
        folder = Folder(self.file.opset)
        env: dict[str, Value] = {n: Constant(a) for n, a in self.file.constants.items()}
        env[self.file.input] = self.start
        needed = {n for node in self.file.nodes for n in node.inputs} | set(self.file.outputs)
        for node in self.file.nodes:
            inputs = [env.get(name) if name else None for name in node.inputs]
            while inputs and inputs[-1] is None:
                inputs.pop()
            value: Value | None = self._static(node, inputs, folder)
            if value is None:
                value = self._import(node, inputs)
            used = [name for name in node.outputs if name in needed]
            if used != list(node.outputs[:1]) and node.op != "TopK":
                raise node.unsupported(
                    f"its outputs {used} are used.", "only the first output of a node."
                )
            env.update(dict.fromkeys(used, value))
        self.notes.extend(folder.notes)
        return self._output(env)

    def _static(
        self, node: Node, inputs: Sequence[Value | None], folder: Folder
    ) -> Constant | None:
        """Evaluate a node that depends on constants and static shapes only; None for others."""
        if node.family == STANDARD and node.op in ("Shape", "Size") and inputs:
            x = inputs[0]
            shape = x.index.shape if isinstance(x, Activation) else x.value.shape if x else ()
            if node.op == "Size":
                return Constant(np.array(int(np.prod(shape)), np.int64))
            ends = slice(node.integer("start", 0), node.integer("end", len(shape)))
            return Constant(np.array(shape[ends], np.int64))
        constants = [v for v in inputs if not isinstance(v, Activation)]
        return folder.fold(node, constants) if len(constants) == len(inputs) else None

    def _import(self, node: Node, inputs: Sequence[Value | None]) -> Activation:
        features = [v for v in inputs if isinstance(v, Activation)]
        x = features[0]
        if x.ended and node.op not in AFTER_END:
            raise node.unsupported(
                f"it follows {x.ended!r}, which ends a network.",
                "classifier scores, softmax or arg-max as the last layer.",
            )
        entry = HANDLERS.get((node.family, node.op)) if node.family is not None else None
        if entry is None:
            domain = f" of the domain {node.domain!r}" if node.domain else ""
            raise node.unsupported(
                f"the operator {node.op}{domain} cannot be mapped.",
                way_out(node.op),
            )
        unknown = node.attribute_names - entry.attributes
        if unknown:
            raise node.unsupported(f"attribute {min(unknown)!r} is unknown.")
        least, most = entry.inputs
        if not least <= len(inputs) <= most:
            raise node.unsupported(f"it has {len(inputs)} inputs.")
        if len(features) > 1 and not entry.joins:
            raise node.unsupported(
                "it combines two tensors that both depend on the input.",
                "a network without branches and residual connections.",
            )
        other = next((v.dtype for v in features if v.dtype != FLOAT32), None)
        if other is not None and not entry.any_type and not x.ended:
            raise node.unsupported(
                f"its features are of type {other}.", "a Cast or DequantizeLinear to float32 first."
            )
        start = fork([v.made_by for v in features])
        result, ops = entry.handler(node, inputs)
        result = replace(result, made_by=extended(start, ops, x.frame))
        self.ops.extend(ops)
        self.notes.extend(node.notes)
        if result.ended and not x.ended:
            self.notes.append(
                f"{node.op} {node.name!r} at the end was dropped:"
                " it does not change the order of the scores."
            )
        return replace(result, ended=result.ended or x.ended)

    def _output(self, env: dict[str, Value]) -> Activation:
        outputs = [env[name] for name in self.file.outputs]
        x = outputs[0]
        if not isinstance(x, Activation):
            raise UnsupportedModel(
                "the output does not depend on the input.", node=self.file.outputs[0]
            )
        if any(other is not x for other in outputs):
            names = ", ".join(map(repr, self.file.outputs[:8]))
            raise UnsupportedModel(
                f"the network has several outputs: {names}.",
                node=self.file.outputs[-1],
                hint="one output with a score per class.",
            )
        if x.padded:
            raise UnsupportedModel("the output is padded.", node=self.file.outputs[0])
        self.ops = list(operations(x.made_by))
        if x.frame[0] * x.frame[1] > 1:
            self.ops.append(graph.FlattenOp(node=self.file.outputs[0], op="output"))
        if not np.array_equal(x.index.ravel(), np.arange(x.index.size)):
            raise UnsupportedModel(
                "the output's scores are in another order than row, column, channel.",
                node=self.file.outputs[0],
                hint="classifier scores [1, classes].",
            )
        return x


def moved(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a change of shape: only the index changes."""
    x = activation(node, inputs[0])
    if x.ended:
        return x, ()
    operands = [v.value if isinstance(v, Constant) else None for v in inputs[1:]]
    return replace(x, index=move(node, x.index, operands)), ()


for _op, (_, _attributes) in MOVES.items():
    _most = 2 if _op in WITH_OPERAND else 1
    handles(_op, attributes=" ".join(_attributes), inputs=(1, _most), any_type=True)(moved)


@handles("Dropout", attributes="ratio seed is_test", inputs=(1, 3), any_type=True)
def dropout(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a dropout, which does nothing in inference."""
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and not (isinstance(training, Constant) and not training.value.any()):
        raise node.unsupported(
            "it drops features at random: it is in training mode.",
            "export the network in inference mode (model.eval()).",
        )
    return activation(node, inputs[0]), ()
