"""What every method gets and gives: a task, and a training that goes on epoch by epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.data_sets import DataSet

SHIFTS = 3
"""Place, beside the epoch, from which shifts are drawn."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be trained.

    Parameters
    ----------
    data : DataSet
        Images and classes.
    net : str
        Layers, as `xnorflow.train.topology` reads them.
    epochs : int
        Passes over the training images; rates that fall do so over all of them.
    seed : int
        Seed of everything drawn.
    variant : str
        Which form of a method is meant, by the name that the method's module gives it.
    shift : int
        Most pixels by which training images are moved, up or down and to the left or right, anew in
        every epoch.
    """

    data: DataSet
    net: str
    epochs: int
    seed: int = 0
    variant: str = ""
    shift: int = 0

    def images(self, epoch: int) -> NDArray[np.uint8]:
        """Return the training images of an epoch, [images, channels, rows, columns].

        Every image is moved by numbers of rows and columns of its own, each of which is drawn from
        -shift to shift; the samples that come in at its edges are 0.
        """
        x, shift = self.data.x_train, self.shift
        if not shift:
            return x
        frames, channels, height, width = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (shift, shift), (shift, shift)))
        drawn = self.generator(epoch, SHIFTS).integers(0, 2 * shift + 1, (2, frames))
        rows = drawn[0][:, None] + np.arange(height)
        columns = drawn[1][:, None] + np.arange(width)
        frame, channel = np.arange(frames), np.arange(channels)
        picked = (frame[:, None, None, None], channel[:, None, None], rows[:, None, :, None])
        return padded[(*picked, columns[:, None, None, :])]

    def generator(self, *place: int) -> np.random.Generator:
        """Return the random numbers of one place, such as an epoch.

        They depend on the seed and the place alone, so that a training that was interrupted goes on
        exactly as it would have.
        """
        return np.random.default_rng([self.seed, *place])


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Parameters
    ----------
    loss : float
        Mean loss of the training images, in the method's own terms.
    accuracy : float
        Share of the training images that were right while they were learned, 0 to 1.
    """

    loss: float
    accuracy: float


class Training(ABC):
    """A network while it is trained."""

    @abstractmethod
    def epoch(self, number: int) -> Epoch:
        """Go once over the training images; `number` counts the epochs from 0."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that changes during the training, by name."""

    @abstractmethod
    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned.

        Raises
        ------
        ValueError
            If the arrays are not those of this training.
        """

    @abstractmethod
    def write(self, file: ChainFile) -> None:
        """Append the network with its binary weights to a file."""

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know of the result besides its accuracy."""
        return ()
