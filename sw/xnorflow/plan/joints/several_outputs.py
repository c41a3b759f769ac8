"""Scores of several outputs: one unit computes the float32 scores of all of them.

Outputs whose scores have steps send what the steps start from. The unit stands behind the join of
all outputs, and its constants are those of one output after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.ir.score_steps import SIGNIFICANT, ranges
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.tail_constants import Affine, Span


def joined_maps(net: ir.LayerGraph) -> tuple[ir.Features, ...]:
    """Return the maps that the `AllScores` joins: scores, or what their steps start from."""
    found = []
    for read in net.reads[-1]:
        head = net.layers[read - 1]
        stepped = isinstance(head, ir.Scores) and head.steps
        found.append(net.features[net.reads[read - 1][0] if stepped else read])
    return tuple(found)


def scores_of_all(net: ir.LayerGraph, joint: Joint, meaning: Affine) -> tuple[ir.Scores, Span]:
    """Return one layer of scores that stands for those of all outputs, and what reaches it.

    Outputs with fewer steps than others get steps that change nothing, and all get the shifts of
    those that shift most: how float32 rounds does not depend on the scale.

    Parameters
    ----------
    net : LayerGraph
        Network with several outputs.
    joint : Joint
        Join of all outputs.
    meaning : Affine
        Meaning of the codes that it sends.

    Raises
    ------
    UnsupportedModel
        If scores without steps are too wide to pass unchanged, or if one unit for all outputs would
        need integers that are too wide.
    """
    heads, sizes = net.score_layers, [f.size for f in joint.inputs]
    steps = tuple(_step(heads, sizes, k) for k in range(max(len(h.steps) for h in heads)))
    low, high = (
        np.repeat(np.array([getattr(f.alphabet, end) for f in joint.inputs], np.int64), sizes)
        for end in ("lo", "hi")
    )
    plain = [f.alphabet for head, f in zip(heads, joint.inputs, strict=True) if not head.steps]
    widest = max((max(abs(a.lo), abs(a.hi)).bit_length() for a in plain), default=0)
    if widest > SIGNIFICANT or len(ranges(steps, low, high)) < len(steps):
        raise UnsupportedModel(
            "the scores of its outputs differ so much that the one unit that computes them would"
            " need integers that are too wide",
            node=joint.name,
            op="AllScores",
            hint="one output, or scores that are sums plus offsets in all of them.",
        )
    codes = tuple((end - meaning.offset[0]) // meaning.numerator for end in (low, high))
    layer = ir.Scores(joint.name, np.zeros(sum(sizes), np.int64), steps=steps)
    return layer, Span(codes[0][None], codes[1][None])


def _step(heads: Sequence[ir.Scores], sizes: Sequence[int], k: int) -> ir.ScoreStep:
    """Return step number k of all outputs."""
    shift = max(head.steps[k].shift for head in heads if k < len(head.steps))
    multiply: list[ir.Ints] = []
    add: list[ir.Ints] = []
    for head, size in zip(heads, sizes, strict=True):
        classes = len(head.offsets)
        step = ir.ScoreStep(np.ones(classes, np.int64), np.zeros(classes, np.int64), 0)
        if k < len(head.steps):
            step = head.steps[k]
        for found, constants in ((multiply, step.multiply), (add, step.add)):
            found.append(np.tile(constants << (shift - step.shift), size // classes))
    return ir.ScoreStep(np.concatenate(multiply), np.concatenate(add), shift)
