"""Binary perceptrons and committees that are trained towards dense regions of solutions.

Baldassi et al., arXiv:1509.05753, show that binary perceptrons have rare solutions that lie among
many others, and that simple algorithms find them; what such a solution computes survives flipped
weights. The rule here is replicated gradient descent, which follows the local entropy: several
replicas with weights of their own learn from batches of their own, and each is drawn to the mean of
all by a force that grows with the epochs,

    w_a += -rate * gradient_a + pull * (mean of w - w_a).

What is written are the signs of the mean. With one replica ("plain" variants) it is ordinary
training by the straight-through estimator.

A perceptron has one neuron per class. A committee has an odd number of neurons per class, which
vote with weights of 1. Samples are two values, so a sum that is 0 counts as +1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from xnorflow.errors import BadInput
from xnorflow.train.chain_file import ChainFile
from xnorflow.train.gradient_training import reproducible
from xnorflow.train.topology import hidden_widths
from xnorflow.train.torch_layers import BinarySamples, Signs
from xnorflow.train.training import Epoch, Task, Training
from xnorflow.train.weight_rules import binary, straight_through

REPLICAS = 5
BATCH = 50
RATE = 0.01
"""Learning rate of each replica, in units of weights between -1 and 1."""
LAST_PULL = 0.03
"""Share of its distance to the mean that a replica loses per step in the last epoch; it is 0 in the
first and grows evenly."""
TEMPERATURE = 1.5
"""What scores, divided by the root of their number of inputs, are multiplied by for the softmax."""


class Replicas(Training):
    """Replicas of one layer of binary weights, and the votes behind it.

    Parameters
    ----------
    task : Task
        Data, epochs and seed; the variant says whether there is more than one replica.
    members : int
        Neurons per class; 1 for a perceptron.
    """

    def __init__(self, task: Task, members: int) -> None:
        """Draw the first weights."""
        self.task, self.members = task, members
        data = task.data
        replicas = 1 if task.variant.endswith("plain") else REPLICAS
        self.first, self.signs = BinarySamples(data.most), Signs()
        self.x, self.y = self._samples(data.x_train), torch.from_numpy(data.y_train)
        self.batch = min(BATCH, len(self.x))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            shape = (replicas, data.classes * members, self.x.shape[1])
            self.w = torch.empty(shape).uniform_(-0.1, 0.1).requires_grad_()

    def epoch(self, number: int) -> Epoch:
        """Go over the images once per replica, each in an order of its own."""
        images = self._samples(self.task.images(number)) if self.task.shift else self.x
        replicas, steps = len(self.w), len(images) // self.batch
        pull = LAST_PULL * number / max(1, self.task.epochs - 1)
        total, right = 0.0, 0
        with reproducible(self.task, number):
            orders = torch.stack([torch.randperm(len(images)) for _ in range(replicas)])
            for step in range(steps):
                chosen = orders[:, step * self.batch : (step + 1) * self.batch]
                x, y = images[chosen], self.y[chosen]
                scores = self.scores(x, straight_through(self.w, binary(self.w)))
                loss = functional.cross_entropy(TEMPERATURE * scores.flatten(0, 1), y.flatten())
                (gradient,) = torch.autograd.grad(loss * replicas, self.w)
                with torch.no_grad():
                    share = (number * steps + step) / (self.task.epochs * steps)
                    # Adam's idea in its simplest form: steps of one size, whatever the gradient's.
                    scaled = gradient / gradient.abs().mean().clamp(min=1e-12)
                    self.w -= RATE * (1 - share) * scaled.clamp(-1, 1)
                    self.w += pull * (self.w.mean(0, keepdim=True) - self.w)
                    self.w.clamp_(-1, 1)
                total += float(loss.detach())
                right += int((scores.argmax(-1) == y).sum())
        return Epoch(total / steps, right / (steps * self.batch * replicas))

    def scores(self, x: Any, weights: Any) -> Any:
        """Return scores [replicas, frames, classes] of samples [replicas, frames, inputs]."""
        sums = torch.einsum("rfi,roi->rfo", x, weights) / x.shape[-1] ** 0.5
        if self.members == 1:
            return sums
        # In units of each neuron's own spread over the frames: the sign passes gradients also for
        # neurons that a picture's background drives far to one side.
        spread = sums.detach().square().mean(-2, keepdim=True).sqrt().clamp(min=1e-6)
        votes = self.signs(sums / spread)
        return votes.unflatten(-1, (-1, self.members)).sum(-1) / self.members**0.5

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the real weights of all replicas."""
        return {"w": self.w.detach().numpy().copy()}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned."""
        if state["w"].shape != tuple(self.w.shape):
            raise ValueError(f"the weights have the shape {state['w'].shape}")
        with torch.no_grad():
            self.w.copy_(torch.from_numpy(np.array(state["w"])))

    def write(self, file: ChainFile) -> None:
        """Append the signs of the replicas' mean, and the votes."""
        self.first.write(file)
        file.dense(binary(self.w.detach().mean(0)).numpy())
        if self.members > 1:
            file.sign()
            file.dense(np.repeat(np.eye(self.task.data.classes), self.members, 1))

    def notes(self) -> tuple[str, ...]:
        """Return how far the replicas are from their mean."""
        w = self.w.detach()
        if len(w) == 1:
            return ()
        apart = (binary(w) != binary(w.mean(0))).float().mean().item()
        return (f"{apart:.2%} of a replica's weights have another sign than the mean of all",)

    def _samples(self, x: NDArray[np.uint8]) -> Any:
        return self.first(torch.from_numpy(x.astype(np.float32)).flatten(1))


def start(task: Task) -> Training:
    """Build the untrained replicas."""
    widths = hidden_widths(task.net, task.variant)
    if task.variant.startswith("perceptron"):
        if widths:
            raise BadInput(f"--net {task.net}: a perceptron has no hidden layer; leave out --net")
        return Replicas(task, 1)
    if len(widths) != 1 or widths[0] % 2 == 0:
        raise BadInput(
            f"--net {task.net}: a committee has one number, its members per class, and an odd one;"
            " 9 would work"
        )
    return Replicas(task, widths[0])
