"""The outputs of a file: which operations make them, and where their elements are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.input_frame import InputFrame
from xnorflow.frontend.ordering import listed
from xnorflow.frontend.steps import Step, extended
from xnorflow.frontend.values import Activation, Constant, Value, agreed_source
from xnorflow.graph.ops import FlattenOp, GraphOutput, Op
from xnorflow.ir import FRAME


@dataclass(frozen=True)
class Heads:
    """The operations of a network, and its outputs.

    Parameters
    ----------
    ops : tuple of Op
        Operations in order of execution.
    outputs : tuple of GraphOutput
        Outputs of the file; empty if the last operation makes the only one, a vector of scores.
    source : InputFrame
        The frame of the input.
    size : int
        Number of elements of all outputs together.
    end_notes : tuple of str
        Notes on nodes at the end that were dropped.
    notes : tuple of str
        Notes on outputs that are left out.
    """

    ops: tuple[Op, ...]
    outputs: tuple[GraphOutput, ...]
    source: InputFrame
    size: int
    end_notes: tuple[str, ...]
    notes: tuple[str, ...]


def heads(named: Sequence[tuple[str, Value]]) -> Heads:
    """Return the operations that make the outputs.

    Parameters
    ----------
    named : sequence of (str, Value)
        Each output of the file, with its name.

    Raises
    ------
    UnsupportedModel
        If an output does not depend on the input, or is padded.
    FrameConflict
        If outputs were made of different frames of the input.
    """
    found: list[tuple[str, Activation]] = []
    for name, value in named:
        if isinstance(value, Constant):
            raise UnsupportedModel(
                "the output does not depend on the input.",
                node=name,
                hint="scores that are computed from the input.",
            )
        if value.padded:
            raise UnsupportedModel(
                "the output is padded.",
                node=name,
                hint="a Pad node only before a convolution or pool.",
            )
        if all(value is not other for _, other in found):
            found.append((name, value))
    kept, notes = _without_copies(found)
    ends = tuple(dict.fromkeys(x.end_note for _, x in kept if x.end_note))
    source = agreed_source([x for _, x in kept])
    assert source is not None
    if len(kept) == 1:
        (name, x) = kept[0]
        if np.array_equal(x.index.ravel(), np.arange(math.prod(x.frame))):
            step = _flattened(name, x)
            ops = listed([step], named=False).ops
            return Heads(ops, (), source, x.index.size, ends, notes)
    listing = listed([x.made_by for _, x in kept], named=True)
    outputs = []
    for (name, x), end in zip(kept, listing.ends, strict=True):
        if end == FRAME:
            raise UnsupportedModel(
                "the output is the input in another order.",
                node=name,
                hint="outputs that layers or functions compute.",
            )
        shape = x.index.shape
        outputs.append(
            GraphOutput(name, end, shape[1:] if shape[:1] == (1,) else shape, x.index.ravel())
        )
    size = sum(x.index.size for _, x in kept)
    return Heads(listing.ops, tuple(outputs), source, size, ends, notes)


def _flattened(name: str, x: Activation) -> Step | None:
    """Return the step that makes one pixel of a vector of scores."""
    if x.frame[0] * x.frame[1] == 1:
        return x.made_by
    return extended(x.made_by, [FlattenOp(node=name, op="output")], x.frame)


def _without_copies(
    found: Sequence[tuple[str, Activation]],
) -> tuple[list[tuple[str, Activation]], tuple[str, ...]]:
    """Return the outputs without those that are others but for a dropped end, and notes on them."""
    kept: list[tuple[str, Activation]] = []
    notes = []
    plain = [(name, x) for name, x in found if not x.ended]
    for name, x in found:
        others = plain if x.ended else ()
        twin = next((n for n, y in others if _same_scores(x, y)), None)
        if twin is None:
            kept.append((name, x))
        else:
            notes.append(
                f"The output {name!r} is left out: but for what was dropped at its end it is"
                f" {twin!r}."
            )
    return kept, tuple(notes)


def _same_scores(x: Activation, y: Activation) -> bool:
    return x.made_by is y.made_by and np.array_equal(x.index.ravel(), y.index.ravel())
