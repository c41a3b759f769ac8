"""Reductions and their folding.

A reduction is a layer that becomes a stage of its own, together with the layers that act on its
values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, gcd
from typing import Literal, Protocol

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.spec.borders import Borders, borders_of, without_classes
from xnorflow_hw.spec.kinds import Multiplier

ProductForm = Multiplier | Literal["factors"]
"""What multiplies in an array instead of planes: products of every code and weight, of a kind, or a
factor for each ternary sum of lanes that share it."""


@dataclass(frozen=True)
class Fold:
    """Folding of one reduction.

    Parameters
    ----------
    pe : int
        Output channels computed at once; for a pool equal to `simd`.
    simd : int
        Input channels consumed at once: of one group or of several whole ones.
    pixels : int
        Neighbouring output pixels computed at once; they share each weight word.
    """

    pe: int
    simd: int
    pixels: int = 1


class Windowed(Protocol):
    """Interface that a layer needs in order to become a stage."""

    @property
    def name(self) -> str:
        """Name of the layer."""

    @property
    def kind(self) -> str:
        """Kind of the layer, such as "conv"."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the imported nodes that the layer came from."""

    @property
    def window(self) -> ir.Window:
        """Windows of the input that are each reduced to one value per channel."""

    def code_of_padding(self, inp: ir.Alphabet) -> int | None:
        """Return the code of a padded tap, or None if the padding is no value of the alphabet."""


@dataclass(frozen=True, eq=False)
class Reduction:
    """A layer that reduces windows to values, with the layers that become its tails.

    Parameters
    ----------
    layer : Windowed
        Layer that reduces windows.
    inp, out : Features
        Input and output of the layer.
    weighted : bool
        Whether the layer has weights. If so, each output channel is a sum over all input channels
        of its group, and PE and SIMD are chosen independently within a group. If not, each channel
        is reduced by itself: it is a group of its own.
    tails : tuple of (Layer, Features, Features)
        Layers that act on the reduced values, each with its input and output.
    reads : tuple of int
        What sends its input: 0 is the network's input, and k + 1 the part with number k.
    """

    layer: Windowed
    inp: ir.Features
    out: ir.Features
    weighted: bool
    tails: tuple[tuple[ir.Layer, ir.Features, ir.Features], ...] = ()
    reads: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def kind(self) -> str:
        """Kind of the layer, such as "conv"."""
        return self.layer.kind

    @property
    def inputs(self) -> tuple[ir.Features, ...]:
        """The map that it reads, as the only one."""
        return (self.inp,)

    @property
    def final(self) -> ir.Features:
        """Features after the last tail."""
        return self.tails[-1][2] if self.tails else self.out

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return self.out.channels

    @property
    def groups(self) -> int:
        """Number of equal parts of the channels that are reduced independently of each other."""
        if isinstance(self.layer, ir.Conv):
            return self.layer.groups
        return 1 if self.weighted else self.inp.channels

    @property
    def group_inputs(self) -> int:
        """Number of input channels of a group."""
        return self.inp.channels // self.groups

    @property
    def group_outputs(self) -> int:
        """Number of output channels of a group."""
        return self.out_channels // self.groups

    @property
    def grain(self) -> int:
        """Number of input channels that only go together: the entries of a table, or 1."""
        return self.layer.words if isinstance(self.layer, ir.Gather) else 1

    @property
    def terms(self) -> int:
        """Number of values that an output takes at a tap."""
        return self.group_inputs // self.grain

    @property
    def smallest_fold(self) -> Fold:
        """Folding with the fewest lanes."""
        return Fold(1, self.grain)

    def with_tail(self, layer: ir.Layer, inp: ir.Features, out: ir.Features) -> Reduction:
        """Return the reduction with one more tail."""
        return replace(self, tails=(*self.tails, (layer, inp, out)))

    def groups_at_once(self, fold: Fold) -> int:
        """Return how many groups a beat holds inputs of at a folding."""
        return max(1, fold.simd // self.group_inputs)

    def lanes(self, fold: Fold) -> int:
        """Return the products of an input and a weight, or the lookups, of a beat at a folding."""
        return fold.pe * fold.simd // self.grain // self.groups_at_once(fold)

    def repeat(self, fold: Fold) -> int:
        """Return the passes over a window at a folding, each for other output channels."""
        return ceil(self.out_channels / fold.pe)

    def words(self, fold: Fold) -> int:
        """Return the words of a pixel that a pass reads at a folding."""
        return ceil(self.group_inputs / fold.simd)

    def cycles(self, fold: Fold) -> int:
        """Return the beats per frame at a folding, a lower bound of the initiation interval."""
        kernel = self.layer.window.kernel
        columns = ceil(self.out.width / fold.pixels)
        beats = kernel[0] * kernel[1] * self.repeat(fold) * self.words(fold)
        return self.out.height * columns * beats

    def banks(self, fold: Fold) -> Banks:
        """Return how columns of windows and of the frame are spread over banks at a folding."""
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

    def borders(self, pixels: int) -> Borders:
        """Return the border classes of its windows: one if padding is a value of the alphabet."""
        w = self.layer.window
        if self.pad_code() is not None:
            groups = ceil(self.out.width / pixels)
            return without_classes(self.out.height, groups, pixels)
        size = (self.inp.height, self.inp.width)
        return borders_of(size, w.kernel, w.stride, w.dilation, w.pads, pixels)

    def pad_code(self) -> int | None:
        """Return the code of padded taps, or None if the padding is no value of the alphabet."""
        return self.layer.code_of_padding(self.inp.alphabet)

    def refusal(self, pixels: int) -> str:
        """Return why the layer cannot compute so many pixels at once, or "" if it can."""
        window = self.layer.window
        if pixels == 1:
            return ""
        if not self.weighted:
            return "it is a pool, which has no weights to share"
        if isinstance(self.layer, ir.Gather):
            return "it looks up the entries of one window at a time"
        if not 1 <= pixels <= self.out.width:
            return f"its output rows have {self.out.width}, so 1 to {self.out.width} would work"
        if gcd(pixels, window.stride[1]) > 1:
            return (
                f"{pixels} and its horizontal stride {window.stride[1]} have a common factor, so a"
                " number without one would work"
            )
        return ""

    def _fits_groups(self, fold: Fold) -> bool:
        """Return whether beats hold parts of one group, or whole groups with all their outputs."""
        at_once = self.groups_at_once(fold)
        if at_once > 1:
            whole = at_once * self.group_inputs, at_once * self.group_outputs
            return (fold.simd, fold.pe) == whole
        # Were there a rest, its empty lanes would lie within a pixel, not at its end.
        return not (self.group_inputs % fold.simd or self.group_outputs % fold.pe)

    def check(self, fold: Fold) -> None:
        """Check that a folding fits the layer.

        Raises
        ------
        BadInput
            If it does not; the message says what would work.
        """
        if not (1 <= fold.pe <= self.out_channels and 1 <= fold.simd <= self.inp.channels):
            raise BadInput(
                f"layer {self.name!r} cannot have PE {fold.pe} and SIMD {fold.simd}: PE goes from 1"
                f" to its {self.out_channels} output channels, SIMD from 1 to its"
                f" {self.inp.channels} input channels"
            )
        if fold.simd % self.grain:
            raise BadInput(
                f"layer {self.name!r} cannot have SIMD {fold.simd}: it selects from tables of"
                f" {self.grain} entries, so SIMD has to be a multiple of {self.grain}"
            )
        if fold.pe != fold.simd and not self.weighted:
            raise BadInput(
                f"layer {self.name!r} is a pool, so its PE and SIMD have to be equal, not"
                f" {fold.pe} and {fold.simd}"
            )
        if self.weighted and self.groups > 1 and not self._fits_groups(fold):
            inputs, outputs = self.group_inputs, self.group_outputs
            raise BadInput(
                f"layer {self.name!r} cannot have PE {fold.pe} and SIMD {fold.simd}: it has"
                f" {self.groups} groups of {inputs} inputs and {outputs} outputs, so SIMD has to"
                f" divide {inputs} and PE {outputs}, or SIMD has to be k * {inputs} and PE"
                f" k * {outputs} for k groups at once"
            )
        if reason := self.refusal(fold.pixels):
            raise BadInput(
                f"layer {self.name!r} cannot compute {fold.pixels} pixels at once: {reason}"
            )
