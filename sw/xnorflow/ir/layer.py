"""What every kind of layer has, and the register of the kinds.

A layer's class owns everything about it that concerns integers alone: what it makes of a feature
map, which fields are valid, which outputs depend on its input, and how its outputs can be mirrored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Alphabet, Ints
from xnorflow.ir.features import Features

Mask = NDArray[np.bool_]

OMITTED = {"omitted": True}
"""Metadata of a field that files leave out where it has its default, as older files do."""

KINDS: dict[str, type[Layer]] = {}
"""Every class of layers by its `kind`, the name that files have for it."""


class NotMirrored(ValueError):
    """Says why the outputs of a layer cannot be mirrored.

    Parameters
    ----------
    message : str
        The reason.
    op : str
        Operator of the imported network that the layer came from.
    hint : str
        What would work.
    off_centre : bool
        Whether the reason is padding that is not in the middle of the values.
    """

    def __init__(self, message: str, *, op: str, hint: str, off_centre: bool = False) -> None:
        super().__init__(message)
        self.op, self.hint, self.off_centre = op, hint, off_centre


class LayersBefore(Protocol):
    """The layers before one that is being mirrored."""

    def features(self) -> Features:
        """Return the feature map that they make."""

    def mirror(self, mask: Mask) -> Ints:
        """Mirror the marked channels of that map; return the mirrors, int64 [channels]."""


@dataclass(frozen=True, eq=False)
class Layer(ABC):
    """One layer of an integer network.

    Parameters
    ----------
    name : str
        An identifier, unique in the network.
    sources : tuple of str
        Names of the imported nodes that it came from.
    """

    name: str
    sources: tuple[str, ...] = field(default=(), kw_only=True)

    kind: ClassVar[str] = ""
    quantises: ClassVar[bool] = False
    """Whether its outputs are codes that stand for the values of a quantiser in the file."""
    picks: ClassVar[bool] = False
    """Whether each output is one of the inputs in its window."""

    def __init_subclass__(cls) -> None:
        """Enter a kind of layer under its name in files."""
        if cls.kind in KINDS:
            raise TypeError(f"two layers are of kind {cls.kind!r}")
        KINDS[cls.kind] = cls

    @abstractmethod
    def output(self, inp: Features) -> Features:
        """Return the feature map that the layer makes of `inp`; ValueError where it cannot."""

    @abstractmethod
    def check(self, inp: Features) -> None:
        """Raise ValueError where a field has a wrong type or an impossible value."""

    @abstractmethod
    def depends(self, alive: Mask) -> Mask:
        """Return which outputs depend on inputs that are alive.

        Parameters
        ----------
        alive : bool array [height, width, channels]
            Inputs that depend on the frame.

        Returns
        -------
        bool array [height, width, channels]
            Of the output; it may be a view that is not writable.
        """

    @abstractmethod
    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Self, Ints]:
        """Return a layer in which value v of a marked output channel is ``mirror - v``.

        Parameters
        ----------
        mask : bool array [channels]
            Output channels to mirror.
        before : LayersBefore
            Mirrors, where the layer needs that, channels of its input.

        Returns
        -------
        layer : Layer
            In place of this one.
        mirror : int64 array [channels]
            The mirror of each output channel; right where `mask` is set.

        Raises
        ------
        NotMirrored
            If the layer cannot do it.
        """

    def code_of_padding(self, inp: Alphabet) -> int | None:
        """Return the code of a padded tap; None where padding is no value of the alphabet."""
        return 0
