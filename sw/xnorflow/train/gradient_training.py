"""Training by gradients in PyTorch, the same on every run and after every interruption.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.torch_layers import Norm, ScoreNorm, WeightLayer
from xnorflow.train.training import Epoch, Task, Training

BATCH = 100
SETTLING = 20
"""Batches from which the statistics of the written network are taken."""

Loss = Callable[[Any, Any], Any]


def squared_hinge(scores: Any, labels: Any) -> Any:
    """Return the mean of max(0, 1 - t * score)**2 over classes and frames, t = +1 for the label.

    It is the loss of an L2-SVM, which BinaryConnect and BinaryNet train with.
    """
    target = 2.0 * functional.one_hot(labels, scores.shape[1]) - 1
    return (1 - target * scores).clamp(min=0).square().mean()


class GradientTraining(Training):
    """A network of `xnorflow.train.torch_layers` trained with Adam.

    A method with phases of its own overrides `phase`, one whose loss is more than a function of
    scores and labels `loss_of`.

    Parameters
    ----------
    task : Task
        Data, epochs and seed.
    net : torch.nn.Sequential
        The network; its members write themselves.
    loss : callable
        Takes scores [frames, classes] and labels [frames].
    rate : float
        Learning rate; it falls to 0 along half a cosine over all epochs of a phase.

    Attributes
    ----------
    images, seen : float tensor [images, channels, rows, columns]
        All training images, and those as the last epoch saw them.
    """

    def __init__(
        self, task: Task, net: Any, *, loss: Loss = squared_hinge, rate: float = 0.01
    ) -> None:
        """Move the data to tensors."""
        self.task, self.net, self.loss, self.rate = task, net, loss, rate
        self.images = torch.from_numpy(task.data.x_train.astype(np.float32))
        self.seen = self.images
        self.labels = torch.from_numpy(task.data.y_train)
        self.batch = min(BATCH, len(self.images))
        self.optimiser = torch.optim.Adam(net.parameters(), rate)

    def epoch(self, number: int) -> Epoch:
        """Go over all whole batches of the images in a drawn order."""
        self.net.train()
        if self.task.shift:
            self.seen = torch.from_numpy(self.task.images(number).astype(np.float32))
        batches = len(self.seen) // self.batch
        total, right = 0.0, 0
        within, epochs = self.phase(number)
        with reproducible(self.task, number):
            order = torch.randperm(len(self.seen))[: batches * self.batch]
            for i, chosen in enumerate(order.split(self.batch)):
                self._set_rate((within * batches + i) / (epochs * batches))
                scores = self.net(self.seen[chosen])
                loss = self.loss_of(scores, chosen)
                self.optimiser.zero_grad()
                loss.backward()
                self.optimiser.step()
                self.after_step()
                total += float(loss.detach())
                right += int((scores.argmax(1) == self.labels[chosen]).sum())
        return Epoch(total / batches, right / (batches * self.batch))

    def phase(self, number: int) -> tuple[int, int]:
        """Enter the phase of an epoch; return the epoch's number in it, and the phase's epochs."""
        return number, self.task.epochs

    def loss_of(self, scores: Any, chosen: Any) -> Any:
        """Compute the loss of the images of `seen` with the indices `chosen`."""
        return self.loss(scores, self.labels[chosen])

    def after_step(self) -> None:
        """Bring the weights back within their bounds."""
        for layer in self.net.modules():
            if isinstance(layer, WeightLayer):
                layer.bound()

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the network's tensors and the optimiser's, by name."""
        found = {f"net.{k}": t.detach().numpy().copy() for k, t in self.net.state_dict().items()}
        for i, parameter in enumerate(self.net.parameters()):
            for k, t in self.optimiser.state[parameter].items():
                found[f"optimiser.{i}.{k}"] = t.detach().numpy().copy()
        return found

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned."""
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in state.items()}
        own = {k[4:]: t for k, t in tensors.items() if k.startswith("net.")}
        self.net.load_state_dict(own)
        if not any(k.startswith("optimiser.") for k in tensors):
            return  # It has not been trained yet, as the second of two networks.
        for i, parameter in enumerate(self.net.parameters()):
            start = f"optimiser.{i}."
            kept = {k[len(start) :]: t for k, t in tensors.items() if k.startswith(start)}
            if kept.keys() != {"step", "exp_avg", "exp_avg_sq"} or any(
                t.shape != parameter.shape for k, t in kept.items() if k != "step"
            ):
                raise ValueError(f"the optimiser's arrays of parameter {i} do not fit")
            self.optimiser.state[parameter].update(kept)

    def write(self, file: ChainFile) -> None:
        """Append the network, with the statistics that it has with the weights that are written."""
        for layer in self.settled():
            layer.write(file)

    def settled(self) -> Any:
        """Return a copy in evaluation mode whose normalisations fit the deployed weights.

        While a network is trained its weights change under the running statistics, and some rules
        compute with other weights than they deploy. So the means and variances are taken once more,
        over `SETTLING` batches.
        """
        net = copy.deepcopy(self.net).eval()
        # Each is settled before those behind it, which see its values.
        with torch.no_grad(), reproducible(self.task, self.task.epochs):
            chosen = torch.randperm(len(self.images))[: SETTLING * self.batch]
            values = self.images[chosen]
            for layer in net:
                norms = [m for m in layer.modules() if isinstance(m, Norm | ScoreNorm)]
                hooks = [m.register_forward_pre_hook(_settle) for m in norms]
                parts = (values,) if norms else values.split(self.batch)
                values = torch.cat([layer(part) for part in parts])
                for hook in hooks:
                    hook.remove()
        return net

    def _set_rate(self, share: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * (1 + math.cos(math.pi * share)) / 2


def _settle(norm: Any, inputs: tuple[Any, ...]) -> None:
    norm.settle(inputs[0])


@contextmanager
def reproducible(task: Task, place: int) -> Iterator[None]:
    """Draw from the task's seed and the place alone, and compute in one thread.

    The number of threads changes the order of float sums, and so the result. Outside this context
    nothing is changed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(task.generator(place).integers(1 << 62)))
            yield
    finally:
        torch.set_num_threads(threads)
