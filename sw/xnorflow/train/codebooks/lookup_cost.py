"""Operations and storage of product-quantised layers, from shapes alone.

Wu et al., arXiv:1512.06473, section 3. A layer of `outputs` channels and a kernel of p positions
reads `inputs` channels, which form M subspaces of d channels each. One codebook of K vectors of d
numbers per subspace serves all positions and output channels. Per pixel of the input, the table of
all inner products takes ``inputs * K`` multiply-accumulates; per pixel of the output, every channel
adds ``p * M`` entries. A dense layer is the case of one pixel and one position.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FLOAT_BITS = 32
"""Bits of a weight before compression, of an entry of a codebook, and of a bias."""


@dataclass(frozen=True)
class QuantisedLayer:
    """Shape of a layer and of its codebooks.

    Parameters
    ----------
    inputs, outputs : int
        Channels that are read and made, per group.
    kernel : int
        Positions of the kernel; 1 for a dense layer.
    read, made : int
        Pixels of the map that is read and of the map that is made.
    subspaces : int
        Subspaces per group, M; each has a codebook.
    dimension : int
        Numbers of a vector of the codebook, d; the last subspace may use fewer.
    words : int
        Vectors of a codebook, K.
    groups : int
        Equal groups of channels.
    shared : bool
        Whether all groups have the same codebooks.
    """

    inputs: int
    outputs: int
    kernel: int
    read: int
    made: int
    subspaces: int
    dimension: int
    words: int
    groups: int = 1
    shared: bool = False

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates per frame of the layer as it was."""
        return self.made * self.groups * self.outputs * self.inputs * self.kernel

    @property
    def table_operations(self) -> int:
        """Multiply-accumulates per frame that make the tables."""
        return self.read * self.groups * self.inputs * self.words

    @property
    def lookups(self) -> int:
        """Entries of the tables that are added per frame."""
        return self.made * self.groups * self.outputs * self.kernel * self.subspaces

    @property
    def operations(self) -> int:
        """Operations per frame of the compressed layer."""
        return self.table_operations + self.lookups

    @property
    def index_bits(self) -> int:
        """Bits of an index."""
        return max(1, (self.words - 1).bit_length())

    @property
    def bits_before(self) -> int:
        """Bits of the weights and biases as they were."""
        weights = self.groups * self.outputs * self.inputs * self.kernel
        return FLOAT_BITS * (weights + self.groups * self.outputs)

    def bits(self, entry: int = FLOAT_BITS) -> int:
        """Return the bits of codebooks, indices and biases, with entries of so many bits."""
        codebooks = self.subspaces * self.words * self.dimension
        codebooks *= 1 if self.shared else self.groups
        indices = self.groups * self.outputs * self.kernel * self.subspaces
        biases = self.groups * self.outputs
        return entry * codebooks + self.index_bits * indices + FLOAT_BITS * biases


@dataclass(frozen=True)
class KeptLayer:
    """A layer that stays as it is, but for the bits of its weights.

    Parameters
    ----------
    multiplications : int
        Multiply-accumulates per frame.
    weights, outputs : int
        Number of weights and of output channels.
    """

    multiplications: int
    weights: int
    outputs: int

    @property
    def operations(self) -> int:
        """Operations per frame."""
        return self.multiplications

    @property
    def bits_before(self) -> int:
        """Bits of the weights and biases as they were."""
        return FLOAT_BITS * (self.weights + self.outputs)

    def bits(self, entry: int = FLOAT_BITS) -> int:
        """Return the bits of weights of so many bits and of the biases."""
        return entry * self.weights + FLOAT_BITS * self.outputs


@dataclass(frozen=True)
class Ratios:
    """How much smaller a network becomes.

    Parameters
    ----------
    operations : float
        Multiply-accumulates before, per operation after.
    size : float
        Bits before, per bit after.
    """

    operations: float
    size: float


def ratios(layers: Iterable[QuantisedLayer | KeptLayer], entry: int = FLOAT_BITS) -> Ratios:
    """Return the ratios of a network.

    Parameters
    ----------
    layers : iterable of QuantisedLayer or KeptLayer
        Layers of the network.
    entry : int
        Bits of a codebook's entry, and of the weights of layers that stay as they are.
    """
    layers = tuple(layers)
    return Ratios(
        sum(x.multiplications for x in layers) / sum(x.operations for x in layers),
        sum(x.bits_before for x in layers) / sum(x.bits(entry) for x in layers),
    )
