"""Rules that say which hardware each kind of layer becomes: this room's only table of layers.

The array of a convolution accumulates P, a weighted popcount (``docs/hardware.md``, section 2).
With activations ``x = lo + step * u`` and weights ``w = sum(c_p * t_p) / den`` over bipolar planes
``t_p``, the accumulator of the integer network is ``(step * P + offset) / den`` with::

    offset = den * lo * sum(w) - step * (2**A - 1) * sum_p c_p * #{t_p = -1}
             + den * (pad - lo) * sum(w over padded taps)  # where pad is no value of the alphabet

so every threshold on the accumulator becomes a threshold on P, rounded up. Weights of -1, 0 and 1
have a sign and a mask instead. P then is a sum over the inputs whose weight is not 0, den is 1::

    offset = lo * sum(w) - step * (2**A - 1) * #{w = -1}
             + (pad - lo) * sum(w over padded taps)

Where codes and weights
have several bits, the array may multiply them instead (`multiplied_array`), with another meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.plan.joints.fronts import (
    all_scores,
    concat_lanes,
    score_lanes,
    side_by_side,
    stretch_lanes,
    stretched,
    together,
)
from xnorflow.plan.joints.joined_arrays import (
    added_array,
    constant_array,
    copy_array,
    extreme_array,
    product_array,
)
from xnorflow.plan.joints.joint import Joint, JointRule
from xnorflow.plan.joints.several_outputs import joined_maps
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.tail_constants import (
    Affine,
    TailRule,
    code_table_tail,
    input_table_tail,
    rescale_tail,
    scores_tail,
    threshold_tail,
)
from xnorflow.plan.weight_words import per_lane, rom_words, signed_bits, weight_bits, weight_planes
from xnorflow_hw import spec
from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.kinds import Multiplier


def _padded_taps(reduction: Reduction) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which kernel taps fall on padding in each border class, for rows and for columns.

    Each of the two results is a bool array [classes, kernel].
    """
    w, inp = reduction.layer.window, reduction.inp
    out = (reduction.out.height, reduction.out.width)
    size = (inp.height, inp.width)
    axes = []
    for axis in (0, 1):
        _, patterns = geometry.border_classes(
            size[axis], w.kernel[axis], w.stride[axis], w.dilation[axis], w.pads[axis], out[axis]
        )
        axes.append(np.array(patterns, bool).reshape(-1, w.kernel[axis]))
    return axes[0], axes[1]


def _at_padding(reduction: Reduction) -> ir.Ints:
    """Return what padding adds that is no value of the alphabet: [classes, channels].

    Where the padding is a value of the alphabet there is a single class, with zeros.
    """
    conv, inp = reduction.layer, reduction.inp
    assert isinstance(conv, ir.Conv)
    if reduction.pad_code() is not None:
        return np.zeros((1, len(conv.weights)), np.int64)
    rows, cols = _padded_taps(reduction)
    padded = rows[:, None, :, None] | cols[None, :, None, :]
    padded = padded.reshape(-1, *conv.window.kernel)
    taps = conv.weights.sum(3)
    at_pad = np.einsum("kyx,oyx->ko", padded.astype(np.int64), taps)
    return np.asarray((conv.pad_value - inp.alphabet.lo) * at_pad, np.int64)


def conv_array(reduction: Reduction, fold: Fold) -> tuple[spec.DotSpec, Affine]:
    """Return the array of a convolution and the meaning of its P, with a row per border class.

    Where the padding is a value of the alphabet there is a single class.
    """
    conv, inp = reduction.layer, reduction.inp
    assert isinstance(conv, ir.Conv)
    banks = reduction.banks(fold)
    bits, coefficients, denominator = weight_planes(conv.weights)
    a, masked = inp.alphabet, len(coefficients) < len(bits)
    flat = conv.weights.reshape(len(conv.weights), -1)
    blocks = reduction.groups_at_once(fold)
    signs = bits[: len(coefficients)].astype(np.int64)
    minus = (1 - signs).reshape(len(signs), len(flat), -1).sum(2)
    sum_minus = (np.array(coefficients)[:, None] * minus).sum(0)
    base = denominator * a.lo * flat.sum(1) - a.step * ((1 << a.bits) - 1) * sum_minus
    highest = a.lo * flat.sum(1) + a.step * (a.levels - 1) * np.maximum(flat, 0).sum(1)
    most = int(((highest * denominator - base) // a.step).max())
    array = spec.DotSpec(
        pe=fold.pe,
        simd=fold.simd,
        bits=a.bits,
        coefficients=coefficients,
        weights=rom_words(bits, fold, blocks),
        acc_bits=max(1, most.bit_length()),
        pixels=fold.pixels,
        turn=banks.turn,
        lanes=banks.lanes,
        blocks=blocks,
        masked=masked,
    )
    return array, Affine(a.step, denominator, base + denominator * _at_padding(reduction))


def multiplied_array(
    reduction: Reduction, fold: Fold, multiplier: Multiplier
) -> tuple[spec.MacSpec, Affine]:
    """Return the array of a convolution that multiplies whole codes and weights.

    With codes ``u`` its P is ``sum(w * u) + 2**(acc_bits - 1)``.
    """
    conv = reduction.layer
    assert isinstance(conv, ir.Conv)
    banks, blocks = reduction.banks(fold), reduction.groups_at_once(fold)
    a, flat = reduction.inp.alphabet, conv.weights.reshape(len(conv.weights), -1)
    most = (a.levels - 1) * int(np.maximum(flat, 0).sum(1).max())
    least = (a.levels - 1) * int(np.minimum(flat, 0).sum(1).min())
    bits = signed_bits(least, most)
    array = spec.MacSpec(
        pe=fold.pe,
        simd=fold.simd,
        bits=a.bits,
        weight_bits=weight_bits(conv.weights),
        weights=rom_words(conv.weights[None], fold, blocks)[:, 0],
        acc_bits=bits,
        pixels=fold.pixels,
        turn=banks.turn,
        lanes=banks.lanes,
        multiplier=multiplier,
        blocks=blocks,
    )
    base = a.lo * flat.sum(1) - (a.step << (bits - 1))
    return array, Affine(a.step, 1, base + _at_padding(reduction))


def max_array(reduction: Reduction, fold: Fold) -> tuple[spec.MaxSpec, Affine]:
    """Return the array that computes maxima or minima, and the meaning of its codes."""
    layer, a = reduction.layer, reduction.inp.alphabet
    assert isinstance(layer, ir.MaxPool)
    minimum = per_lane(layer.minimum, fold.simd).astype(bool)
    array = spec.MaxSpec(fold.simd, a.bits, minimum)
    return array, Affine(a.step, 1, np.full((1, reduction.inp.channels), a.lo, np.int64))


def sum_array(reduction: Reduction, fold: Fold) -> tuple[spec.SumSpec, Affine]:
    """Return the array that sums codes, and the meaning of its sums."""
    w, a = reduction.layer.window, reduction.inp.alphabet
    taps = w.kernel[0] * w.kernel[1]
    array = spec.SumSpec(fold.simd, a.bits, max(1, (taps * (a.levels - 1)).bit_length()))
    return array, Affine(a.step, 1, np.full((1, reduction.inp.channels), a.lo * taps, np.int64))


@dataclass(frozen=True)
class StageRule:
    """Rule for a layer that becomes a stage of its own.

    Parameters
    ----------
    array : callable
        Returns the stage's array and the meaning of its values, given a reduction and its folding.
    weighted : bool
        Whether the layer has weights; see `Reduction`.
    multiplied : callable, optional
        Returns the array that multiplies, given a multiplier, too, if the layer can have one.
    """

    array: Callable[[Reduction, Fold], tuple[spec.ArraySpec, Affine]]
    weighted: bool = False
    multiplied: Callable[[Reduction, Fold, Multiplier], tuple[spec.ArraySpec, Affine]] | None = None

    def described(
        self, reduction: Reduction, fold: Fold, multiplier: Multiplier | None
    ) -> tuple[spec.ArraySpec, Affine]:
        """Return the array and the meaning of its values; without a multiplier it has planes.

        Raises
        ------
        TypeError
            If there is a multiplier, but no array of such layers multiplies.
        """
        if multiplier is None:
            return self.array(reduction, fold)
        if self.multiplied is None:
            raise TypeError(f"no array multiplies for layer {reduction.name!r}")
        return self.multiplied(reduction, fold, multiplier)


@dataclass(frozen=True)
class InputRule:
    """Rule for a layer that becomes the table of the input stage.

    Parameters
    ----------
    tail : TailRule
        Rule where others read the samples, too, so that the table becomes a tail.
    """

    tail: TailRule


@dataclass(frozen=True)
class WireRule:
    """Rule for a layer that only renames features: it needs no hardware but an order of words."""


LayerRule = StageRule | TailRule | InputRule | WireRule | JointRule

_COPY = JointRule(together, copy_array, kind="copy")
"""What holds the tails of a map that others read, too."""

RULES: dict[type[ir.Layer], LayerRule] = {
    ir.InputTable: InputRule(TailRule(input_table_tail)),
    ir.Flatten: WireRule(),
    ir.Conv: StageRule(conv_array, weighted=True, multiplied=multiplied_array),
    ir.MaxPool: StageRule(max_array),
    ir.SumPool: StageRule(sum_array),
    ir.Threshold: TailRule(threshold_tail),
    ir.Rescale: TailRule(rescale_tail),
    ir.CodeTable: TailRule(code_table_tail),
    ir.Scores: TailRule(scores_tail),
    ir.Add: JointRule(together, added_array),
    ir.AddMap: JointRule(together, constant_array),
    ir.Maximum: JointRule(together, extreme_array),
    ir.Multiply: JointRule(together, product_array),
    ir.Concat: JointRule(side_by_side, copy_array, concat_lanes),
    ir.AllScores: JointRule(all_scores, copy_array, score_lanes),
    ir.Stretch: JointRule(stretched, copy_array, stretch_lanes),
}
"""Rule for each class of layers."""

Part = Reduction | Joint
"""All that becomes a stage."""


def rule_of(layer: object) -> LayerRule:
    """Return the rule for a layer, or for the nearest base class that has one.

    Raises
    ------
    TypeError
        If there is no rule for the layer.
    """
    for cls in type(layer).__mro__:
        if cls in RULES:
            return RULES[cls]
    raise TypeError(f"there is no hardware for layers of type {type(layer).__name__}")


def tail_rule_of(layer: ir.Layer) -> TailRule:
    """Return the rule for a layer that has become a tail."""
    rule = rule_of(layer)
    if isinstance(rule, InputRule):
        return rule.tail
    assert isinstance(rule, TailRule)
    return rule


class _Walk:
    """The parts of a network, while its layers are visited in order."""

    def __init__(self, net: ir.LayerGraph) -> None:
        self.net = net
        self.parts: list[Part] = []
        # What sends each map: 0 is the input, k + 1 the part with number k.
        self.source = {0: 0}
        # The map that each part sends so far; a flattened map is another one.
        self.sends: list[int] = []
        self.names = {layer.name for layer in net.layers}

    def visit(self, k: int) -> None:
        """Add the layer with number k to a part, or as a part."""
        layer, reads = self.net.layers[k], self.net.reads[k]
        inputs = tuple(self.net.features[r] for r in reads)
        out = self.net.features[k + 1]
        match rule_of(layer):
            case StageRule(weighted=weighted):
                sources = self._sources(reads)
                found = Reduction(layer, inputs[0], out, weighted, (), sources)  # type: ignore[arg-type]
                self._add(k, found)
            case JointRule() as rule:
                sources = self._sources(reads)
                if isinstance(layer, ir.Stretch) and inputs[0].alphabet != out.alphabet:
                    codes = ir.Features(*inputs[0].shape, out.alphabet)
                    inputs, sources = self._before(layer, _COPY, "codes", inputs, codes, sources)
                elif isinstance(layer, ir.Stretch) and layer.fill == "blocks" and any(layer.crop):
                    # The buffer of blocks does not crop.
                    whole = replace(layer, crop=(0, 0, 0, 0))
                    full = whole.output(*inputs)
                    inputs, sources = self._before(whole, rule, "whole", inputs, full, sources)
                    layer = replace(layer, factors=(1, 1), fill="repeat")
                elif isinstance(layer, ir.AllScores):
                    inputs = joined_maps(self.net)
                    out = layer.output(*inputs)
                self._add(k, Joint(layer, rule, inputs, out, sources))
            case TailRule():
                self._tail(k, layer, reads[0])
            case InputRule():
                if self.net.readers[0] == (k,):
                    self.source[k + 1] = 0
                else:
                    self._held_tail(k, layer, 0)
            case WireRule():
                self.source[k + 1] = self.source[reads[0]]
            case rule:
                assert_never(rule)

    def _sources(self, reads: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.source[r] for r in reads)

    def _add(self, k: int, part: Part) -> None:
        self.parts.append(part)
        self.sends.append(k + 1)
        self.source[k + 1] = len(self.parts)

    def _tail(self, k: int, layer: ir.Layer, read: int) -> None:
        """Add a tail to the part before it, or to a copy where others read the map, too."""
        at = self.source[read] - 1
        if at >= 0 and self.sends[at] == read and len(self.net.readers[read]) == 1:
            inp, out = self.net.features[read], self.net.features[k + 1]
            self.parts[at] = self.parts[at].with_tail(layer, inp, out)
            self.sends[at] = k + 1
            self.source[k + 1] = at + 1
        elif self.net.chain:
            raise UnsupportedModel(
                "it has to follow a convolution, a dense layer or a pool directly, because"
                " hardware applies it to their results",
                node=layer.name,
                op=type(layer).__name__,
                hint="at least one such layer before it.",
            )
        else:
            self._held_tail(k, layer, read)

    def _held_tail(self, k: int, layer: ir.Layer, read: int) -> None:
        """Add a part that does nothing but the work of a tail."""
        inp, out = self.net.features[read], self.net.features[k + 1]
        sources = self._sources((read,))
        self._add(k, Joint(layer, _COPY, (inp,), inp, sources).with_tail(layer, inp, out))

    def _before(
        self,
        layer: ir.Stretch,
        rule: JointRule,
        label: str,
        inputs: tuple[ir.Features, ...],
        out: ir.Features,
        sources: tuple[int, ...],
    ) -> tuple[tuple[ir.Features, ...], tuple[int, ...]]:
        """Add a part that prepares a layer's input; return what the layer then reads."""
        name = f"{layer.name}_{label}"
        while name in self.names:
            name += "_"
        self.names.add(name)
        self.parts.append(Joint(layer, rule, inputs, out, sources, label=name))
        self.sends.append(-1)
        return (out,), (len(self.parts),)


def reductions(net: ir.LayerGraph) -> tuple[Part, ...]:
    """Return the parts of a network, in order, each with the layers that become its tails.

    A network that is a chain has nothing but reductions.

    Raises
    ------
    UnsupportedModel
        If a threshold, table or scores layer of a chain does not follow a reduction.
    TypeError
        If there is no rule for a layer.
    """
    walk = _Walk(net)
    for k in range(len(net.layers)):
        walk.visit(k)
    return tuple(walk.parts)
