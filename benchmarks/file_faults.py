"""Faults of files: damaged bytes, and edited fields with checksums put right.

A function that takes a path damages that file in place.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


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
