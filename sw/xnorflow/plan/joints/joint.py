"""Joints: layers that become a stage of their own without reducing a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, gcd

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.plan.reductions import Fold
from xnorflow.plan.tail_constants import Affine
from xnorflow_hw import spec


@dataclass(frozen=True, eq=False)
class Joint:
    """A layer that joins maps, changes the size of one, or only holds tails.

    Its lanes follow those of its neighbours, so its PE and SIMD are equal and no file names them.

    Parameters
    ----------
    layer : Layer
        The layer; the first tail's where a joint only holds tails.
    rule : JointRule
        What becomes of it.
    inputs : tuple of Features
        The maps that it reads.
    out : Features
        The map that it makes, before its tails.
    reads : tuple of int
        What sends these maps: 0 is the input, and k + 1 the part with number k.
    label : str
        Its name, if not that of the layer.
    tails : tuple of (Layer, Features, Features)
        Layers that act on its values, each with its input and output.
    """

    layer: ir.Layer
    rule: JointRule
    inputs: tuple[ir.Features, ...]
    out: ir.Features
    reads: tuple[int, ...]
    label: str = ""
    tails: tuple[tuple[ir.Layer, ir.Features, ir.Features], ...] = ()

    weighted = False
    groups = 1

    @property
    def name(self) -> str:
        """Name of the part."""
        return self.label or self.layer.name

    @property
    def kind(self) -> str:
        """Name of what it does."""
        return self.rule.kind or self.layer.kind

    @property
    def inp(self) -> ir.Features:
        """The first of the maps that it reads."""
        return self.inputs[0]

    @property
    def final(self) -> ir.Features:
        """Features after the last tail."""
        return self.tails[-1][2] if self.tails else self.out

    @property
    def smallest_fold(self) -> Fold:
        """Folding with the fewest lanes."""
        return Fold(1, 1)

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return self.out.channels

    @property
    def terms(self) -> int:
        """Number of maps that a value comes from."""
        return self.group_inputs

    @property
    def group_inputs(self) -> int:
        """Number of maps that a value comes from."""
        return len(self.inputs)

    @property
    def group_outputs(self) -> int:
        """Number of output channels."""
        return self.out.channels

    @property
    def aligned(self) -> int:
        """Number that the lanes have to divide, 0 if there is none."""
        return self.rule.aligned(self)

    @property
    def widths(self) -> list[int]:
        """Useful numbers of lanes, ascending: no smaller one needs as few beats."""
        channels, within = self.out.channels, self.aligned
        if within:
            return [n for n in range(1, channels + 1) if within % n == 0]
        return sorted({ceil(channels / passes) for passes in range(1, channels + 1)})

    def groups_at_once(self, fold: Fold) -> int:
        """Return 1: there are no groups."""
        return 1

    def lanes(self, fold: Fold) -> int:
        """Return the lanes at a folding."""
        return fold.pe

    def repeat(self, fold: Fold) -> int:
        """Return the beats of a pixel at a folding."""
        return ceil(self.out.channels / fold.pe)

    def words(self, fold: Fold) -> int:
        """Return 1: each beat is a result."""
        return 1

    def cycles(self, fold: Fold) -> int:
        """Return the beats per frame at a folding, a lower bound of the initiation interval.

        A stretch also has to take all beats of its input.
        """
        front = self.rule.front(self, fold.pe)
        if isinstance(front, spec.StretchSpec):
            return max(front.cycles, front.frame_words)
        return front.cycles

    def refusal(self, pixels: int) -> str:
        """Return why it cannot compute so many pixels at once, or "" if it can."""
        return "" if pixels == 1 else "it has no weights to share"

    def check(self, fold: Fold) -> None:
        """Check that a folding fits.

        Raises
        ------
        BadInput
            If it does not; the message says what would work.
        """
        fits = fold.pe == fold.simd and fold.pixels == 1 and 1 <= fold.pe <= self.out.channels
        if not fits or (self.aligned and self.aligned % fold.pe):
            limit = f"divide {self.aligned}" if self.aligned else f"be 1 to {self.out.channels}"
            raise BadInput(
                f"layer {self.name!r} cannot have PE {fold.pe} and SIMD {fold.simd} for"
                f" {fold.pixels} pixels at once: it joins maps, so PE and SIMD are equal, for one"
                f" pixel, and have to {limit}"
            )

    def with_tail(self, layer: ir.Layer, inp: ir.Features, out: ir.Features) -> Joint:
        """Return the joint with one more tail."""
        return replace(self, tails=(*self.tails, (layer, inp, out)))


@dataclass(frozen=True)
class JointRule:
    """Rule for a layer that becomes a joint.

    Parameters
    ----------
    front : callable
        Returns what delivers the beats, given a joint and its lanes.
    array : callable
        Returns the array and the meaning of its values, given the same.
    aligned : callable
        Returns the number that the lanes have to divide, 0 if there is none.
    kind : str
        Name of what the joint does, if not the layer's kind.
    """

    front: Callable[[Joint, int], spec.JoinSpec | spec.StretchSpec]
    array: Callable[[Joint, int], tuple[spec.JoinedSpec, Affine]]
    aligned: Callable[[Joint], int] = lambda joint: 0
    kind: str = ""


def common_lanes(sizes: tuple[int, ...]) -> int:
    """Return the number that lanes have to divide where parts of such sizes lie side by side.

    Only the last part may leave lanes unused; a single part need not fill any.
    """
    return gcd(*sizes[:-1]) if len(sizes) > 1 else 0
