"""Split a network into reductions: the layers that get a stage each."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd

from xnorflow import ir
from xnorflow.errors import UnsupportedModel

Tail = ir.Threshold | ir.CodeTable | ir.Scores
"""A layer that acts on each result of a reduction."""


@dataclass(frozen=True)
class Fold:
    """Folding of one reduction: PE output channels and SIMD inputs at once; pools use SIMD only.

    With `pixels` more than 1 so many neighbouring output pixels are worked on at once: a weight
    word serves them all.
    """

    pe: int
    simd: int
    pixels: int = 1


@dataclass(frozen=True, eq=False)
class Reduction:
    """A Conv, MaxPool or SumPool with the layers that become its tails."""

    layer: ir.Conv | ir.MaxPool | ir.SumPool
    inp: ir.Features
    out: ir.Features
    tails: tuple[tuple[Tail, ir.Features, ir.Features], ...]

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def final(self) -> ir.Features:
        """Feature map after the tails."""
        return self.tails[-1][2] if self.tails else self.out

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.out.channels

    def cycles(self, fold: Fold) -> int:
        """Beats per frame at a folding: the bound on the initiation interval."""
        kernel = self.layer.window.kernel
        repeat = ceil(self.out_channels / fold.pe) if isinstance(self.layer, ir.Conv) else 1
        words = ceil(self.inp.channels / fold.simd)
        columns = ceil(self.out.width / fold.pixels)
        return self.out.height * columns * kernel[0] * kernel[1] * repeat * words

    def pad_code(self) -> int | None:
        """Give the code of padded taps; None where the padding is no value of the alphabet."""
        match self.layer:
            case ir.Conv() if any(self.layer.window.pads):
                return self.inp.alphabet.code_of(self.layer.pad_value)
            case ir.SumPool():
                return self.layer.pad_code
        return 0

    def refusal(self, pixels: int) -> str:
        """Say why the layer cannot work on so many pixels at once; nothing if it can."""
        window = self.layer.window
        if pixels == 1:
            return ""
        if not isinstance(self.layer, ir.Conv):
            return "it is a pool, which has no weights to share"
        if self.pad_code() is None:
            return (
                f"it pads with {self.layer.pad_value}, which is no value of"
                f" {self.inp.alphabet}, so the thresholds differ along a row"
            )
        if not 1 <= pixels <= self.out.width:
            return f"its rows have {self.out.width}"
        if gcd(pixels, window.stride[1]) > 1:
            return f"{pixels} and its stride {window.stride[1]} have a factor in common"
        return ""


def reductions(net: ir.IntegerNetwork) -> tuple[Reduction, ...]:
    """Split a network into its reductions, in order.

    Raises
    ------
    UnsupportedModel
        If a threshold stands where no reduction precedes it.
    """
    found: list[Reduction] = []
    for layer, inp, out in net:
        if isinstance(layer, ir.Conv | ir.MaxPool | ir.SumPool):
            found.append(Reduction(layer, inp, out, ()))
        elif isinstance(layer, Tail):
            if not found or found[-1].final is not inp:
                raise UnsupportedModel(
                    "it acts on values that no convolution, dense layer or pool has made",
                    node=layer.name,
                    op=type(layer).__name__,
                    hint="a network with at least one such layer before it.",
                )
            last = found[-1]
            found[-1] = Reduction(last.layer, last.inp, last.out, (*last.tails, (layer, inp, out)))
    return tuple(found)
