"""From your own network in PyTorch and Brevitas to simulated Verilog.

    pip install -e ".[train]"
    python examples/brevitas_cnn.py

The network is trained for a moment on the digits that xnorflow ships: what matters is the way from
a torch module to a design, not the accuracy. Any module of convolutions, dense layers, pools,
batch-norms and quantised activations goes the same way.
"""

# ruff: noqa: T201

import tempfile
from pathlib import Path

import numpy as np
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from torch import nn

import xnorflow as xf
from xnorflow import demo


class Weight(SignedBinaryWeightPerTensorConst):
    """A quantiser that makes weights -1 and +1.

    Brevitas's own scale of 0.1 works, too, but then PyTorch rounds its float sums, and the rounding
    decides where two classes tie. With a power of two every sum is exact.
    """

    scaling_const = 1.0


def conv(inputs: int, outputs: int, **options: int) -> nn.Module:
    """Build a binary convolution; its padding, if there is any, is zeros as in PyTorch."""
    return QuantConv2d(inputs, outputs, 3, bias=False, weight_quant=Weight, **options)


def sign() -> nn.Module:
    """Build a binary activation."""
    return QuantIdentity(act_quant=SignedBinaryActPerTensorConst)


# 1. The network. Its input is the samples times 1/16, from 0 to 1, without further quantisation.
torch.manual_seed(1)
torch.set_num_threads(1)  # threads only slow down so small a network
network = nn.Sequential(
    conv(1, 24, padding=1), nn.BatchNorm2d(24), sign(),
    conv(24, 24, padding=1, stride=2), nn.BatchNorm2d(24), sign(),  # 4 x 4
    conv(24, 40), nn.BatchNorm2d(40), sign(),  # 2 x 2; channels need not be powers of two
    nn.Flatten(),
    QuantLinear(160, 10, bias=False, weight_quant=Weight),
)  # fmt: skip

# 2. A short training.
data = demo.data()
samples = torch.from_numpy(data["x_train"][:, None] / np.float32(16))
labels = torch.from_numpy(data["y_train"].astype(np.int64))
optimiser = torch.optim.Adam(network.parameters(), 0.01)
for _ in range(15):
    for chosen in torch.randperm(len(samples)).split(64):
        optimiser.zero_grad()
        scores = network(samples[chosen]) / 16  # sums of 160 signs would saturate the softmax
        nn.functional.cross_entropy(scores, labels[chosen]).backward()
        optimiser.step()
network.eval()

with tempfile.TemporaryDirectory() as folder:
    # 3. The export. Opset 13 and the older exporter make the plainest file; a file of the newer
    # exporter (dynamo=True) is read too.
    path = Path(folder) / "mine.onnx"
    export_qonnx(network, torch.zeros(1, 1, 8, 8), str(path), dynamo=False, opset_version=13)

    # 4. The integer network. A uint8 sample times `input_scale` is the network's input.
    net = xf.load(path, input_scale=1 / 16)
    x, y = data["x_test"], data["y_test"]
    with torch.no_grad():
        original = network(torch.from_numpy(x[:, None] / np.float32(16))).numpy()
    print(
        f"integer network: {(net(x).argmax(1) == y).mean():.1%} of the held-out digits right;",
        f"{(net(x) != original).sum()} of {original.size} scores differ from PyTorch's",
    )

    # 5. The hardware, with the fewest lanes that take 1,000 cycles per frame or less.
    design = xf.compile(net, cycles=1000)
    design.write(Path(folder) / "build")
    print(f"design: {design.ii} cycles a frame, {design.verilog.count(chr(10))} lines of Verilog")

    # 6. The proof: the simulated Verilog has the golden model's scores; otherwise CheckFailed.
    run = design.simulate(x[:100])
    print(f"simulated: {len(run.labels)} frames equal, II {run.ii}, latency {run.latency} cycles")
