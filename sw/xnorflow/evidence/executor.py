"""Execution of a model file in ONNX Runtime and qonnx, independently of this project's import.

No code of the frontend is used, so a mistake in it shows. Standard operators run in ONNX Runtime,
with its graph optimisations disabled and in one thread, so that the order of summation is always
the same. QONNX operators run in the ``qonnx`` package, node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow.graph.input_scale import InputScale

Floats = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]
Progress = Callable[[int, int], object]

STANDARD = ("", "ai.onnx")
RUNTIME = (*STANDARD, "com.microsoft")
"""Domains of operators that ONNX Runtime executes; its own quantiser writes the last."""
QONNX = "qonnx.custom_op.general"
QONNX_DOMAINS = (QONNX, "onnx.brevitas", "finn.custom_op.general")
"""Names that exporters give to the domain of QONNX's operators."""
PLAIN = InputScale()
"""The scaling that leaves samples unchanged."""
ENDS = ("Softmax", "LogSoftmax", "ArgMax", "TopK")
"""Operators at a network's end that keep or use only the order of its scores."""
NARROW = {
    f"tensor({name})": np.dtype(getattr(ml_dtypes, name))
    for name in ("int2", "uint2", "int4", "uint4")
}
"""Element types that ONNX Runtime takes in no array, by its own names."""
HELD = "held_as_int8:"
"""Stands before the name of the twin that such a tensor has in the model of one node."""
MOVES = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that may stand between the scores and the output besides `ENDS`."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs of a file for N frames.

    Parameters
    ----------
    scores : float array [N, K]
        Scores, taken before a Softmax, ArgMax or TopK at the end; those of several outputs one
        after the other, each in the file's own order.
    labels : int64 array [N] or None
        The file's own labels: the output of its ArgMax or TopK, or the greatest output of its
        Softmax. None if it ends in scores, or has several outputs.
    sizes : tuple of int
        Number of scores of each output.
    """

    scores: NDArray[Any]
    labels: NDArray[np.int64] | None
    sizes: tuple[int, ...]


def arrange(x: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return frames in the shape and order of a file's input, [N, *shape].

    Parameters
    ----------
    x : uint8 array [N, ...]
        Frames in the file's own shape and order, channels-last pictures for a file whose input is
        channels-first, or any other shape of as many samples in the file's own order.
    shape : tuple of int
        Shape of the file's input without its batch dimension.

    Raises
    ------
    BadInput
        If a frame does not have as many samples as the file's input.
    """
    if x.shape[1:] == shape:
        return x
    if x.ndim == 4 and len(shape) == 3 and x.shape[1:] == (*shape[1:], shape[0]):
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if int(np.prod(x.shape[1:])) != int(np.prod(shape)):
        raise BadInput(
            f"data of shape {list(x.shape)} do not fit the file's input [1,"
            f" {', '.join(map(str, shape))}]"
        )
    return x.reshape(len(x), *shape)


class Executor:
    """A model file, ready to run.

    Parameters
    ----------
    path : path
        An ONNX or QONNX file with one input. Only the frontend checks a file for hostile content,
        so import it first.
    scale : InputScale
        Scaling of samples to the file's input.
    outputs : sequence of str
        Names of the outputs to compute; the first of the file if there are none.

    Attributes
    ----------
    tool : str
        Name and version of the executor.
    ended : str
        Operator at the end that only orders the scores, of the first output that has one; empty if
        there is none.

    Raises
    ------
    BadInput
        If there is no such file, or it is not an ONNX file with one input and known operators.
    CheckFailed
        If ONNX Runtime refuses the file.
    ToolMissing
        If ONNX Runtime or qonnx is not installed.
    """

    def __init__(
        self, path: str | Path, scale: InputScale = PLAIN, outputs: Sequence[str] = ()
    ) -> None:
        """Read the file, and compile it for ONNX Runtime if that has all its operators."""
        self.path, self.scale = Path(path), scale
        self._runtime = _runtime()
        model = _read(self.path)
        graph = model.graph
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        inputs = [i for i in graph.input if i.name not in self._constants]
        if len(inputs) != 1 or not graph.output:
            raise BadInput(f"{self.path.name} has {len(inputs)} inputs; a network has one")
        self.input = inputs[0].name
        self.shape = tuple(d.dim_value for d in inputs[0].type.tensor_type.shape.dim)[1:]
        kind = helper.tensor_dtype_to_np_dtype(inputs[0].type.tensor_type.elem_type)
        self._raw = kind if kind.kind in "iu" else None
        there = [o.name for o in graph.output]
        if unknown := [name for name in outputs if name not in there]:
            raise BadInput(f"{self.path.name} has no output {unknown[0]!r}, but {there}")
        self.outputs = tuple(outputs) or (there[0],)
        self.output = self.outputs[0]
        known = {self.input, *self._constants}
        self.nodes = _in_order(graph.node, self.outputs, known, self.path)
        ends = [_scores_tensor(self.nodes, name) for name in self.outputs]
        self.scores = tuple(tensor for tensor, _ in ends)
        self.ended = next((ended for _, ended in ends if ended), "")
        self._wanted = sorted({*self.scores, *self.outputs})
        self._versions = {o.domain: o.version for o in model.opset_import}
        self._opsets = [o for o in model.opset_import if o.domain in RUNTIME]
        self._ir = model.ir_version
        self._sessions: dict[int, Any] = {}
        own = [n for n in self.nodes if n.domain not in RUNTIME]
        runtime = f"ONNX Runtime {self._runtime.__version__}"
        self.tool = runtime
        self._whole = None
        if own:
            self.tool = f"qonnx {metadata.version('qonnx')} on {runtime}"
        else:
            self._whole = self._session(model)
        self._fold()

    def run(self, x: NDArray[np.uint8], progress: Progress | None = None) -> Outputs:
        """Compute the file's scores and labels of frames, one frame at a time.

        Parameters
        ----------
        x : uint8 array [N, ...]
            Frames in a shape that `arrange` takes.
        progress : callable, optional
            Called with the numbers of frames done and of all frames, after each.

        Raises
        ------
        CheckFailed
            If the executor fails on the file.
        """
        scores, labels = [], []
        sizes: tuple[int, ...] = ()
        for i, frame in enumerate(arrange(x, self.shape)):
            if self._whole is None:
                found = self._execute(self._sample(frame))
            else:
                found = self._run_whole(frame)
            parts = [np.asarray(found[name]).reshape(-1) for name in self.scores]
            sizes = tuple(len(part) for part in parts)
            scores.append(np.concatenate(parts))
            labels.append(np.asarray(found[self.output]).reshape(-1))
            if progress:
                progress(i + 1, len(x))
        return Outputs(np.stack(scores), self._labels(np.stack(labels)), sizes)

    def tensors(self, x: NDArray[np.uint8]) -> Tensors:
        """Compute every tensor of the file that depends on the frames, node by node.

        Returns
        -------
        dict of str to array
            Every tensor by its name in the file, [N, ...]; integers of 2 and 4 bits as int8.
        """
        kept: dict[str, list[NDArray[Any]]] = {}
        for frame in arrange(x, self.shape):
            for name, value in self._execute(self._sample(frame), keep=True).items():
                if name not in self._constants:
                    kept.setdefault(name, []).append(_widened(np.asarray(value)))
        return {name: np.stack(values) for name, values in kept.items()}

    def _sample(self, frame: NDArray[np.uint8]) -> Tensors:
        x = frame[None]
        return {self.input: self.scale.values(x) if self._raw is None else x.astype(self._raw)}

    def _labels(self, out: NDArray[Any]) -> NDArray[np.int64] | None:
        """Return the labels that the file's output states, None if it states none."""
        if not self.ended or len(self.outputs) > 1:
            return None
        if self.ended in ("Softmax", "LogSoftmax"):
            return out.argmax(1).astype(np.int64)
        # The first output of TopK holds scores, which do not name a class.
        return out[:, 0].astype(np.int64) if out.dtype.kind in "iu" else None

    def _session(self, model: onnx.ModelProto) -> Any:
        """Compile the file's live nodes as one ONNX Runtime session for scores and outputs."""
        plain = onnx.ModelProto()
        plain.CopyFrom(model)
        del plain.graph.node[:], plain.graph.output[:], plain.graph.value_info[:]
        plain.graph.node.extend(self.nodes)
        plain.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._wanted)
        return self._compile(plain, self.path.name)

    def _compile(self, model: onnx.ModelProto, what: str) -> Any:
        options = self._runtime.SessionOptions()
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            return self._runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as e:  # ONNX Runtime's errors share no base class.
            raise CheckFailed(f"ONNX Runtime refuses {what}: {_first_line(e)}") from e

    def _run_whole(self, frame: NDArray[np.uint8]) -> Tensors:
        assert self._whole is not None
        try:
            made = self._whole.run(self._wanted, self._sample(frame))
            return dict(zip(self._wanted, made, strict=True))
        except Exception as e:  # ONNX Runtime's errors share no base class.
            raise CheckFailed(f"ONNX Runtime fails on {self.path.name}: {_first_line(e)}") from e

    def _fold(self) -> None:
        """Run the nodes that depend on constants alone, once."""
        for index, node in enumerate(self.nodes):
            if all(not name or name in self._constants for name in node.input):
                self._constants |= self._step(index, self._constants)

    def _execute(self, values: Tensors, keep: bool = False) -> Tensors:
        """Run node by node; return all tensors with `keep`, else only scores and outputs."""
        known = self._constants | values
        for index, node in enumerate(self.nodes):
            if not all(name in self._constants for name in node.output if name):
                known |= self._step(index, known)
        return known if keep else {name: known[name] for name in self._wanted}

    def _step(self, index: int, known: Mapping[str, NDArray[Any]]) -> Tensors:
        node = self.nodes[index]
        what = f"{node.op_type} node {node.name or node.output[0]!r}"
        try:
            if node.domain in RUNTIME:
                return self._runtime_node(index, node, known, what)
            return self._qonnx(node, known)
        except CheckFailed:
            raise
        except Exception as e:  # Whatever the packages raise for an operator they cannot run.
            raise CheckFailed(f"{self.tool} fails on {what}: {_first_line(e)}") from e

    def _runtime_node(
        self, index: int, node: onnx.NodeProto, known: Mapping[str, NDArray[Any]], what: str
    ) -> Tensors:
        names = [name for name in dict.fromkeys(node.input) if name]
        made = [name for name in node.output if name]
        if index not in self._sessions:
            types = {name: known[name].dtype for name in names}
            session = self._compile(self._one_node(node, types, {}), what)
            # What has no array in ONNX Runtime goes in and out as the bytes that hold it.
            narrow = {o.name: NARROW[o.type] for o in session.get_outputs() if o.type in NARROW}
            if narrow:
                session = self._compile(self._one_node(node, types, narrow), what)
            self._sessions[index] = session, narrow
        session, narrow = self._sessions[index]
        given = {name: _widened(known[name]) for name in names}
        outputs = [f"{HELD}{name}" if name in narrow else name for name in made]
        values = dict(zip(made, session.run(outputs, given), strict=True))
        return values | {name: values[name].astype(dtype) for name, dtype in narrow.items()}

    def _one_node(
        self,
        node: onnx.NodeProto,
        types: Mapping[str, np.dtype[Any]],
        narrow: Mapping[str, np.dtype[Any]],
    ) -> onnx.ModelProto:
        """Write a model of a node alone; integers of 2 and 4 bits are int8 outside of it."""
        alone = onnx.NodeProto()
        alone.CopyFrom(node)
        nodes, given = [alone], []
        for name, dtype in types.items():
            kind = helper.np_dtype_to_tensor_dtype(dtype)
            if dtype in NARROW.values():
                held = f"{HELD}{name}"
                nodes.insert(0, helper.make_node("Cast", [name], [held], to=kind))
                for i, used in enumerate(alone.input):
                    alone.input[i] = held if used == name else used
                kind = TensorProto.INT8
            given.append(helper.make_tensor_value_info(name, kind, None))
        outputs = []
        for name in filter(None, node.output):
            made = name
            if name in narrow:
                made = f"{HELD}{name}"
                nodes.append(helper.make_node("Cast", [name], [made], to=TensorProto.INT8))
            outputs.append(onnx.ValueInfoProto(name=made))
        graph = helper.make_graph(nodes, "node", given, outputs)
        return helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir)

    def _qonnx(self, node: onnx.NodeProto, known: Mapping[str, NDArray[Any]]) -> Tensors:
        from qonnx.custom_op.registry import getCustomOp

        version = self._versions.get(node.domain, 1)
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        plain.domain = QONNX
        context = {name: known[name] for name in node.input if name}
        getCustomOp(plain, onnx_opset_version=version).execute_node(context, None)
        return {name: np.asarray(context[name]) for name in node.output}


def _widened(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.int8) if values.dtype in NARROW.values() else values


def _runtime() -> Any:
    try:
        import onnxruntime
        import qonnx  # noqa: F401
    except ImportError as e:
        raise ToolMissing(
            f"the independent executor is not installed ({e.name}). Install it with: pip install"
            " qonnx onnxruntime"
        ) from e
    return onnxruntime


def _read(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except (OSError, DecodeError, ValueError, RecursionError, onnx.checker.ValidationError) as e:
        raise BadInput(f"{path} is not a readable ONNX file: {_first_line(e)}") from e


def _in_order(
    nodes: Any, outputs: Sequence[str], known: set[str], path: Path
) -> tuple[onnx.NodeProto, ...]:
    """Return the nodes that the outputs depend on, each after those that compute its inputs."""
    maker = {name: node for node in nodes for name in node.output if name}
    live: dict[int, onnx.NodeProto] = {}
    todo = list(outputs)
    while todo:
        node = maker.get(todo.pop())
        if node is not None and id(node) not in live:
            live[id(node)] = node
            todo.extend(node.input)
    ordered: list[onnx.NodeProto] = []
    waiting = [node for node in nodes if id(node) in live]
    while waiting:
        ready = [n for n in waiting if all(not i or i in known for i in n.input)]
        if not ready:
            raise BadInput(f"{path.name}: nothing makes an input of node {waiting[0].name!r}")
        for node in ready:
            if node.domain not in (*RUNTIME, *QONNX_DOMAINS):
                raise BadInput(
                    f"{path.name}: no executor is known for {node.op_type} of {node.domain!r};"
                    " operators of standard ONNX, QONNX and com.microsoft can be executed"
                )
            ordered.append(node)
            known = known | set(node.output)
        waiting = [n for n in waiting if not any(n is r for r in ready)]
    return tuple(ordered)


def _scores_tensor(nodes: tuple[onnx.NodeProto, ...], output: str) -> tuple[str, str]:
    """Return the tensor of the scores, and the last operator after it that only orders them.

    If there is no such operator, these are the output and "".
    """
    maker = {name: node for node in nodes for name in node.output if name}
    at, found = output, (output, "")
    while (node := maker.get(at)) is not None and node.op_type in (*ENDS, *MOVES):
        at = node.input[0]
        if node.op_type in ENDS:
            found = (at, found[1] or node.op_type)
    return found


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
