"""A reduction: a layer that gets a stage of its own, with what acts on its values; its folding."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd
from typing import Protocol

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow_hw.spec.banks import Banks


@dataclass(frozen=True)
class Fold:
    """Folding of one reduction: PE output channels and SIMD inputs at once; pools use SIMD only.

    With `pixels` more than 1 so many neighbouring output pixels are worked on at once: a weight
    word serves them all.
    """

    pe: int
    simd: int
    pixels: int = 1


class Windowed(Protocol):
    """What a layer has to have to become a stage."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Imported nodes that it came from."""

    @property
    def window(self) -> ir.Window:
        """The windows that are reduced to a value per channel."""

    def code_of_padding(self, inp: ir.Alphabet) -> int | None:
        """Return the code of a padded tap; None where padding is no value of the alphabet."""


@dataclass(frozen=True, eq=False)
class Reduction:
    """A layer that reduces windows to values, with the layers that become its tails.

    Parameters
    ----------
    layer : Windowed
        The layer.
    inp, out : Features
        Its input and output.
    weighted : bool
        Whether it has weights: output channels then are sums over all input channels, and PE and
        SIMD are chosen apart. Without weights a channel is reduced by itself.
    tails : tuple of (Layer, Features, Features)
        What acts on its values, each with input and output.
    """

    layer: Windowed
    inp: ir.Features
    out: ir.Features
    weighted: bool
    tails: tuple[tuple[ir.Layer, ir.Features, ir.Features], ...] = ()

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
        repeat = ceil(self.out_channels / fold.pe) if self.weighted else 1
        words = ceil(self.inp.channels / fold.simd)
        columns = ceil(self.out.width / fold.pixels)
        return self.out.height * columns * kernel[0] * kernel[1] * repeat * words

    def banks(self, fold: Fold) -> Banks:
        """Return which column of windows and of the frame is where at a folding."""
        w = self.layer.window
        return Banks(
            fold.pixels,
            self.inp.width,
            w.kernel[1],
            w.stride[1],
            w.dilation[1],
            w.pads[1],
            w.pads[3],
        )

    def pad_code(self) -> int | None:
        """Return the code of padded taps; None where padding is no value of the alphabet."""
        return self.layer.code_of_padding(self.inp.alphabet)

    def refusal(self, pixels: int) -> str:
        """Say why the layer cannot work on so many pixels at once; nothing if it can."""
        window = self.layer.window
        if pixels == 1:
            return ""
        if not self.weighted:
            return "it is a pool, which has no weights to share"
        if self.pad_code() is None:
            return (
                f"it pads with a value that is none of {self.inp.alphabet}, so the thresholds"
                " differ along a row"
            )
        if not 1 <= pixels <= self.out.width:
            return f"its rows have {self.out.width}"
        if gcd(pixels, window.stride[1]) > 1:
            return f"{pixels} and its stride {window.stride[1]} have a factor in common"
        return ""

    def check(self, fold: Fold) -> None:
        """Raise BadInput where a folding does not fit the layer; say what would."""
        if not (1 <= fold.pe <= self.out_channels and 1 <= fold.simd <= self.inp.channels):
            raise BadInput(
                f"layer {self.name!r} cannot have PE {fold.pe} and SIMD {fold.simd}: PE goes from 1"
                f" to its {self.out_channels} output channels, SIMD from 1 to its"
                f" {self.inp.channels} input channels"
            )
        if fold.pe != fold.simd and not self.weighted:
            raise BadInput(f"layer {self.name!r} is a pool; its PE and SIMD have to be equal")
        if reason := self.refusal(fold.pixels):
            raise BadInput(
                f"layer {self.name!r} cannot work on {fold.pixels} pixels at once: {reason}"
            )
