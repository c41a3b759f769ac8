"""The base class of all layers, and the register of their kinds.

A layer's class owns everything about it that concerns integers alone: the shape and alphabet of its
output, the validity of its fields, which outputs depend on its input, and how its outputs can be
mirrored. *Mirroring* a channel replaces each value v by ``mirror - v``; `xnorflow.lower.negate`
says why.
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
"""Metadata of a field that files leave out where it has its default: a network from before that
keeps its digest, and is still read by whoever knows nothing of the field."""
FRAME = ""
"""Name of the network's input among the inputs of a layer; no layer can have it."""
KINDS: dict[str, type[Layer]] = {}
"""Every layer class by its `kind`, which is its name in files."""


class NotMirrored(ValueError):
    """Error for a layer whose outputs cannot be mirrored.

    Parameters
    ----------
    message : str
        The reason.
    op : str
        Operator of the imported network that the layer came from.
    hint : str
        Description of what would work instead.
    off_centre : bool
        Whether the reason is padding with a value that is not in the middle of the alphabet.
    """

    def __init__(self, message: str, *, op: str, hint: str, off_centre: bool = False) -> None:
        super().__init__(message)
        self.op, self.hint, self.off_centre = op, hint, off_centre


class LayersBefore(Protocol):
    """The layers before one that is being mirrored."""

    def features(self) -> Features:
        """Return the feature map after the last of them."""

    def mirror(self, mask: Mask) -> Ints:
        """Mirror the marked channels of that map, and return their mirrors, int64 [channels]."""


@dataclass(frozen=True, eq=False)
class Layer(ABC):
    """One layer of an integer network.

    Parameters
    ----------
    name : str
        An identifier that is unique in the network.
    sources : tuple of str
        Names of the imported file's nodes that it was made from.
    inputs : tuple of str
        Names of the layers whose maps it reads, `FRAME` for the frame itself; empty for a layer
        that reads the map before it.
    """

    name: str
    sources: tuple[str, ...] = field(default=(), kw_only=True)
    inputs: tuple[str, ...] = field(default=(), kw_only=True, metadata=OMITTED)

    kind: ClassVar[str] = ""
    quantises: ClassVar[bool] = False
    """Whether its outputs correspond to the values of a quantiser in the imported file."""
    picks: ClassVar[bool] = False
    """Whether each output equals one of the inputs in its window, as in a max-pool."""

    def __init_subclass__(cls) -> None:
        """Register a subclass under its `kind`, if it has one; TypeError if another class has it."""
        if not cls.kind:
            return
        if cls.kind in KINDS:
            raise TypeError(f"two layers are of kind {cls.kind!r}")
        KINDS[cls.kind] = cls

    @abstractmethod
    def output(self, inp: Features) -> Features:
        """Return the feature map that the layer makes of `inp`; ValueError if it does not fit."""

    @abstractmethod
    def check(self, inp: Features) -> None:
        """Raise ValueError if a field has a wrong type or an impossible value."""

    @abstractmethod
    def depends(self, alive: Mask) -> Mask:
        """Return which outputs depend on the frame.

        Parameters
        ----------
        alive : bool array [height, width, channels]
            Inputs of the layer that depend on the frame.

        Returns
        -------
        bool array [height, width, channels]
            Outputs of the layer that depend on the frame; it may be a read-only view.
        """

    @abstractmethod
    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Self, Ints]:
        """Build a layer whose marked output channels have ``mirror - v`` in place of each value v.

        Parameters
        ----------
        mask : bool array [channels]
            Output channels to mirror.
        before : LayersBefore
            The layers before this one; the method mirrors channels of its input where it needs to.

        Returns
        -------
        layer : Layer
            The layer that replaces this one.
        mirror : int64 array [channels]
            The mirror of each output channel; only those marked in `mask` are meaningful.

        Raises
        ------
        NotMirrored
            If the layer's outputs cannot be mirrored.
        """

    def code_of_padding(self, inp: Alphabet) -> int | None:
        """Return the code of a padded tap; None if the alphabet has no value for padding."""
        return 0
