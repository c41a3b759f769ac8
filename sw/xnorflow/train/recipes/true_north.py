"""TrueNorth: spikes and synapses as probabilities, then ternary synapses drawn from them.

Esser et al., NIPS 2015. A synapse from axon i to neuron j exists with the probability c_ij, and its
strength is +1 or -1, by the axon's type (i mod 4) and the neuron's table of four signs. A neuron
spikes where ``sum(x * c * s) + b >= 0``, with spikes x of 0 and 1. In training x and c are
probabilities, and so is the spike:

    mu = sum(x * c * s) + b        var = sum(x * c * (1 - x * c))
    p = Phi((mu + 1/2) / sqrt(var + 1/12))

with the usual correction for sums of whole numbers. Gradients go through it to c, kept within 0 and
1, and b. Written is a draw: synapses -1, 0 or +1, biases rounded; or several draws ("ensemble"),
whose
spikes are added up.

Cores have 256 axons and as many neurons. Four cores of the first layer each see a window of the
picture, two by two, which overlap; one core reads them all, and its neurons vote for classes in
turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from xnorflow.errors import BadInput
from xnorflow.train.chain_file import ChainFile
from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.topology import hidden_widths
from xnorflow.train.torch_layers import BinarySamples, WritableLayer
from xnorflow.train.training import Task, Training

AXONS = 256
"""Most inputs and neurons of a core."""
CORES = 4
"""Cores of the first layer."""
TYPES = 4
"""Types of axons."""
MEMBERS = 8
"""Draws of an ensemble."""
TEMPERATURE = 20.0
"""What the share of a class's neurons that spike is multiplied by for the softmax."""


def windows(frame: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the inputs of each core of the first layer, [cores, inputs], of a flat frame.

    A window has four sevenths of the rows and columns, as 16 x 16 of 28 x 28.

    Raises
    ------
    BadInput
        If a window has more inputs than a core.
    """
    channels, height, width = frame
    rows, columns = -(-4 * height // 7), -(-4 * width // 7)
    if channels * rows * columns > AXONS:
        raise BadInput(
            f"a window of {channels} x {rows} x {columns} samples has more than the {AXONS} inputs"
            " of a core; pictures of 28 x 28 in grey work"
        )
    place = np.arange(channels * height * width).reshape(frame)
    corners = [(r, c) for r in (0, height - rows) for c in (0, width - columns)]
    return np.stack([place[:, r : r + rows, c : c + columns].ravel() for r, c in corners])


class Cores(nn.Module):
    """Cores side by side, each with inputs of its own.

    Parameters
    ----------
    cores, inputs, outputs : int
        Number of cores, and the axons and neurons of each.
    """

    def __init__(self, cores: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.rand(cores, outputs, inputs))
        self.b = nn.Parameter(torch.zeros(cores, outputs))
        table = torch.tensor([1.0, 1.0, -1.0, -1.0])
        drawn = torch.stack([table[torch.randperm(TYPES)] for _ in range(cores * outputs)])
        signs = drawn.reshape(cores, outputs, TYPES)[..., torch.arange(inputs) % TYPES]
        self.register_buffer("signs", signs)

    def forward(self, x: Any) -> Any:
        """Return the probabilities of spikes [frames, cores, neurons] of [frames, cores, axons]."""
        mean = torch.einsum("fki,koi->fko", x, self.c * self.signs) + self.b
        present = torch.einsum("fki,koi->fko", x, self.c)
        variance = present - torch.einsum("fki,koi->fko", x * x, self.c * self.c)
        z = (mean + 0.5) / (variance.clamp(min=0) + 1 / 12).sqrt()
        return (1 + torch.erf(z / 2**0.5)) / 2

    def drawn(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return ternary synapses [cores, neurons, axons], drawn from the probabilities."""
        c = self.c.detach().numpy()
        return np.where(random.random(c.shape) < c, self.signs.numpy(), 0).astype(np.int64)

    @property
    def biases(self) -> NDArray[np.int64]:
        """The whole biases [cores, neurons]."""
        return np.rint(self.b.detach().numpy()).astype(np.int64)


class Chip(WritableLayer):
    """Two layers of cores, and the votes of the last.

    Parameters
    ----------
    task : Task
        Data and neurons per core of both layers.
    members : int
        Draws that are written.
    """

    def __init__(self, task: Task, members: int) -> None:
        super().__init__()
        self.task, self.members = task, members
        widths = hidden_widths(task.net, "true-north")
        if len(widths) != 2 or widths[0] * CORES > AXONS or widths[1] > AXONS:
            raise BadInput(
                f"--net {task.net}: neurons per core of two layers, at most {AXONS // CORES} and"
                f" {AXONS}; 64-250 would work"
            )
        self.places = windows(task.data.frame)
        self.first = Cores(CORES, self.places.shape[1], widths[0])
        self.second = Cores(1, CORES * widths[0], widths[1])
        classes = task.data.classes
        votes = np.arange(widths[1])[None] % classes == np.arange(classes)[:, None]
        if not votes.any(1).all():
            raise BadInput(f"--net {task.net}: {classes} classes need at least as many neurons")
        self.votes = votes.astype(np.float32)

    def forward(self, x: Any) -> Any:
        """Return the share of each class's neurons that spike, times `TEMPERATURE`."""
        seen = x.flatten(1)[:, torch.from_numpy(self.places)]
        spikes = self.second(self.first(seen).flatten(1)[:, None])[:, 0]
        votes = torch.from_numpy(self.votes)
        return TEMPERATURE * functional.linear(spikes, votes / votes.sum(1, keepdim=True))

    def write(self, file: ChainFile) -> None:
        """Append the drawn networks: the cores of the first layer as groups of a convolution.

        Members stand side by side within a core. The second layer has zeros where a member would
        read another one's spikes.
        """
        random = self.task.generator(self.task.epochs, 1)
        firsts, seconds = [], []
        for _ in range(self.members):
            firsts.append(self.first.drawn(random))
            seconds.append(self.second.drawn(random)[0])
        m, per = self.members, firsts[0].shape[1]
        cores, inputs = self.places.shape
        file.flatten()
        file.add("Gather", self.places.ravel(), axis=1)
        file.reshape(cores * inputs, 1, 1)
        weights = np.stack(firsts, 1).reshape(cores * m * per, inputs, 1, 1)
        file.convolution(weights, groups=cores)
        file.per_channel("Add", np.stack([self.first.biases] * m, 1).ravel())
        file.compare(0.0, 1.0, 0.0)
        outputs = seconds[0].shape[0]
        dense = np.zeros((m, outputs, cores, m, per), np.int64)
        for i, weights_of_member in enumerate(seconds):
            dense[i, :, :, i] = weights_of_member.reshape(outputs, cores, per)
        file.dense(dense.reshape(m * outputs, -1))
        file.per_channel("Add", np.tile(self.second.biases[0], m))
        file.compare(0.0, 1.0, 0.0)
        file.dense(np.tile(self.votes, m))


class ProbabilityTraining(GradientTraining):
    """Gradients through probabilities, which stay within 0 and 1."""

    def after_step(self) -> None:
        """Cut the probabilities of synapses."""
        with torch.no_grad():
            for layer in self.net.modules():
                if isinstance(layer, Cores):
                    layer.c.clamp_(0, 1)

    def write(self, file: ChainFile) -> None:
        """Append a draw of the network."""
        for layer in self.net:
            layer.write(file)

    def notes(self) -> tuple[str, ...]:
        """Return the accuracy with probabilities, and how many synapses are still undecided."""
        data = self.task.data
        with torch.no_grad():
            scores = self.net(torch.from_numpy(data.x_test.astype(np.float32)))
        right = float((scores.argmax(1).numpy() == data.y_test).mean())
        c = torch.cat([p.detach().flatten() for p in self.net.parameters() if p.ndim == 3])
        open_ = float(((c > 0.05) & (c < 0.95)).float().mean())
        members = self.net[1].members
        drawn = "1 network is" if members == 1 else f"{members} networks are"
        return (
            f"with probabilities, in floats, {right:.2%} of the test images are right; {drawn}"
            f" drawn, and {open_:.1%} of the synapses were neither below 5 % nor above 95 %",
        )


def start(task: Task) -> Training:
    """Build the untrained network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        chip = Chip(task, MEMBERS if task.variant == "ensemble" else 1)
    net = nn.Sequential(BinarySamples(task.data.most, 0.0), chip)
    return ProbabilityTraining(task, net, loss=functional.cross_entropy, rate=0.02)
