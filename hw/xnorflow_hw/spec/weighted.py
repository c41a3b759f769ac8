"""What all arrays with weights have in common."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


class Weighted:
    """The answers that all arrays with weights give alike."""

    pe: int
    simd: int
    weights: NDArray[Any]
    acc_bits: int
    blocks: int

    @property
    def lanes_out(self) -> int:
        """Number of values per result."""
        return self.pe

    @property
    def block_lanes(self) -> int:
        """Number of inputs per beat of an output channel."""
        return self.simd // self.blocks

    @property
    def out_bits(self) -> int:
        """Width of a value in bits."""
        return self.acc_bits

    @property
    def weight_words(self) -> int:
        """Words of the weights' memory."""
        return len(self.weights)

    @property
    def size(self) -> str:
        """Its size in words."""
        blocks = f" in {self.blocks} blocks" if self.blocks > 1 else ""
        return f"PE {self.pe}, SIMD {self.simd}{blocks}"
