"""Regrouping of raw tensors' features into the frame that a node needs.

A tensor is raw while only elementwise operations separate it from the input. The host can put its
features into any order, so the frame that was guessed for the input may still change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xnorflow.frontend.steps import Step, extended
from xnorflow.frontend.values import Activation, FrameConflict, Rearrangement, same_source
from xnorflow.graph import ops
from xnorflow.graph.channel_constants import gathered
from xnorflow.ir import Ints


class PixelConstants(Exception):
    """Error for an operation whose constants would differ from pixel to pixel in another frame.

    Parameters
    ----------
    op : Op
        The operation.
    """

    def __init__(self, op: ops.Op) -> None:
        super().__init__(op.node)
        self.op = op


def reframed(features: Sequence[Activation], choice: Rearrangement) -> list[Activation]:
    """Return tensors with the same features of the input, in another frame.

    Parameters
    ----------
    features : sequence of Activation
        Raw tensors of one frame.
    choice : Rearrangement
        The other frame.

    Raises
    ------
    PixelConstants
        If an operation so far would have constants that differ from pixel to pixel.
    """
    height, width, channels = frame = choice.wanted.shape
    positions = choice.wanted.reshape(height * width, channels)
    known: dict[int, Step | None] = {}

    def moved(step: Step | None) -> Step | None:
        chain: list[Step] = []
        while step is not None and id(step) not in known:
            chain.append(step)
            (step,) = step.reads
        made = None if step is None else known[id(step)]
        for old in reversed(chain):
            # A flattening is left out: the operations after it have constants per feature.
            if not isinstance(old.op, ops.FlattenOp):
                turned = (
                    gathered(old.op, positions) if isinstance(old.op, ops.Elementwise) else None
                )
                if turned is None:
                    raise PixelConstants(old.op)
                made = extended(made, [turned], frame)
            known[id(old)] = made
        return made

    out = []
    for x in features:
        assert x.source is not None
        source = x.source.reframed(choice.wanted)
        steps = moved(x.made_by)
        out.append(replace(x, frame=source.frame, index=choice.index, source=source, made_by=steps))
    return out


def unified(features: Sequence[Activation]) -> list[Activation]:
    """Return tensors in one frame of the input, to which raw ones are moved.

    Raises
    ------
    FrameConflict
        If no frame suits all.
    """
    if all(same_source(x, features[0]) for x in features):
        return list(features)
    settled = [x for x in features if not x.raw]
    for target in settled[:1] or features:
        try:
            made = [x if same_source(x, target) else _like(x, target) for x in features]
        except PixelConstants:
            continue
        if all(same_source(x, target) for x in made):
            return made
    raise FrameConflict(*(x.source for x in (*settled, *features) if x.source is not None))


def _like(x: Activation, target: Activation) -> Activation:
    """Return a raw tensor in the frame of another, or unchanged if that is not possible."""
    if not x.raw:
        return x
    assert x.source is not None and target.source is not None
    old, new = x.source.gather, target.source.gather
    size = math.prod(x.source.shape)
    places = np.full((2, size), -1)
    places[0, old] = np.arange(len(old))
    places[1, new] = np.arange(len(new))
    wanted = places[0, new]
    index = np.where(x.index < 0, -1, places[1, old[x.index]])
    if (wanted < 0).any() or (index[x.index >= 0] < 0).any():
        return x  # They look at different samples.
    shape = target.index.shape
    if target.raw and x.index.shape == shape and np.array_equal(_samples(x), _samples(target)):
        # Of a sample that a frame holds twice the copy that is read in that very place is meant.
        inside = target.index >= 0
        wanted[target.index[inside]] = x.index[inside]
        index = target.index
    # Copies may have constants of their own, so that no other can stand for one of them.
    inside = x.index >= 0
    if not np.array_equal(wanted[index[inside]], x.index[inside]):
        return x
    (made,) = reframed([x], Rearrangement(wanted.reshape(target.source.frame), index))
    return made


def _samples(x: Activation) -> Ints:
    """Return the position in the file's input of each element; -1 for padding."""
    assert x.source is not None
    return np.where(x.index < 0, -1, x.source.gather[x.index])
