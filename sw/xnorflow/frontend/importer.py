"""The walk over a file's nodes that imports each, and finds the chain of operations to the output.

Each node takes the first of these ways that applies:

1. its inputs are constants: it is evaluated (`Walk._static`);
2. it only moves features: positions are moved, without an operation (`rearrange`);
3. its handler imports it (`Walk._import`), with the input's frames regrouped if it needs channels
   in another order (`_rearranged`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.constants import Folder
from xnorflow.frontend.input_frame import InputFrame
from xnorflow.frontend.model_file import ModelFile
from xnorflow.frontend.narrow import is_narrow
from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.operators.rearrange import moves_alone, rearrange
from xnorflow.frontend.operators.reshape import MOVES
from xnorflow.frontend.reframe import PixelConstants, reframed, unified
from xnorflow.frontend.registry import HANDLERS, Entry, Result, activation, handles
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
"""Operators at a network's end that saturate in floats, which makes different scores equal."""
AFTER_END = frozenset({*MOVES, "Cast", "Softmax", "LogSoftmax", "ArgMax", "TopK"})
"""Operators that may follow one that ends a network."""

TAKE_NARROW = frozenset({*MOVES, "Cast", "CastLike", "DequantizeLinear"})
"""Operators that ONNX defines for features of 2 or 4 bits."""


@dataclass
class Walk:
    """A walk over the nodes of a file.

    Parameters
    ----------
    file : ModelFile
        The file.
    ops : list of Op
        Operations from the input to the output; empty before `run`.
    notes : list of str
        Facts that a user should know, one sentence each; `run` adds to them.
    """

    file: ModelFile
    ops: list[graph.Op] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Activation:
        """Import every node and return the output; `ops` are then the operations that compute it.

        Raises
        ------
        UnsupportedModel
            If a node cannot be imported; the message names the first.
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
        """Return the value of a node that depends on constants and shapes only; None for others."""
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
        """Return the entry that imports a node; UnsupportedModel if none may."""
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
            raise node.unsupported(
                f"attribute {min(unknown)!r} is unknown.",
                f"only these attributes: {', '.join(sorted(entry.attributes)) or 'none'}.",
            )
        least, most = entry.inputs
        if not least <= len(inputs) <= most:
            raise node.unsupported(
                f"it has {len(inputs)} inputs.",
                f"{least} inputs." if least == most else f"{least} to {most} inputs.",
            )
        if len(features) > 1 and not entry.joins:
            raise node.unsupported(
                "it combines two tensors that both depend on the input.",
                "a network without branches and residual connections.",
            )
        other = next((v.dtype for v in features if v.dtype != FLOAT32), None)
        narrow = other is not None and is_narrow(other) and node.op not in TAKE_NARROW
        if other is not None and (narrow or not entry.any_type) and not x.ended:
            raise node.unsupported(
                f"its features are of type {other}.", "a Cast or DequantizeLinear to float32 first."
            )
        return entry

    def _import(self, node: Node, inputs: Sequence[Value | None]) -> Activation:
        """Return the output of a node that its handler imports."""
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
                hint="scores that are computed from the input.",
            )
        if any(other is not x for other in outputs):
            names = ", ".join(map(repr, self.file.outputs[:8]))
            raise UnsupportedModel(
                f"the network has several outputs: {names}.",
                node=self.file.outputs[-1],
                hint="one output with a score per class.",
            )
        if x.padded:
            raise UnsupportedModel(
                "the output is padded.",
                node=self.file.outputs[0],
                hint="a Pad node only before a convolution or pool.",
            )
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
    """Return the note on a node at the end that was dropped, and on what that may change."""
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
    """Import a node after the input's frames were regrouped into an order that it can read.

    The host puts samples into any order, so this works for features that only elementwise
    operations separate from the input. The error's choices are tried in order.

    Returns
    -------
    inputs : list of Value
        The node's inputs in the new frame.
    result : Result
        What the handler returned for them.

    Raises
    ------
    UnsupportedModel
        If no choice works; it is `error`, or names the operation whose constants prevent it.
    """
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
    """Import a dropout, which is the identity in inference."""
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and not (isinstance(training, Constant) and not training.value.any()):
        raise node.unsupported(
            "it drops features at random: it is in training mode.",
            "export the network in inference mode (model.eval()).",
        )
    return activation(node, inputs[0]), ()
