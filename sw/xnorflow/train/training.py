"""What every method gets and gives: a task, and a training that goes on epoch by epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.data_sets import DataSet


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
    """

    data: DataSet
    net: str
    epochs: int
    seed: int = 0
    variant: str = ""

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
