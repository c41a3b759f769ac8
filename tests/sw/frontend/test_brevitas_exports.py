"""A network that Brevitas exports here and now, through both of its exporters."""

import importlib.util
import logging
import warnings

import numpy as np
import pytest

from xnorflow.graph import ops

from .onnx_models import f32, imported_exactly

MISSING = [
    name
    for name in ("torch", "brevitas", "onnxoptimizer", "onnxscript")
    if importlib.util.find_spec(name) is None
]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install 'xnorflow[train]'"
)


@pytest.fixture(scope="module")
def network():
    """A trained-looking network: zero padding, stride 2, groups, pools, every sign of gamma."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Brevitas warns about optional kernels.
        import brevitas.nn as qnn
        import torch
        from brevitas.core.bit_width import BitWidthImplType
        from brevitas.core.quant import QuantType
        from brevitas.core.restrict_val import FloatToIntImplType, RestrictValueType
        from brevitas.core.scaling import ScalingImplType
        from brevitas.core.zero_point import ZeroZeroPoint
        from brevitas.inject import ExtendedInjector
        from brevitas.quant import Int8WeightPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
        from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
        from torch import nn

    class Binary(ExtendedInjector):
        bit_width_impl_type = BitWidthImplType.CONST
        scaling_impl_type = ScalingImplType.CONST
        restrict_scaling_type = RestrictValueType.FP
        zero_point_impl = ZeroZeroPoint
        float_to_int_impl_type = FloatToIntImplType.ROUND
        scaling_per_output_channel = False
        narrow_range = True
        signed = True
        quant_type = QuantType.BINARY
        bit_width = 1

    class BinaryWeight(Binary, WeightQuantSolver):
        scaling_const = 1.0

    class BinaryAct(Binary, ActQuantSolver):
        min_val = -1.0
        max_val = 1.0

    torch.manual_seed(0)
    binary = {"weight_quant": BinaryWeight, "bias": False}
    net = nn.Sequential(
        qnn.QuantIdentity(act_quant=BinaryAct),
        qnn.QuantConv2d(2, 8, 3, padding=1, stride=2, **binary),
        nn.BatchNorm2d(8),
        qnn.QuantIdentity(act_quant=BinaryAct),
        qnn.QuantConv2d(8, 8, 3, padding=1, groups=2, **binary),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(8),
        qnn.QuantReLU(bit_width=2, act_quant=Uint8ActPerTensorFixedPoint),
        qnn.QuantConv2d(
            8,
            6,
            3,
            padding=1,
            bias=True,
            weight_bit_width=4,
            weight_quant=Int8WeightPerTensorFixedPoint,
        ),
        nn.BatchNorm2d(6),
        qnn.QuantIdentity(act_quant=BinaryAct),
        nn.Flatten(),
        nn.Dropout(),
        qnn.QuantLinear(6 * 2 * 2, 10, bias=True, weight_quant=BinaryWeight),
    )
    with torch.no_grad():
        for norm in (net[2], net[6], net[9]):
            norm.weight.copy_(torch.randn(norm.num_features))
            norm.bias.copy_(torch.randn(norm.num_features))
        net[2].weight[:2] = torch.tensor([0.0, -1.0])
        for _ in range(4):
            net(torch.randn(16, 2, 8, 8))  # Sets running statistics and activation scales.
    return net.eval()


def export(network, path, options):
    """Write the network with Brevitas's own exporter."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates what Brevitas still uses.
            import torch
            from brevitas.export import export_qonnx

            export_qonnx(network, torch.zeros(1, 2, 8, 8), str(path), **options)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "options", [{}, {"dynamo": False, "opset_version": 13}], ids=["today's default", "opset 13"]
)
def test_export(network, tmp_path, options):
    path = tmp_path / "net.onnx"
    export(network, path, options)
    graph = imported_exactly(path, count=16, input_scale=1 / 64)
    assert graph.shape == (8, 8, 2)
    kinds = [
        type(op).__name__.removesuffix("Op") for op in graph.ops if not isinstance(op, ops.AddOp)
    ]
    assert kinds == [
        "BipolarQuant",
        "Conv",
        "BatchNorm",
        "BipolarQuant",
        "Conv",
        "MaxPool",
        "BatchNorm",
        "Clip",
        "Quant",
        "Conv",
        "BatchNorm",
        "BipolarQuant",
        "Flatten",
        "Conv",
    ]
    first, second, third, last = (op for op in graph.ops if isinstance(op, ops.ConvOp))
    stored = network[1].weight.detach().numpy()
    np.testing.assert_array_equal(first.weights, np.where(stored >= 0, 1, -1).transpose(0, 2, 3, 1))
    assert first.window.stride == (2, 2)
    assert first.window.pads == (1, 1, 1, 1)
    assert first.pad_value == 0
    assert second.groups == 2
    assert second.weights.shape[3] * 2 == len(first.weights)
    assert np.abs(third.weights).max() <= 7
    assert graph.ops[2].gamma[0] == 0
    assert graph.ops[2].gamma[1] == f32(-1)
    assert last.weights.shape == (10, 1, 1, 24)
