"""Turns the nodes of a file into a chain of operations, following the one tensor of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.constants import Folder
from xnorflow.frontend.input_frame import InputFrame
from xnorflow.frontend.model_file import ModelFile
from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.rearrange import moves_alone, rearrange
from xnorflow.frontend.reframe import PixelConstants, reframed, unified
from xnorflow.frontend.registry import HANDLERS, Entry, Result, activation, handles
from xnorflow.frontend.reshape import MOVES
from xnorflow.frontend.values import (
    FLOAT32,
    Activation,
    Constant,
    LayoutError,
    Value,
    extended,
    fork,
    operations,
    same_source,
)
from xnorflow.frontend.ways_out import way_out
from xnorflow.graph import ops as graph

SATURATING = frozenset({"Softmax", "LogSoftmax"})
"""Ends that make different scores equal where floats do."""
AFTER_END = frozenset({*MOVES, "Cast", "Softmax", "LogSoftmax", "ArgMax", "TopK"})


@dataclass
class Walk:
    """The state of one pass over a file.

    Parameters
    ----------
    file : ModelFile
    """

    file: ModelFile
    ops: list[graph.Op] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Activation:
        """Import every node, and give the output's tensor; `ops` are the operations that make it.

        Raises
        ------
        UnsupportedModel
            Naming the first node that cannot be imported.
        """
        folder = Folder(self.file.opset)
        env: dict[str, Value] = {n: Constant(a) for n, a in self.file.constants.items()}
        source = InputFrame.of(self.file.input_shape[1:])
        env[self.file.input] = Activation(source.frame, source.index, source=source, raw=True)
        needed = {n for node in self.file.nodes for n in node.inputs} | set(self.file.outputs)
        for node in self.file.nodes:
            inputs = [env.get(name) if name else None for name in node.inputs]
            while inputs and inputs[-1] is None:
                inputs.pop()
            used = [name for name in node.outputs if name in needed]
            value: Value | None = self._static(node, inputs, folder)
            if value is None and moves_alone(node) and not _ended(inputs):
                self._allowed(node, inputs)
                made = rearrange(node, inputs, folder)
                env.update((n, a) for n, a in zip(node.outputs, made, strict=False) if n in used)
                continue
            if value is None:
                value = self._import(node, inputs)
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

    @staticmethod
    def _allowed(node: Node, inputs: Sequence[Value | None]) -> Entry:
        """Return how to import a node; UnsupportedModel where nothing can."""
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
        return entry

    def _import(self, node: Node, inputs: Sequence[Value | None]) -> Activation:
        entry = self._allowed(node, inputs)
        same = iter(unified([v for v in inputs if isinstance(v, Activation)]))
        inputs = [next(same) if isinstance(v, Activation) else v for v in inputs]
        try:
            result, ops = entry.handler(node, inputs)
        except LayoutError as e:
            inputs, (result, ops) = _rearranged(node, inputs, entry, e)
        features = [v for v in inputs if isinstance(v, Activation)]
        x = features[0]
        source = x.source
        if x.raw and not result.raw and source is not None:
            first = next((op for op in ops if not isinstance(op, graph.Elementwise)), None)
            flat = source.frame[:2] == (1, 1) or isinstance(first, graph.FlattenOp)
            source = replace(source, told=not flat)
        self.notes.extend(node.notes)
        if result.ended and not x.ended:
            self.notes.append(dropped(node))
        return replace(
            result,
            ended=result.ended or x.ended,
            made_by=extended(fork([v.made_by for v in features]), ops, x.frame),
            source=source,
        )

    def _output(self, env: dict[str, Value]) -> Activation:
        outputs = [env[name] for name in self.file.outputs]
        x = outputs[0]
        if not isinstance(x, Activation):
            raise UnsupportedModel(
                "the output does not depend on the input.",
                node=self.file.outputs[0],
                hint="an output that is computed of the input.",
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
        if not np.array_equal(x.index.ravel(), np.arange(np.prod(x.frame))):
            raise UnsupportedModel(
                "the output's scores are in another order than row, column, channel.",
                node=self.file.outputs[0],
                hint="classifier scores [1, classes].",
            )
        return x


def dropped(node: Node) -> str:
    """Say that the end of a network was dropped, and what that may change."""
    text = (
        f"{node.op} {node.name!r} at the end was dropped: it does not change the order of the"
        " scores."
    )
    if node.op in SATURATING:
        text += (
            " Where it saturates in float32 it makes different scores equal, so that a label of the"
            " file itself, the first of equal ones, can differ there."
        )
    return text


def _rearranged(
    node: Node, inputs: Sequence[Value | None], entry: Entry, error: LayoutError
) -> tuple[list[Value | None], Result]:
    """Put the input's frames together as a node wants them, and import it; or raise."""
    features = [v for v in inputs if isinstance(v, Activation)]
    raw = all(v.raw and same_source(v, features[0]) for v in features)
    blame: graph.Op | None = None
    for choice in error.choices if raw else ():
        try:
            moved = iter(reframed(features, choice))
        except PixelConstants as e:
            blame = e.op
            continue
        again = [next(moved) if isinstance(v, Activation) else v for v in inputs]
        node.notes.clear()
        try:
            return again, entry.handler(node, again)
        except LayoutError:
            continue
    if blame is None:
        raise error
    raise UnsupportedModel(
        f"its constants differ from pixel to pixel in the order that {node.op} {node.name!r}"
        " needs.",
        node=blame.node,
        op=blame.op,
        hint="constants per tensor or per channel.",
    )


def _ended(inputs: Sequence[Value | None]) -> bool:
    return any(isinstance(v, Activation) and v.ended for v in inputs)


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
