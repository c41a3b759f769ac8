"""Train the demo network with Brevitas: ``python -m xnorflow.train.digits -o digits.onnx``.

The network is small enough for the smallest boards. It has 25,744 binary weights, and its
activations are binary except at the input, which is quantised to 4 bits (16, all ink, becomes 15).
It has the features that make such networks hard to map exactly: convolutions padded with 0, which
is no value of a binary activation; a pool between a convolution and its batch-norm; and negative
gammas in half of the channels of each batch-norm. All scales are 1, so the scores are integers.

The method is that of BinaryNet (Hubara et al., arXiv:1602.02830): the network computes with the
signs of float weights, the gradient passes straight through the sign where a value is within -1 and
1, and the optimiser is Adam. The same seed on the same machine yields the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from xnorflow import demo
from xnorflow.errors import CheckFailed, XnorflowError
from xnorflow.train import needs

CHANNELS = (16, 32, 64)
TEMPERATURE = 1 / 16
"""Factor of the scores before the softmax of the loss, which is too steep for sums of 256 signs."""


def network() -> Any:
    """Build the untrained network.

    Returns
    -------
    torch.nn.Sequential
        Network that takes raw samples, float32 [frames, 1, 8, 8] from 0 to 16, and returns scores,
        float32 [frames, 10], which are whole numbers from -256 to 256.
    """
    nn, qnn = needs("torch").nn, needs("brevitas.nn")
    quantisers = needs("xnorflow.train.binarise")

    def conv(inputs: int, outputs: int, padding: int) -> Any:
        return qnn.QuantConv2d(
            inputs, outputs, 3, padding=padding, bias=False, weight_quant=quantisers.BinaryWeight
        )

    def norm(channels: int) -> Any:
        layer = nn.BatchNorm2d(channels)
        layer.weight.data[1::2] = -1.0  # so that the minimum of a pool matters, too
        return layer

    def sign() -> Any:
        return qnn.QuantIdentity(act_quant=quantisers.BinaryActivation)

    a, b, c = CHANNELS
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=quantisers.Sample4),
        conv(1, a, 1), norm(a), sign(),  # 8 x 8
        conv(a, b, 1), nn.MaxPool2d(2), norm(b), sign(),  # 4 x 4
        conv(b, c, 0), norm(c), sign(),  # 2 x 2
        nn.Flatten(),
        qnn.QuantLinear(4 * c, 10, bias=False, weight_quant=quantisers.BinaryWeight),
    )  # fmt: skip


def augment(x: Any, generator: Any) -> Any:
    """Return images, each turned by up to 12 degrees, scaled by up to 10 % and shifted.

    The shift is at most 0.8 pixels in either direction.

    Parameters
    ----------
    x : torch.Tensor
        Raw samples, float32 [frames, 1, 8, 8].
    generator : torch.Generator
        Source of the random numbers.

    Returns
    -------
    torch.Tensor
        Images of the same shape and type; samples are rounded to whole numbers.
    """
    torch = needs("torch")
    draw = 2 * torch.rand((4, len(x)), generator=generator) - 1
    angle, scale = draw[0] * np.deg2rad(12), 1 + 0.1 * draw[1]
    shift = (
        draw[2:] * 0.8 * 2 / x.shape[-1]
    )  # in the units of affine_grid, where an image is 2 wide
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1).reshape(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(rows, list(x.shape), align_corners=False)
    return torch.nn.functional.grid_sample(x, grid, align_corners=False).round()


def fit(
    x: NDArray[np.uint8],
    y: NDArray[np.uint8],
    *,
    seed: int = 0,
    epochs: int = 200,
    batch: int = 64,
    rate: float = 0.01,
) -> Any:
    """Train a network.

    Parameters
    ----------
    x, y : uint8 arrays [images, 8, 8] and [images]
        Raw samples and classes.
    seed : int
        Seed of the initial weights, the order of the images and the augmentation.
    epochs : int
        Passes over the images.
    batch : int
        Images per step.
    rate : float
        Initial learning rate of Adam; it falls to 0 along half a cosine.

    Returns
    -------
    torch.nn.Sequential
        The trained network in evaluation mode; its weights are exactly -1 and +1.
    """
    torch = needs("torch")
    torch.set_num_threads(
        1
    )  # the number of threads changes the order of float sums, and so the result
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(x.astype(np.float32))[:, None]
    labels = torch.from_numpy(y.astype(np.int64))
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), rate)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    with click.progressbar(range(epochs), label="training") as bar:
        for _ in bar:
            order = torch.randperm(len(images), generator=generator)
            # The last, incomplete batch is left out; in the next epoch it has other images.
            for chosen in order[: len(order) // batch * batch].split(batch):
                scores = net(augment(images[chosen], generator))
                loss = torch.nn.functional.cross_entropy(scores * TEMPERATURE, labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    for module in net:
        if hasattr(module, "quant_weight"):
            module.weight.data = module.quant_weight().value.detach()
    return net.eval()


def scores(net: Any, x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the scores of a network, float32 [frames, 10], for samples, uint8 [frames, 8, 8]."""
    torch = needs("torch")
    with torch.no_grad():
        result = net(torch.from_numpy(x.astype(np.float32))[:, None])
    return result.numpy()


def export(net: Any, path: Path) -> None:
    """Write a network as a QONNX file of opset 13, with a batch of 1 and static shapes.

    Parameters
    ----------
    net : torch.nn.Sequential
        Network in evaluation mode.
    path : Path
        File to write.
    """
    torch, onnx = needs("torch"), needs("onnx")
    cleanup = needs("qonnx.util.cleanup").cleanup_model
    wrapper = needs("qonnx.core.modelwrapper").ModelWrapper
    model = needs("brevitas.export").export_qonnx(
        net, torch.zeros(1, 1, 8, 8), dynamo=False, opset_version=13
    )
    model = cleanup(wrapper(model)).model
    model.graph.name = "digits"
    model.doc_string = (
        "8 x 8 handwritten digits: 1-bit weights and activations, 4-bit input. Takes raw samples "
        "0 to 16. Made by xnorflow.train.digits."
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def accuracy(path: Path, x: NDArray[np.uint8], y: NDArray[np.uint8], net: Any) -> float:
    """Compute the accuracy of a written file in the QONNX executor, and check its scores.

    Parameters
    ----------
    path : Path
        File that `export` wrote.
    x, y : uint8 arrays [images, 8, 8] and [images]
        Raw samples and classes.
    net : torch.nn.Sequential
        Network that was written.

    Returns
    -------
    float
        Fraction of the labels that are right, 0 to 1.

    Raises
    ------
    xnorflow.errors.CheckFailed
        If a score of the file differs from that of `net`.
    """
    model = needs("qonnx.core.modelwrapper").ModelWrapper(str(path))
    execute = needs("qonnx.core.onnx_exec").execute_onnx
    inp, out = model.graph.input[0].name, model.graph.output[0].name
    frames = x.astype(np.float32)[:, None, None]
    written = np.concatenate([execute(model, {inp: frame})[out] for frame in frames])
    if (wrong := int((written != scores(net, x)).any(axis=1).sum())) > 0:
        raise CheckFailed(f"{path}: the scores of {wrong} images differ from those in PyTorch.")
    return float((written.argmax(axis=1) == y).mean())


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The .onnx.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything drawn.")
@click.option("--epochs", default=200, show_default=True, help="Passes over the training images.")
def main(output: Path, seed: int, epochs: int) -> None:
    """Train the digit network, write it as QONNX, and check the file on the held-out images.

    Example: python -m xnorflow.train.digits -o digits.onnx
    """
    try:
        images = demo.data()
        net = fit(images["x_train"], images["y_train"], seed=seed, epochs=epochs)
        export(net, output)
        right = accuracy(output, images["x_test"], images["y_test"], net)
    except XnorflowError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {right:.2%} of {len(images['y_test'])} held-out images are right")


if __name__ == "__main__":
    main()
