"""A model file as constants, one input and nodes in order of execution; the file is not trusted.

No node is evaluated here. Nodes and tensors that no output depends on are dropped unread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto

from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.frontend.limits import MAX_FEATURES, MAX_FILE_BYTES, MAX_NODES, elements
from xnorflow.frontend.node import DOMAINS, STANDARD, Node
from xnorflow.frontend.tensors import TensorReader, type_name

OLDEST_OPSET = 7
"""Oldest operator set; before it, broadcasting was an attribute of arithmetic."""
MAX_DOC = 1 << 16
"""Most characters of a doc_string that is read."""
MAX_TYPE = 32
"""Most characters of a datatype's name."""
INTEGERS = {
    TensorProto.UINT8: "UINT8",
    TensorProto.INT8: "INT8",
    TensorProto.UINT16: "UINT16",
    TensorProto.INT16: "INT16",
}
"""Element types of integer inputs, with FINN's names for them."""


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file, checked for consistency.

    Parameters
    ----------
    nodes : tuple of Node
        Every node that an output depends on, each after the nodes that compute its inputs.
    constants : mapping of str to array
        Stored tensors by name.
    input : str
        Name of the only input that is not stored in the file.
    input_shape : tuple of int
        Shape of the input; its batch dimension is 1.
    input_is_integer : bool
        Whether the input has an integer type rather than float32.
    declared : str
        FINN datatype that the file declares for the input (INT8, UINT4, BIPOLAR, ...); empty if it
        declares none.
    outputs : tuple of str
        Names of the outputs.
    opset : int
        Version of the standard operators.
    doc : str
        The model's doc_string; empty if it is longer than `MAX_DOC`.
    dropped : int
        Number of nodes that depend on the input, but that no output depends on.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    input: str
    input_shape: tuple[int, ...]
    input_is_integer: bool
    declared: str
    outputs: tuple[str, ...]
    opset: int
    doc: str
    dropped: int = 0


def load(path: Path) -> ModelFile:
    """Read an ONNX file.

    Raises
    ------
    BadInput
        If there is no such file, or it cannot be opened.
    UnsupportedModel
        If the file is no well-formed ONNX file of a network with one input, or is too large.
    """
    model = _parse(path)
    file = path.name
    graph = model.graph
    if len(model.functions) > 0:
        raise UnsupportedModel(
            "the file defines functions of its own.",
            node=file,
            hint="inline them with onnx.inliner.",
        )
    if len(graph.sparse_initializer) > 0:
        raise UnsupportedModel(
            "the file stores sparse tensors.", node=file, hint="store them densely."
        )
    if not 0 < len(graph.node) <= MAX_NODES:
        raise UnsupportedModel(
            f"the file has {len(graph.node)} nodes.",
            node=file,
            hint=f"an ONNX model of 1 to {MAX_NODES} nodes.",
        )
    opset = _opset(model, file)
    tensors = TensorReader(path.parent)
    nodes = [Node(proto, i, tensors, opset) for i, proto in enumerate(graph.node)]
    stored = {t.name: t for t in graph.initializer}
    if len(stored) != len(graph.initializer):
        raise UnsupportedModel(
            "two initializers share one name.",
            node=file,
            hint="a file that onnx.checker accepts; export the model again.",
        )
    inputs = [i for i in graph.input if i.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(repr(i.name) for i in inputs[:8]) or "none"
        raise UnsupportedModel(
            f"a network has one input, this file has {len(inputs)}: {names}.",
            node=file,
            hint="store the other inputs as initializers.",
        )
    outputs = tuple(o.name for o in graph.output)
    if not outputs:
        raise UnsupportedModel(
            "the file has no output.", node=file, hint="one output with a score per class."
        )
    ordered = _sort(_live(nodes, outputs), {*stored, inputs[0].name}, outputs, file)
    constants = {}
    for node in ordered:
        for name in node.inputs:
            if name in stored and name not in constants:
                constants[name] = tensors.read(stored[name], node=node.name, op=node.op)
    shape = _input_shape(inputs[0], file)
    doc = model.doc_string if len(model.doc_string) <= MAX_DOC else ""
    kind = INTEGERS.get(inputs[0].type.tensor_type.elem_type, "")
    declared = kind or _annotation(model, inputs[0].name)
    return ModelFile(
        tuple(ordered),
        constants,
        inputs[0].name,
        shape,
        bool(kind),
        declared,
        outputs,
        opset,
        doc,
        _dropped(nodes, ordered, inputs[0].name),
    )


def _dropped(nodes: list[Node], kept: list[Node], source: str) -> int:
    """Return how many nodes were dropped that depend on the input `source`.

    Of nodes that are not in the order of execution, some may not be counted.
    """
    reached, names = {id(n) for n in kept}, {source}
    count = 0
    for node in nodes:
        if names.intersection(node.inputs):
            names.update(node.outputs)
            count += id(node) not in reached
    return count


def _parse(path: Path) -> onnx.ModelProto:
    """Read the protobuf message, after a check of the file's size."""
    if not path.is_file():
        raise BadInput(f"{path}: no such model file.")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise UnsupportedModel(
            f"the file has {size} bytes.", node=path.name, hint=f"at most {MAX_FILE_BYTES} bytes."
        )
    try:
        content = path.read_bytes()
    except OSError as e:
        raise BadInput(f"{path} cannot be read: {e.strerror or e}") from e
    try:
        return onnx.ModelProto.FromString(content)
    except (DecodeError, ValueError, RecursionError) as e:
        raise UnsupportedModel(
            "it is not an ONNX file, or it is truncated.",
            node=path.name,
            hint="export the model again and copy the whole file.",
        ) from e


def _opset(model: onnx.ModelProto, file: str) -> int:
    """Return the version of the standard operators; UnsupportedModel if it is not supported."""
    if not 3 <= model.ir_version <= onnx.IR_VERSION:
        raise UnsupportedModel(
            f"the file has ONNX IR version {model.ir_version}.",
            node=file,
            hint=f"versions 3 to {onnx.IR_VERSION}.",
        )
    versions = {o.version for o in model.opset_import if DOMAINS.get(o.domain) == STANDARD}
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not OLDEST_OPSET <= min(versions) <= newest:
        found = ", ".join(map(str, sorted(versions))) or "none"
        raise UnsupportedModel(
            f"the file asks for operator set {found}.",
            node=file,
            hint=f"one operator set, of version {OLDEST_OPSET} to {newest}.",
        )
    return versions.pop()


def _annotation(model: onnx.ModelProto, name: str) -> str:
    """Return the FINN datatype that annotates a tensor; empty if there is none."""
    for annotation in model.graph.quantization_annotation:
        if annotation.tensor_name == name:
            for entry in annotation.quant_parameter_tensor_names:
                if entry.key == "finn_datatype" and len(entry.value) <= MAX_TYPE:
                    return entry.value
    return ""


def _input_shape(value: onnx.ValueInfoProto, file: str) -> tuple[int, ...]:
    """Return the static shape of the input, with a batch dimension of 1."""
    where = f"input {value.name!r}"
    tensor = value.type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, *INTEGERS):
        raise UnsupportedModel(
            f"{where} has element type {type_name(tensor.elem_type)}.",
            node=file,
            hint="an input of float32, or of integers of 8 or 16 bits.",
        )
    if not tensor.HasField("shape") or len(tensor.shape.dim) < 2:
        raise UnsupportedModel(
            f"{where} has no shape of batch and features.",
            node=file,
            hint="export with a fixed input shape, for example [1, 3, 32, 32].",
        )
    batch, *rest = tensor.shape.dim
    if batch.HasField("dim_value") and batch.dim_value not in (0, 1):
        raise UnsupportedModel(
            f"{where} has a batch of {batch.dim_value}.",
            node=file,
            hint="export with batch 1 or a dynamic batch.",
        )
    shape = [1]
    for axis, dim in enumerate(rest, 1):
        if not dim.HasField("dim_value") or dim.dim_value < 1:
            label = dim.dim_param or dim.dim_value
            raise UnsupportedModel(
                f"{where} has no fixed size in dimension {axis} ({label!r}).",
                node=file,
                hint="a fixed size in all dimensions but the batch, such as [batch, 3, 32, 32].",
            )
        shape.append(dim.dim_value)
    elements(shape, MAX_FEATURES, what=where, node=file)
    return tuple(shape)


def _live(nodes: list[Node], outputs: tuple[str, ...]) -> list[Node]:
    """Return the nodes that an output depends on, in the file's order."""
    maker: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            if name and name in maker:
                raise node.unsupported(
                    f"tensor {name!r} is made twice, first by node {nodes[maker[name]].name!r}.",
                    "a name of its own for each tensor; export the model again.",
                )
            maker[name] = i
    reached: set[int] = set()
    todo = [maker[name] for name in outputs if name in maker]
    while todo:
        i = todo.pop()
        if i not in reached:
            reached.add(i)
            todo.extend(maker[name] for name in nodes[i].inputs if name and name in maker)
    return [nodes[i] for i in sorted(reached)]


def _sort(nodes: list[Node], known: set[str], outputs: tuple[str, ...], file: str) -> list[Node]:
    """Return the nodes in order of execution.

    Raises
    ------
    UnsupportedModel
        For cycles, for tensors that no node makes, and for stored tensors that a node also makes.
    """
    made = {name for node in nodes for name in node.outputs if name}
    for node in nodes:
        for name in node.inputs:
            if name and name not in known and name not in made:
                raise node.unsupported(
                    f"it reads tensor {name!r}, which nothing makes.",
                    "a file in which each tensor is an input, stored, or made by a node.",
                )
        for name in node.outputs:
            if name in known:
                raise node.unsupported(
                    f"tensor {name!r} is made twice: it is also stored or an input.",
                    "a name of its own for each tensor; export the model again.",
                )
    for name in outputs:
        if name not in made:
            raise UnsupportedModel(
                f"nothing computes the output {name!r}.",
                node=file,
                hint="outputs that a node makes.",
            )
    waiting = [len({n for n in node.inputs if n in made}) for node in nodes]
    readers: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        for name in set(node.inputs):
            readers.setdefault(name, []).append(i)
    ready = deque(i for i, count in enumerate(waiting) if count == 0)
    ordered: list[Node] = []
    while ready:
        node = nodes[ready.popleft()]
        ordered.append(node)
        for name in node.outputs:
            for i in readers.get(name, ()) if name else ():
                waiting[i] -= 1
                if waiting[i] == 0:
                    ready.append(i)
    if len(ordered) < len(nodes):
        stuck = next(n for n, count in zip(nodes, waiting, strict=True) if count > 0)
        raise stuck.unsupported("it is in a cycle, or waits for one.", "a feed-forward network.")
    return ordered
