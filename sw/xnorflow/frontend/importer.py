"""Turns the nodes of a file into a chain of operations, following the one tensor of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import dense, elementwise, reduce, windows
from xnorflow.frontend import dropped_ends as ending
from xnorflow.frontend.constants import Folder
from xnorflow.frontend.input_frame import InputFrame
from xnorflow.frontend.model_file import ModelFile
from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.rearrange import moves_alone, rearrange
from xnorflow.frontend.registry import HANDLERS, Entry, Result, activation, handles
from xnorflow.frontend.reshape import MOVES
from xnorflow.frontend.values import Activation, Constant, LayoutError, Value
from xnorflow.graph import ops as graph

HANDLER_MODULES = (dense, elementwise, ending, reduce, windows)
"""Importing them registers their handlers."""
FLOAT = 1
"""ONNX's number for the element type float32."""
SATURATING = frozenset({"Softmax", "LogSoftmax"})
"""Ends that make different scores equal where floats do."""
AFTER_END = frozenset({*MOVES, "Cast", "Softmax", "LogSoftmax", "ArgMax", "TopK"})


@dataclass
class Walk:
    """The state of one pass over a file.

    Parameters
    ----------
    file : ModelFile
    readers : list of str
        The nodes that changed the features, in order: features that were made before one of them
        are not read any more after it, for that would be a branch.
    """

    file: ModelFile
    ops: list[graph.Op] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)

    def run(self) -> Activation:
        """Import every node into `ops` and give the output's tensor.

        Raises
        ------
        UnsupportedModel
            Naming the first node that cannot be imported.
        """
        folder = Folder(self.file.opset)
        env: dict[str, Value] = {n: Constant(a) for n, a in self.file.constants.items()}
        source = InputFrame.of(self.file.input_shape[1:])
        env[self.file.input] = Activation(source.frame, source.index, source=source, raw=True)
        taken: dict[str, str] = {}
        needed = {n for node in self.file.nodes for n in node.inputs} | set(self.file.outputs)
        for node in self.file.nodes:
            inputs = [env.get(name) if name else None for name in node.inputs]
            while inputs and inputs[-1] is None:
                inputs.pop()
            used = [name for name in node.outputs if name in needed]
            value: Value | None = self._static(node, inputs, folder)
            if value is None and moves_alone(node) and not _ended(inputs):
                self._unbranched(node, env, taken)
                self._allowed(node, inputs)
                made = rearrange(node, inputs, folder)
                env.update((n, a) for n, a in zip(node.outputs, made, strict=False) if n in used)
                continue
            if value is None:
                self._take(node, env, taken)
                value = self._import(node, inputs)
            if used != list(node.outputs[:1]) and node.op != "TopK":
                raise node.unsupported(
                    f"its outputs {used} are used.", "only the first output of a node."
                )
            env.update(dict.fromkeys(used, value))
        return self._output(env, taken)

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

    def _unbranched(self, node: Node, env: dict[str, Value], taken: dict[str, str]) -> None:
        """Refuse features that another node has changed since they were made."""
        for name in dict.fromkeys(node.inputs):
            x = env.get(name)
            if isinstance(x, Activation) and (name in taken or x.version < len(self.readers)):
                other = taken.get(name) or self.readers[x.version]
                raise node.unsupported(
                    f"it reads {name!r}, which node {other!r} reads too: a branch.",
                    "a network without branches and residual connections.",
                )

    def _take(self, node: Node, env: dict[str, Value], taken: dict[str, str]) -> None:
        """Follow the features to the only node that changes them."""
        self._unbranched(node, env, taken)
        taken.update((n, node.name) for n in node.inputs if isinstance(env.get(n), Activation))

    @staticmethod
    def _allowed(node: Node, inputs: Sequence[Value | None]) -> Entry:
        """Give how to import a node; UnsupportedModel where nothing can."""
        x = next(v for v in inputs if isinstance(v, Activation))
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
                "convolutions, dense layers, pools, batch normalisation, constant arithmetic"
                " and QONNX quantisers.",
            )
        unknown = node.attribute_names - entry.attributes
        if unknown:
            raise node.unsupported(f"attribute {min(unknown)!r} is unknown.")
        least, most = entry.inputs
        if not least <= len(inputs) <= most:
            raise node.unsupported(f"it has {len(inputs)} inputs.")
        if sum(isinstance(v, Activation) for v in inputs) > 1 and node.op != "Concat":
            raise node.unsupported(
                "it combines two tensors that both depend on the input.",
                "a network without branches and residual connections.",
            )
        return entry

    def _import(self, node: Node, inputs: Sequence[Value | None]) -> Activation:
        entry = self._allowed(node, inputs)
        x = next(v for v in inputs if isinstance(v, Activation))
        try:
            result, ops = entry.handler(node, inputs)
        except LayoutError as e:
            x, result, ops = self._rearranged(node, inputs, entry, x, e)
        source = x.source
        if x.raw and not result.raw and source is not None:
            flat = source.frame[:2] == (1, 1) or (ops and isinstance(ops[0], graph.FlattenOp))
            source = replace(source, told=not flat)
        self.ops.extend(ops)
        if ops:
            self.readers.append(node.name)
        if result.ended and not x.ended:
            self.notes.append(dropped(node))
        return replace(
            result, ended=result.ended or x.ended, version=len(self.readers), source=source
        )

    def _rearranged(
        self,
        node: Node,
        inputs: Sequence[Value | None],
        entry: Entry,
        x: Activation,
        error: LayoutError,
    ) -> tuple[Activation, Activation, tuple[graph.Op, ...]]:
        """Put the input's frames together as a node wants them, and import it; or raise."""
        blame: graph.Op | None = None
        for choice in error.choices if x.raw else ():
            assert x.source is not None
            source, before = x.source.reframed(self.ops, choice.wanted)
            if isinstance(before, graph.Op):
                blame = before
                continue
            moved = replace(x, frame=source.frame, index=choice.index, source=source)
            try:
                result, ops = entry.handler(
                    node, [moved if isinstance(v, Activation) else v for v in inputs]
                )
            except LayoutError:
                continue
            self.ops[:] = before
            return moved, result, ops
        if blame is None:
            raise error
        raise UnsupportedModel(
            f"its constants differ from pixel to pixel in the order that {node.op} {node.name!r}"
            " needs.",
            node=blame.node,
            op=blame.op,
            hint="constants per tensor or per channel.",
        )

    def _output(self, env: dict[str, Value], taken: dict[str, str]) -> Activation:
        outputs = [env[name] for name in self.file.outputs]
        x = outputs[0]
        if not isinstance(x, Activation):
            raise UnsupportedModel(
                "the output does not depend on the input.", node=self.file.outputs[0]
            )
        if any(other is not x for other in outputs) or taken.keys() & set(self.file.outputs):
            names = ", ".join(map(repr, self.file.outputs[:8]))
            raise UnsupportedModel(
                f"the network has several outputs: {names}.",
                node=self.file.outputs[-1],
                hint="one output with a score per class.",
            )
        if x.padded:
            raise UnsupportedModel("the output is padded.", node=self.file.outputs[0])
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


def _ended(inputs: Sequence[Value | None]) -> bool:
    return any(isinstance(v, Activation) and v.ended for v in inputs)


@handles("Cast", attributes="to saturate")
def cast(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a conversion to float32, which everything is already."""
    x = activation(node, inputs[0])
    if node.integer("to", 0) != FLOAT and not x.ended:
        raise node.unsupported(
            "it converts features to another type than float32.", "a network in float32."
        )
    return x, ()


@handles("Dropout", attributes="ratio seed is_test", inputs=(1, 3))
def dropout(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a dropout, which does nothing in inference."""
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and not (isinstance(training, Constant) and not training.value.any()):
        raise node.unsupported(
            "it drops features at random: it is in training mode.",
            "export the network in inference mode (model.eval()).",
        )
    return activation(node, inputs[0]), ()
