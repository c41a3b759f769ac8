"""The walk over a file's nodes that imports each, and finds the operations that make its outputs.

Each node takes the first of these ways that applies:

1. its inputs are constants: it is evaluated (`Walk._static`);
2. it only moves features: positions are moved, without an operation (`rearrange`);
3. its handler imports it (`Walk._import`), with features regrouped if it needs them in another
   order (`_rearranged`): those of the input by the host, others by layers.

Files whose branches need the input in different orders, or that have constants which differ from
pixel to pixel in the order that a layer needs, are walked over once more, from one fixed frame.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xnorflow.frontend.arrangement import arranged
from xnorflow.frontend.constants import Folder
from xnorflow.frontend.heads import Heads, heads
from xnorflow.frontend.input_frame import InputFrame
from xnorflow.frontend.limits import MAX_BUILT, MAX_STEPS
from xnorflow.frontend.model_file import ModelFile
from xnorflow.frontend.narrow import is_narrow
from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.operators.rearrange import moves_alone, rearrange
from xnorflow.frontend.operators.reshape import MOVES
from xnorflow.frontend.reframe import PixelConstants, reframed, unified
from xnorflow.frontend.registry import (
    HANDLERS,
    Entry,
    Joined,
    Outcome,
    Result,
    activation,
    handles,
)
from xnorflow.frontend.steps import Step, Tally, extended
from xnorflow.frontend.values import (
    FLOAT32,
    Activation,
    Constant,
    FrameConflict,
    LayoutError,
    Value,
    agreed_source,
    same_source,
)
from xnorflow.frontend.ways_out import way_out
from xnorflow.graph import ops as graph
from xnorflow.graph.join_ops import JoinOp

AFTER_END = frozenset({*MOVES, "Cast", "Softmax", "LogSoftmax", "ArgMax", "TopK", "OneHot"})
"""Operators that may follow one that ends a network."""

TAKE_NARROW = frozenset({*MOVES, "Cast", "CastLike", "DequantizeLinear"})
"""Operators that ONNX defines for features of 2 or 4 bits."""


def imported(file: ModelFile) -> tuple[Heads, list[str]]:
    """Return the outputs of a file with the operations that make them, and notes for the user.

    Raises
    ------
    UnsupportedModel
        If a node cannot be imported; the message names the first.
    """
    walk = Walk(file)
    try:
        return walk.run(), walk.notes
    except FrameConflict as e:
        shape = file.input_shape[1:]
        fixed = Walk(file, _whole_frame(e.sources) or InputFrame.of(shape))
        return fixed.run(), fixed.notes


def _whole_frame(sources: Sequence[InputFrame]) -> InputFrame | None:
    """Return the first frame that holds every sample exactly once."""
    for s in sources:
        if np.array_equal(np.sort(s.gather), np.arange(math.prod(s.shape))):
            return s
    return None


@dataclass
class Walk:
    """A walk over the nodes of a file.

    Parameters
    ----------
    file : ModelFile
        The file.
    frame : InputFrame, optional
        The input's frame, if no layer may ask for another one.
    notes : list of str
        Facts that a user should know, one sentence each; `run` adds to them.
    tally : Tally
        The operations that were built so far.
    """

    file: ModelFile
    frame: InputFrame | None = None
    notes: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def run(self) -> Heads:
        """Import every node, and return the outputs with the operations that compute them.

        Raises
        ------
        UnsupportedModel
            If a node cannot be imported; the message names the first.
        FrameConflict
            If branches need different frames of the input, or a layer one in which constants
            differ from pixel to pixel.
        """
        folder = Folder(self.file.opset)
        env: dict[str, Value] = {n: Constant(a) for n, a in self.file.constants.items()}
        source = self.frame or InputFrame.of(self.file.input_shape[1:])
        raw = self.frame is None
        env[self.file.input] = Activation(source.frame, source.index, source=source, raw=raw)
        readers = Counter(n for node in self.file.nodes for n in set(node.inputs))
        readers.update(self.file.outputs)
        for node in self.file.nodes:
            inputs = [env.get(name) if name else None for name in node.inputs]
            while inputs and inputs[-1] is None:
                inputs.pop()
            used = [name for name in node.outputs if name in readers]
            env.update(self._imported(node, inputs, used, folder))
            for name in set(node.inputs):
                readers[name] -= 1
                if not readers[name]:
                    # What nothing reads any more need not be kept.
                    env.pop(name, None)
        made = heads([(name, env[name]) for name in self.file.outputs])
        self.notes.extend((*made.end_notes, *folder.notes, *made.notes))
        if self.file.dropped and not is_chain(made):
            self.notes.append(
                f"{self.file.dropped} nodes that depend on the input were left out: no output"
                " depends on them."
            )
        return made

    def _imported(
        self, node: Node, inputs: list[Value | None], used: Sequence[str], folder: Folder
    ) -> dict[str, Value]:
        """Return the tensors that a node makes, as far as they are used."""
        node.notes.clear()
        value: Value | None = self._static(node, inputs, folder)
        if value is None and moves_alone(node) and not _ended(inputs):
            self._allowed(node, inputs)
            made = rearrange(node, inputs, folder)
            return {n: a for n, a in zip(node.outputs, made, strict=False) if n in used}
        if value is None:
            value = self._import(node, inputs)
        if list(used) != list(node.outputs[:1]) and node.op != "TopK":
            raise node.unsupported(
                f"its outputs {list(used)} are used.", "only the first output of a node."
            )
        return dict.fromkeys(used, value)

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
        x = next((v for v in features if v.ended), features[0])
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
                "one tensor that depends on the input, and constants.",
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
            outcome = entry.handler(node, inputs)
        except LayoutError as e:
            inputs, outcome = _rearranged(node, inputs, entry, e)
        features = [v for v in inputs if isinstance(v, Activation)]
        x = features[0]
        if isinstance(outcome, Joined):
            result = outcome.made
            source, step = agreed_source(features), result.made_by
            new: Sequence[graph.Op] = _operations_behind(features, step)
        else:
            result, new = outcome
            source, step = x.source, extended(x.made_by, new, x.frame)
        if any(v.raw for v in features) and not result.raw and source is not None:
            source = replace(source, told=source.told or _tell(source, new))
        self.notes.extend(node.notes)
        if self.tally.count(step) > MAX_STEPS or self.tally.weights > MAX_BUILT:
            raise node.unsupported(
                "the network is too large up to here.",
                f"at most {MAX_STEPS} operations with {MAX_BUILT} weights.",
            )
        ended = result.ended or (x.ended if node.op != "OneHot" else "")
        return replace(result, ended=ended, made_by=step, source=source)


def is_chain(made: Heads) -> bool:
    """Return whether every operation reads the value before it, and the last makes the output."""
    return not made.outputs and not any(op.inputs for op in made.ops)


def _operations_behind(features: Sequence[Activation], step: Step | None) -> list[graph.Op]:
    """Return the operations between the first of several tensors and what is made of them."""
    starts = [x.made_by for x in features]
    found: list[graph.Op] = []
    while step is not None and all(step is not start for start in starts):
        found.insert(0, step.op)
        step = step.reads[0]
    return found


def _tell(source: InputFrame, ops: Sequence[graph.Op]) -> bool:
    """Return whether the operations of the first layer depend on rows, columns and channels."""
    first = next((op for op in ops if not isinstance(op, graph.Elementwise)), None)
    return source.frame[:2] != (1, 1) and not isinstance(first, graph.FlattenOp | JoinOp)


def _rearranged(
    node: Node, inputs: Sequence[Value | None], entry: Entry, error: LayoutError
) -> tuple[list[Value | None], Outcome]:
    """Import a node after features were regrouped into an order that it can read.

    The host puts samples into any order, so it does that for features that only elementwise
    operations separate from the input; for others layers do. The error's choices are tried in
    order.

    Returns
    -------
    inputs : list of Value
        The node's inputs in the new frame.
    outcome : Outcome
        What the handler returned for them.

    Raises
    ------
    UnsupportedModel
        If no choice works; it is `error`.
    FrameConflict
        If constants of operations on the input would differ from pixel to pixel.
    """
    features = [v for v in inputs if isinstance(v, Activation)]
    raw = all(v.raw and same_source(v, features[0]) for v in features)
    other: InputFrame | None = None
    for choice in error.choices if raw else ():
        if (choice.wanted < 0).any():
            continue
        try:
            moved = iter(reframed(features, choice))
        except PixelConstants:
            source = features[0].source
            other = source.reframed(choice.wanted) if source is not None else None
            continue
        again = [next(moved) if isinstance(v, Activation) else v for v in inputs]
        node.notes.clear()
        try:
            return again, entry.handler(node, again)
        except LayoutError:
            continue
    if other is not None:
        # From a fixed frame, constants that differ from pixel to pixel can be added.
        raise FrameConflict(other)
    if error.instead is not None:
        node.notes.clear()
        return list(inputs), error.instead()
    if error.by_layers and len(features) == 1:
        outcome = _by_layers(node, inputs, entry, error)
        if outcome is not None:
            return list(inputs), outcome
    raise error


def _by_layers(
    node: Node, inputs: Sequence[Value | None], entry: Entry, error: LayoutError
) -> Outcome | None:
    """Import a node after layers that move its input's features; None if no choice works."""
    (x,) = (v for v in inputs if isinstance(v, Activation))
    for choice in error.choices:
        moves = arranged(node, x.frame, choice.wanted, x.pad_value)
        if moves is None:
            continue
        height, width, channels = choice.wanted.shape
        moved = replace(
            x,
            frame=(height, width, channels),
            index=choice.index,
            raw=False,
            made_by=extended(x.made_by, moves, x.frame),
        )
        node.notes.clear()
        try:
            outcome = entry.handler(node, [moved if v is x else v for v in inputs])
        except LayoutError:
            continue
        if isinstance(outcome, Joined):
            return outcome
        made, done = outcome
        return made, (*moves, *done)
    return None


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
