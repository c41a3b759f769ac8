"""Samples of every kind through the generated Verilog, and over the simulated board's link."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import xnorflow as xf
from xnorflow_sim import golden

pytestmark = pytest.mark.rtl

RNG = np.random.default_rng(5)
QONNX = "qonnx.custom_op.general"


def model(path: Path, quantiser: str) -> Path:
    """Build a network of two layers for frames of shape [1, 2, 3, 4], the same every time."""
    rng = np.random.default_rng(5)
    constants: dict[str, np.ndarray] = {
        "w": rng.choice([-1, 1], (4, 2, 2, 2)).astype(np.float32),
        "half": np.array(0.5, np.float32),
        "m": rng.choice([-1, 1], (24, 3)).astype(np.float32),
        "scale": np.array(0.5, np.float32),
        "zero": np.array(0, np.float32),
        "bits": np.array(3, np.float32),
        "mean": np.array([0.1, -0.2], np.float32).reshape(2, 1, 1),
    }
    nodes = [helper.make_node("Sub", ["x", "mean"], ["c"])] if quantiser == "Quant" else []
    match quantiser:
        case "":
            first = "x"
        case "Sign":
            nodes.append(helper.make_node("Sub", ["x", "half"], ["c"]))
            nodes.append(helper.make_node("Sign", ["c"], ["q"]))
            first = "q"
        case _:
            nodes.append(
                helper.make_node(
                    "Quant",
                    ["c", "scale", "zero", "bits"],
                    ["q"],
                    domain=QONNX,
                    signed=1,
                    narrow=0,
                    rounding_mode="ROUND",
                )
            )
            first = "q"
    nodes += [
        helper.make_node("Conv", [first, "w"], ["a"]),
        helper.make_node("Add", ["a", "half"], ["b"]),
        helper.make_node("Sign", ["b"], ["s"]),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "kinds",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(a, name) for name, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "quantiser"),
    [
        ("int8", ""),
        ("int4", "Sign"),
        ("bipolar", ""),
        ("uint12", "Quant"),
        ("int16", "Sign"),
        ("int16", ""),
        ("float", "Quant"),
    ],
)
def test_the_verilog_takes_samples_of_a_kind(tmp_path: Path, kind: str, quantiser: str) -> None:
    net = xf.load(model(tmp_path / "net.onnx", quantiser), input=kind)
    a = net.samples.alphabet
    x = RNG.integers(0, a.levels, (6, 2, 3, 4)) * a.step + a.lo
    if kind == "float":
        x = RNG.normal(0, 1, x.shape).astype(np.float32)
    design = xf.compile(net)
    assert design.interface.sample_bytes == (2 if a.bits > 8 else 1)
    run = design.simulate(x, stalls=(0.2, 0.2))
    np.testing.assert_array_equal(run.scores, net(x))
    assert len(np.unique(run.scores)) > 1
    assert run.latency >= design.latency


def test_wide_samples_over_the_link(tmp_path: Path) -> None:
    from xnorflow_boards.host.driver import Driver
    from xnorflow_boards.host.transport import SerialTransport
    from xnorflow_boards.simulated.design_board import simulated

    net = xf.load(model(tmp_path / "net.onnx", "Sign"), input="int16")
    design = xf.compile(net)
    x = RNG.integers(-(1 << 15), 1 << 15, (9, 2, 3, 4))
    face = design.interface
    payloads = face.pack(golden.frames(net, x)).reshape(len(x), -1)
    assert payloads.shape[1] >= 2 * face.frame
    with simulated(design) as board:
        transport = SerialTransport(board.port, 1_000_000)
        try:
            driver = Driver(transport, timeout=5)
            size = face.out_beats * face.out_bytes
            known = driver.expect(design.digest, payloads.shape[1], size)
            answers = driver.run(payloads, known)
        finally:
            transport.close()
    answers.check()
    scores = face.unpack(answers.results.reshape(len(x), face.out_beats, face.out_bytes))
    np.testing.assert_array_equal(scores, net(x))
