"""Damages every kind of file that xnorflow reads, and counts what comes of it.

Each input is one good file with one to three faults: bytes changed, cut, doubled or swapped, or
fields of its structure edited, with checksums put right so that the fault gets through to the
reader. A reader may accept what is left (then the network has to pass `verify` and compute, the
images have to be images) or refuse it with one line. An exception of any other kind is a traceback,
more than `SECONDS` a hang, and both are failures. Run for example::

    python benchmarks/damaged_files.py --count 20000 --seed 1
    python benchmarks/damaged_files.py --seed 1 --only 4711      # that one, with its traceback
    python benchmarks/damaged_files.py --count 2000 --kind network
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import io
import json
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

import xnorflow as xf
from xnorflow import demo
from xnorflow.compiler import compile_network
from xnorflow.data import read_images
from xnorflow.errors import XnorflowError
from xnorflow.ir import file as ir_file
from xnorflow.ir.verify import verify

SECONDS = 60
"""After which an input counts as a hang: the slowest good file takes about 2 on a quiet machine."""
MEMORY = 6 << 30
"""Address space of the whole run, in bytes."""

Mutator = Callable[[random.Random, Path], None]


class Hang(BaseException):
    """Raised by the timer; no reader may take it for an error of the file."""


# Faults of bytes.


def _span(rng: random.Random, length: int, most: int = 64) -> slice:
    start = rng.randrange(length)
    return slice(start, min(length, start + rng.randint(1, most)))


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Return a content with one fault of its bytes."""
    data = bytearray(content or b"\0")
    at = rng.randrange(len(data))
    match rng.randrange(10):
        case 0 | 1:
            data[at] = rng.randrange(256)
        case 2 | 3:
            data[at] ^= 1 << rng.randrange(8)
        case 4:
            del data[at:]
        case 5:
            del data[_span(rng, len(data))]
        case 6:
            data[at:at] = rng.randbytes(rng.randint(1, 16))
        case 7:
            one, other = _span(rng, len(data)), _span(rng, len(data))
            data[one], data[other] = data[other], data[one]
        case 8:
            data[_span(rng, len(data))] = bytes([rng.choice([0, 0xFF])]) * rng.randint(1, 64)
        case 9:
            value = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 20])
            data[at : at + 4] = struct.pack("<I", value)
    return bytes(data)


def flip_file(rng: random.Random, path: Path) -> None:
    """Damage a file's bytes."""
    content = path.read_bytes()
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        content = damaged(rng, content)
    path.write_bytes(content)


# Faults of structure.

STRANGE: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 255, 2**31, 2**63, -(2**63), 2**80, 0.5, 1e308, "", "x",
    "\ud800", "\x1b[31m", "é" * 70, [], {}, [1, [2]], float("inf"), float("nan"), -0.0, [0] * 5,
]  # fmt: skip


def scrambled(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one part, somewhere inside, replaced, dropped or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.93:
        key = rng.choice(sorted(value))
        match rng.randrange(12):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice(["", key.upper(), "x", "pe"]): value[key]}
        return {**value, key: scrambled(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.93:
        at = rng.randrange(len(value))
        match rng.randrange(12):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[:at] + [copy.deepcopy(value[at])] + value[at:]
        return [*value[:at], scrambled(value[at], rng), *value[at + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.5:
        return value + rng.choice([-2, -1, 1, 2, 1 << 16, 1 << 40])
    return rng.choice(STRANGE)


def scramble_json(rng: random.Random, path: Path) -> None:
    """Edit fields of a JSON file."""
    value = json.loads(path.read_text())
    for _ in range(rng.choice([1, 1, 2, 3])):
        value = scrambled(value, rng)
    path.write_text(json.dumps(value))


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {name: z.read(name) for name in z.namelist()}


def _zip(path: Path, members: dict[str, bytes], rng: random.Random) -> None:
    method = rng.choice(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]
    )
    with zipfile.ZipFile(path, "w", method) as z:
        for name, content in members.items():
            z.writestr(name, content)


def edit_npy_header(rng: random.Random, content: bytes) -> bytes:
    """Return a ``.npy`` whose header says something else."""
    size = struct.unpack("<H", content[8:10])[0]
    text, data = content[10 : 10 + size].decode("latin1"), content[10 + size :]
    dtypes = ["|u1", "<i8", ">i8", "<f4", "|O", "<U9", "|V0", "|S4", "<c16", "<M8[s]", "|b1", "<x9"]
    shapes = ["()", "(0,)", "(-1,)", "(True, 2)", "(2.0,)", "(1099511627776,)", "(3, 4", "[2]"]
    shapes += ["(" * 40 + ")" * 40, "None", "(1L, 2L)", "'a'", "(65536, 65536)", "(1,) * 9"]
    match rng.randrange(4):
        case 0:
            begin = text.index("'descr': ") + 9
            text = text[:begin] + repr(rng.choice(dtypes)) + text[text.index(",", begin) :]
        case 1:
            begin = text.index("'shape': ") + 9
            text = text[:begin] + rng.choice(shapes) + ", }\n"
        case 2:
            text = text.replace("False", rng.choice(["True", "1", "None", "'x'", "[]"]))
        case 3:
            text = damaged(rng, text.encode("latin1")).decode("latin1")
    header = text.encode("latin1")
    return content[:8] + struct.pack("<H", min(len(header), 0xFFFF)) + header + data


def edit_npz(rng: random.Random, path: Path) -> None:
    """Edit members of an ``.npz``; its checksums are right again."""
    members = _members(path)
    name = rng.choice(sorted(members))
    match rng.randrange(6):
        case 0 | 1:
            members[name] = damaged(rng, members[name])
        case 2 | 3:
            members[name] = edit_npy_header(rng, members[name])
        case 4:
            other = rng.choice(sorted(members))
            members[name], members[other] = members[other], members[name]
        case 5:
            content = members.pop(name)
            members[rng.choice(["z", "x.npy", "x", "../x.npy", "y.npy", "a" * 300])] = content
    _zip(path, members, rng)


def edit_npy(rng: random.Random, path: Path) -> None:
    """Edit a ``.npy``'s header."""
    path.write_bytes(edit_npy_header(rng, path.read_bytes()))


def edit_network(rng: random.Random, path: Path) -> None:
    """Edit the header or an array of a network's file; its checksums are right again."""
    if rng.random() < 0.3:
        edit_npz(rng, path)
        return
    members = _members(path)
    if rng.random() < 0.7:
        header = str(np.load(io.BytesIO(members["header.npy"])))
        value = json.loads(header)
        for _ in range(rng.choice([1, 1, 2])):
            value = scrambled(value, rng)
        members["header.npy"] = _npy(np.array(json.dumps(value)))
    else:
        name = rng.choice(sorted(set(members) - {"header.npy"}))
        array = np.load(io.BytesIO(members[name]))
        if array.size:
            array.flat[rng.randrange(array.size)] = rng.choice([-1, 0, 1, 7, 2**40, -(2**63)])
        match rng.randrange(4):
            case 0:
                array = array[..., :-1]
            case 1:
                array = array.astype(rng.choice(["<i4", "<f8", "|b1", "<u8"]))
        members[name] = _npy(array)
    _zip(path, members, rng)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    f = io.BytesIO()
    np.save(f, array, allow_pickle=False)
    return f.getvalue()


NUMBERS = [-(2**63), -9, -1, 0, 1, 2, 3, 7, 64, 2**31, 2**62]
FLOATS = [float("inf"), float("-inf"), float("nan"), 0.0, -0.0, 1e-45, 3.4e38, -1.0, 0.5, 1e9]
OPERATORS = [
    "Add", "Sub", "Mul", "Div", "Pad", "Gemm", "Conv", "MatMul", "Sign", "Relu", "Clip", "Quant",
    "BipolarQuant", "Trunc", "ReduceMean", "ReduceSum", "Squeeze", "Unsqueeze", "Flatten",
    "Reshape", "Transpose", "TopK", "ArgMax", "Softmax", "BatchNormalization", "Dropout", "MaxPool",
    "AveragePool", "GlobalAveragePool", "Shape", "Concat", "Gather", "Expand", "Range", "Constant",
    "Cast", "Slice", "ConstantOfShape", "If", "Size", "Where", "Greater", "Less", "Not", "Identity",
    "Sigmoid", "Tanh", "HardTanh", "LeakyRelu", "PRelu", "QuantizeLinear", "DequantizeLinear",
]  # fmt: skip


def edit_onnx(rng: random.Random, path: Path) -> None:
    """Edit fields of an ONNX file."""
    model = onnx.ModelProto.FromString(path.read_bytes())
    for _ in range(rng.choice([1, 1, 2, 3])):
        with suppress(
            TypeError, ValueError, OverflowError
        ):  # What an earlier edit made impossible.
            _edit_graph(rng, model)
    path.write_bytes(model.SerializeToString())


def _edit_graph(rng: random.Random, model: onnx.ModelProto) -> None:
    graph = model.graph
    tensors = list(graph.initializer)
    tensors += [a.t for other in graph.node for a in other.attribute if a.HasField("t")]
    node = rng.choice(list(graph.node))
    names = [n for other in graph.node for n in (*other.input, *other.output)] + ["", "x\x1b[31m"]
    match rng.randrange(14):
        case 0:
            node.op_type = rng.choice(OPERATORS)
        case 1:
            node.domain = rng.choice(["", "qonnx.custom_op.general", "onnx.brevitas", "x"])
        case 2 if node.attribute:
            attribute = rng.choice(list(node.attribute))
            attribute.i, attribute.f = rng.choice(NUMBERS), rng.choice(FLOATS)
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
        case 3:
            key = rng.choice(["pads", "strides", "kernel_shape", "dilations", "axes", "perm"])
            numbers = [rng.choice(NUMBERS) for _ in range(rng.randint(0, 5))]
            node.attribute.append(helper.make_attribute(key, numbers, attr_type=7))
        case 4:
            key = rng.choice(["group", "axis", "ceil_mode", "keepdims", "signed", "narrow"])
            node.attribute.append(helper.make_attribute(key, rng.choice(NUMBERS)))
        case 5 if node.attribute:
            del node.attribute[rng.randrange(len(node.attribute))]
        case 6 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        case 7 if node.input:
            del node.input[rng.randrange(len(node.input))]
        case 8 if tensors:
            tensor = rng.choice(tensors)
            del tensor.dims[:]
            tensor.dims.extend(rng.choice(NUMBERS) for _ in range(rng.randint(0, 4)))
        case 9 if tensors:
            tensor = rng.choice(tensors)
            tensor.data_type = rng.choice([*range(0, 24), 2**31 - 1, -1])
        case 10 | 11 if tensors:
            tensor = rng.choice(tensors)
            array = numpy_helper.to_array(tensor).copy()
            if array.size:
                many = rng.random() < 0.3
                where = slice(None) if many else rng.randrange(array.size)
                with np.errstate(all="ignore"):
                    array.reshape(-1)[where] = np.array(rng.choice(FLOATS)).astype(array.dtype)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        case 12:
            dims = graph.input[0].type.tensor_type.shape.dim
            if dims:
                rng.choice(list(dims)).dim_value = rng.choice(NUMBERS)
        case 13:
            if rng.random() < 0.5 and model.opset_import:
                rng.choice(list(model.opset_import)).version = rng.randint(-1, 30)
            else:
                del graph.node[rng.randrange(len(graph.node))]
                graph.node.append(node)


def edit_png(rng: random.Random, path: Path) -> None:
    """Damage one picture of a folder: its bytes, a chunk with the checksum right, or its name."""
    file = rng.choice(sorted(path.glob("*.png")))
    content = file.read_bytes()
    match rng.randrange(6):
        case 0:
            file.rename(
                file.with_name(rng.choice(["x.png", "9" * 30 + "_0.png", "²_1.png", "_.png"]))
            )
        case 1:
            file.unlink()
            file.mkdir()
        case 2 | 3:
            chunks, at = [], 8
            while at + 8 <= len(content):
                size = struct.unpack(">I", content[at : at + 4])[0]
                chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
                at += 12 + size
            which = rng.randrange(len(chunks))
            name, body = chunks[which]
            chunks[which] = (name, damaged(rng, body)) if body else (b"IDAT", b"")
            file.write_bytes(
                content[:8]
                + b"".join(
                    struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b))
                    for n, b in chunks
                )
            )
        case _:
            file.write_bytes(damaged(rng, content))


# Good files, and what reads them.


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


def reads_model(path: Path) -> None:
    """Import a model and compute with it."""
    net = xf.load(path)
    verify(net)
    scores = net(np.random.default_rng(0).integers(0, 256, (2, *net.shape), np.uint8))
    assert scores.dtype == np.int64 and scores.shape == (2, len(net.scores.offsets))
    for text in (*net.notes, *net.classes):
        text.encode()


def reads_network(path: Path) -> None:
    """Read a network and compute with it; written again it is the same one."""
    reads_model(path)
    net = ir_file.load(path)
    again = io.BytesIO()
    ir_file.save(net, again)  # type: ignore[arg-type]
    assert again.tell()


def reads_images(path: Path) -> None:
    """Read images."""
    images = read_images(path)
    assert images.x.dtype == np.uint8 and images.x.ndim >= 2 and images.x.size
    assert images.y is None or (images.y.dtype == np.int64 and images.y.shape == (len(images.x),))


def reads_design(path: Path) -> None:
    """Read a design; it is the hardware that its folder holds."""
    design = xf.Design.read(path)
    assert (path / f"{design.net.name}.v").read_text() == design.verilog
    assert np.isfinite(design.fps) and design.summary()
    verify(design.net)


def reads_folding(path: Path) -> None:
    """Fold the demo network by a file."""
    design = compile_network(_digits(), folding=path)
    assert design.ii > 0 and len(design.folds) == len(design.parts)


@cache
def _digits() -> xf.IntegerNetwork:
    return xf.load(demo.model_path())


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Parameters
    ----------
    files : tuple of str
        Good ones, in the folder that `prepare` filled.
    share : int
        Inputs of this kind, of all kinds' shares.
    mutators : tuple of function
        What damages one in place.
    reader : function
        What reads it; raises `XnorflowError` where it refuses it.
    inside : str
        The file to damage, if the good one is a folder.
    """

    files: tuple[str, ...]
    share: int
    mutators: tuple[Mutator, ...]
    reader: Callable[[Path], None]
    inside: tuple[str, ...] = ()


KINDS = {
    "onnx": Kind(
        ("digits.onnx", "small.onnx", "quantised.onnx"), 30, (flip_file, edit_onnx), reads_model
    ),
    "npz": Kind(("stored.npz", "packed.npz"), 20, (flip_file, edit_npz), reads_images),
    "npy": Kind(("frames.npy",), 10, (flip_file, edit_npy), reads_images),
    "network": Kind(("network.npz",), 20, (flip_file, edit_network), reads_network),
    "png": Kind(("grey", "colour", "palette"), 10, (edit_png,), reads_images),
    "folding": Kind(("folding.json", "finn.json"), 6, (flip_file, scramble_json), reads_folding),
    "design": Kind(("design",), 1, (flip_file, scramble_json), reads_design, ("design.json",)),
}


@dataclass
class Outcome:
    """What came of one input: a word, and for a traceback where it came from."""

    word: str
    place: str = ""
    text: str = ""


def attempt(kind: Kind, path: Path) -> Outcome:
    """Read one input under the timer."""

    def late(number: int, frame: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, late)
    # A hang in compiled code holds no signal handler back: then this ends the whole run.
    faulthandler.dump_traceback_later(10 * SECONDS, exit=True)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        kind.reader(path)
        return Outcome("accepted")
    except XnorflowError as e:
        text = str(e)
        if "\n" in text or "Traceback" in text:
            return Outcome("TRACEBACK", "a message of several lines", text)
        return Outcome("refused")
    except Hang:
        return Outcome("HANG", _place(sys.exc_info()[2]), traceback.format_exc())
    except Exception as e:  # Whatever a damaged file provokes; that is the question.
        return Outcome(
            "TRACEBACK", f"{type(e).__name__} in {_place(e.__traceback__)}", traceback.format_exc()
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()


def _place(trace: Any) -> str:
    """Return the innermost function of ours, and the innermost of all."""
    frames = traceback.extract_tb(trace)
    ours = [f for f in frames if "xnorflow" in f.filename] or frames
    last = frames[-1]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}"
    return where if last is ours[-1] else f"{where}, {Path(last.filename).name} {last.name}"


def make(case: int, seed: int, kinds: list[str], good: Path, work: Path) -> tuple[str, Path]:
    """Write the damaged file of a case; returns its kind and path."""
    rng = random.Random(f"{seed}:{case}")
    name = rng.choices(kinds, [KINDS[k].share for k in kinds])[0]
    kind = KINDS[name]
    source = good / rng.choice(kind.files)
    path = work / source.name
    if path.is_dir():
        shutil.rmtree(path)
    if source.is_dir():
        shutil.copytree(source, path)
    else:
        shutil.copy(source, path)
    rng.choice(kind.mutators)(rng, path / rng.choice(kind.inside) if kind.inside else path)
    return name, path


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this input alone, with its traceback")
    parser.add_argument("--kind", choices=list(KINDS), help="this kind alone")
    options = parser.parse_args()
    kinds = [options.kind] if options.kind else list(KINDS)
    cases = range(options.count) if options.only is None else [options.only]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts: dict[str, Counter[str]] = {name: Counter() for name in kinds}
    seen: dict[str, list[int]] = {}
    started, slowest = time.monotonic(), (0.0, 0, "")
    with tempfile.TemporaryDirectory(prefix="damaged-") as folder:
        good, work = Path(folder) / "good", Path(folder) / "work"
        good.mkdir()
        work.mkdir()
        prepare(good)
        for done, case in enumerate(cases):
            name, path = make(case, options.seed, kinds, good, work)
            began = time.monotonic()
            outcome = attempt(KINDS[name], path)
            slowest = max(slowest, (time.monotonic() - began, case, name))
            counts[name][outcome.word] += 1
            if outcome.place:
                key = f"{name}: {outcome.word} {outcome.place}"
                if key not in seen:
                    print(f"case {case}: {key}", flush=True)
                    if options.only is not None:
                        print(outcome.text)
                seen.setdefault(key, []).append(case)
            if done % 500 == 499:
                print(
                    f"{done + 1} inputs, {time.monotonic() - started:.0f} s; slowest: case"
                    f" {slowest[1]} ({slowest[2]}), {slowest[0]:.1f} s",
                    flush=True,
                )
    words = ("accepted", "refused", "TRACEBACK", "HANG")
    print(
        f"\nseed {options.seed}, {time.monotonic() - started:.0f} s; the slowest was case"
        f" {slowest[1]} ({slowest[2]}), {slowest[0]:.1f} s"
    )
    print(f"| file | inputs | {' | '.join(words)} |\n|---|---|{'---|' * len(words)}")
    for name, count in (*counts.items(), ("all", sum(counts.values(), Counter[str]()))):
        print(f"| {name} | {count.total():,} | {' | '.join(f'{count[w]:,}' for w in words)} |")
    for key, found in sorted(seen.items(), key=lambda item: -len(item[1])):
        print(f"{len(found)} times {key}; first case {found[0]}")
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()
