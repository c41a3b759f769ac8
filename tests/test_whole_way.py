"""From an ONNX file to hardware: executor, golden model and hardware agree on every value.

Scales are powers of two, so that the executor's float32 sums are exact in whatever order it adds.
"""

import numpy as np
import pytest
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st

import xnorflow as xf
from xnorflow.compiler import compile_network
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold

from .bench import check
from .strategies import Case
from .sw.frontend.onnx_models import Model, execute, f32, signs
from .sw.frontend.test_brevitas_exports import MISSING, export, network  # noqa: F401


@st.composite
def files(draw):
    """Draw a small network as a QONNX file and a seed for its frames."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = draw(st.integers(1, 3))
    size = [draw(st.integers(4, 8)), draw(st.integers(4, 8))]
    m = Model(1, channels, *size)
    x = m("Sub", "x", f32(draw(st.sampled_from([0, 100, 128]))))
    match draw(st.sampled_from(["bipolar", "int2", "uint4", "int8"])):
        case "bipolar":
            x = m.bipolar(x)
        case "int2":
            x = m.quant(m("Mul", x, f32(1 / 64)), 2, narrow=1, rounding="FLOOR")
        case "uint4":
            x = m.quant(m("Mul", x, f32(1 / 16)), 4, signed=0)
        case "int8":
            x = m.quant(x, 8, rounding="HALF_UP")
    for _ in range(draw(st.integers(1, 3))):
        x, channels = _block(draw, m, rng, x, channels, size)
    x = m("Reshape", x, np.array([1, channels * size[0] * size[1]]))
    classes = draw(st.integers(2, 5))
    x = m("MatMul", x, m.bipolar(signs(rng, channels * size[0] * size[1], classes)))
    match draw(st.sampled_from(["plain", "scaled", "offsets", "per class"])):
        case "scaled":
            m("Add", m("Mul", x, f32(0.25)), f32(-3))
        case "offsets":
            m("Sub", x, f32(rng.integers(-9, 10, classes)))
        case "per class":
            m("Mul", x, f32(rng.normal(size=classes)))
    return m, rng


def _pool(m, x, size, stride):
    if min(size) < 2:
        return x
    for axis in (0, 1):
        size[axis] = (size[axis] - 2) // stride + 1
    return m("MaxPool", x, kernel_shape=[2, 2], strides=[stride, stride])


def _block(draw, m, rng, x, channels, size):
    """Append padding, convolution, pool, batch-norm, activation and pool."""
    padding = draw(st.sampled_from(["none", "zero", "plus", "minus"]))
    pads, kernel, strides, dilations = [0] * 4, [], [], []
    for axis in (0, 1):
        k, d = draw(st.integers(1, 5)), draw(st.integers(1, 2))
        if padding != "none":
            for side in (axis, axis + 2):
                pads[side] = draw(st.integers(0, min(2, (k - 1) * d)))
        room = size[axis] + pads[axis] + pads[axis + 2]
        while (k - 1) * d >= room:
            k, d = (k, d - 1) if d > 1 else (k - 1, d)
        s = draw(st.integers(1, 3))
        size[axis] = (room - (k - 1) * d - 1) // s + 1
        kernel.append(k)
        dilations.append(d)
        strides.append(s)
    if padding in ("plus", "minus"):
        around = np.array([0, 0, *pads[:2], 0, 0, *pads[2:]])
        x = m("Pad", x, around, f32(1 if padding == "plus" else -1))
    out = draw(st.integers(1, 6))
    if draw(st.booleans()):
        w = m.bipolar(signs(rng, out, channels, *kernel))
    else:
        w = m.quant(f32(rng.integers(-1, 2, (out, channels, *kernel))), 2, narrow=1)
    x = m(
        "Conv",
        x,
        w,
        strides=strides,
        dilations=dilations,
        pads=pads if padding == "zero" else [0] * 4,
    )
    if draw(st.booleans()):
        x = _pool(m, x, size, draw(st.integers(1, 2)))
    gammas = rng.choice([-2.0, -0.5, 0.0, 0.25, 1.0], out)
    x = m(
        "BatchNormalization",
        x,
        f32(gammas),
        f32(rng.integers(-3, 4, out)),
        f32(rng.integers(-20, 21, out)),
        f32(rng.uniform(0.5, 30, out)),
        epsilon=2.0**-10,
    )
    match draw(st.sampled_from(["bipolar", "ternary", "uint2", "threshold"])):
        case "bipolar":
            x = m.bipolar(x)
        case "ternary":
            x = m.quant(x, 2, narrow=1, rounding="HALF_DOWN")
        case "uint2":
            x = m.quant(m("Relu", x), 2, signed=0, rounding="CEIL")
        case "threshold":
            t = np.sort(rng.normal(size=(out, 3)), axis=1)
            x = m(
                "MultiThreshold",
                x,
                f32(t),
                domain="qonnx.custom_op.general",
                out_dtype="INT4",
                out_bias=-2.0,
            )
    if draw(st.booleans()):
        x = _pool(m, x, size, draw(st.integers(1, 2)))
    return x, out


def agree(net, path, frames, scale=1.0):
    """Check that the scores of the golden model equal the executor's."""
    want = execute(path, frames, scale)
    scores = net(frames)
    np.testing.assert_array_equal(scores.argmax(1), want.argmax(1))
    np.testing.assert_array_equal(net.scores.to_float(scores), want)


@settings(max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(files(), st.data())
def test_drawn_networks(tmp_path_factory, drawn, data):
    m, rng = drawn
    path = m.save(tmp_path_factory.mktemp("onnx"))
    try:
        net = xf.load(path)
    except xf.UnsupportedModel as e:
        # Padding of 1 where the activations happen to reach only multiples of 3, say.
        assert "no integer multiple of the activation scale" in str(e)
        reject()
    frames = rng.integers(0, 256, (3, *net.shape), dtype=np.uint8)
    agree(net, path, frames)
    folds = []
    try:
        compile_network(net, cycles=1 << 20)
    except xf.UnsupportedModel as e:
        assert "nothing but padding" in str(e)
        reject()
    for part in reductions(net):
        simd = data.draw(st.integers(1, part.inp.channels))
        pe = data.draw(st.integers(1, part.out_channels)) if part.layer.kind == "conv" else simd
        folds.append(Fold(pe, simd))
    check(Case(net, tuple(folds), 1, 1, frames))


def test_larq_shape(tmp_path):
    """Batch-norm fused into +-s, channels last, padding of +1, sign with an added constant."""
    rng = np.random.default_rng(5)

    def sign(y):
        y = m("Transpose", y, perm=[0, 2, 3, 1])
        y = m("Sign", m("Add", m("Sign", y), f32(0.1)))
        return y

    m = Model(1, 9, 8, 3)
    y = m("Transpose", m.quant("x", 8, signed=0), perm=[0, 3, 1, 2])
    y = sign(m("Conv", y, signs(rng, 4, 3, 3, 3), f32(rng.integers(-99, 99, 4))))
    y = m("Pad", y, np.array([0, 1, 1, 0, 0, 1, 1, 0]), f32(1))
    fused = signs(rng, 5, 4, 3, 3) * f32(0.5, 0.25, 2, 1, 4).reshape(5, 1, 1, 1)
    y = m(
        "Conv", m("Transpose", y, perm=[0, 3, 1, 2]), fused, f32(rng.normal(size=5)), strides=[2, 2]
    )
    y = m("MaxPool", y, kernel_shape=[2, 2], strides=[1, 1])
    y = m("Reshape", sign(y), np.array([-1, 30]))
    m("Mul", m("MatMul", y, signs(rng, 30, 6)), f32(0.125))
    path = m.save(tmp_path)
    net = xf.load(path)
    frames = rng.integers(0, 256, (3, *net.shape), dtype=np.uint8)
    agree(net, path, frames)
    folds = compile_network(net, cycles=700).folds
    check(Case(net, folds, 3, 1, frames))


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install 'xnorflow[train]'"
)
@pytest.mark.parametrize("options", [{}, {"dynamo": False, "opset_version": 13}])
def test_exported_by_brevitas(network, tmp_path, options):  # noqa: F811
    """Zero padding, stride 2, groups, multi-bit activations, zero and negative gammas."""
    path = tmp_path / "net.onnx"
    export(network, path, options)
    net = xf.load(path, input_scale=1 / 64)
    frames = np.random.default_rng(3).integers(0, 256, (24, *net.shape), dtype=np.uint8)
    agree(net, path, frames, 1 / 64)
    design = xf.compile(net, cycles=600)
    run = design.simulate(frames)
    assert (run.ii, run.latency) == (design.ii, design.latency)
    design.simulate(frames, stalls=(0.4, 0.4), seed=1)
