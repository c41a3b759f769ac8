"""Describe what delivers the beats of a joint: several ports, or a map that is stretched."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.plan.joints.joint import Joint, common_lanes
from xnorflow_hw import spec
from xnorflow_hw.spec.joining import Hold


def together(joint: Joint, lanes: int) -> spec.JoinSpec:
    """Return a join that takes the beats of all maps at once; smaller maps are held."""
    height, width, channels = joint.out.shape
    ports = []
    for f in joint.inputs:
        hold: Hold = "none"
        if f.shape[:2] != (height, width):
            hold = "frame"
        elif f.channels != channels:
            hold = "pixel"
        single = f.channels != channels
        own = 1 if single else lanes
        ports.append(spec.PortSpec(f.alphabet.bits, own, ceil(f.channels / own), hold))
    return spec.JoinSpec(tuple(ports), height, width, ceil(channels / lanes))


def held(joint: Joint) -> tuple[bool, ...]:
    """Return whether all lanes of each port of a join read its single code."""
    return tuple(f.channels != joint.out.channels for f in joint.inputs)


def _ports(joint: Joint, lanes: int, channels: list[int]) -> tuple[spec.PortSpec, ...]:
    return tuple(
        spec.PortSpec(f.alphabet.bits, lanes, ceil(n / lanes))
        for f, n in zip(joint.inputs, channels, strict=True)
    )


def _turns(beats: Iterable[int]) -> tuple[int, ...]:
    """Return the beats of each port's turn; a single port needs no turns."""
    found = tuple(beats)
    return found if len(found) > 1 else ()


def side_by_side(joint: Joint, lanes: int) -> spec.JoinSpec:
    """Return the join of a `Concat`, which takes the beats of its maps in turn."""
    layer, (height, width, channels) = joint.layer, joint.out.shape
    assert isinstance(layer, ir.Concat)
    ports = _ports(joint, lanes, [f.channels for f in joint.inputs])
    per_turn = {
        0: [f.height * width for f in joint.inputs],
        1: [f.width for f in joint.inputs],
        2: [1] * len(joint.inputs),
    }[layer.axis]
    turns = _turns(n * port.words for n, port in zip(per_turn, ports, strict=True))
    words = sum(port.words for port in ports) if layer.axis == 2 else ceil(channels / lanes)
    return spec.JoinSpec(ports, height, width, words, turns)


def concat_lanes(joint: Joint) -> int:
    """Return what the lanes of a `Concat` have to divide."""
    layer = joint.layer
    assert isinstance(layer, ir.Concat)
    return common_lanes(tuple(f.channels for f in joint.inputs)) if layer.axis == 2 else 0


def all_scores(joint: Joint, lanes: int) -> spec.JoinSpec:
    """Return the join of all scores of a frame, one output after the other."""
    ports = _ports(joint, lanes, [f.size for f in joint.inputs])
    words = sum(port.words for port in ports)
    return spec.JoinSpec(ports, 1, 1, words, _turns(port.words for port in ports))


def score_lanes(joint: Joint) -> int:
    """Return what the lanes of several outputs' scores have to divide."""
    return common_lanes(tuple(f.size for f in joint.inputs))


def stretched(joint: Joint, lanes: int) -> spec.StretchSpec:
    """Return the buffer of a `Stretch`; its depth is still to be chosen.

    Raises
    ------
    UnsupportedModel
        If all values are cropped, so that only zeros are left.
    """
    layer, inp = joint.layer, joint.inp
    assert isinstance(layer, ir.Stretch)
    a, zero = inp.alphabet, inp.alphabet.code_of(0) or 0
    words = ceil(inp.channels / lanes)

    def word(used: int) -> int:
        return sum(zero << (a.bits * lane) for lane in range(used))

    front = spec.StretchSpec(
        word_bits=lanes * a.bits,
        words=words,
        height=inp.height,
        width=inp.width,
        factors=layer.factors,
        fill=layer.fill,
        crop=layer.crop,
        zero_word=word(lanes),
        zero_word_last=word(inp.channels - (words - 1) * lanes),
        depth=1,
    )
    if not front.kept().any():
        raise UnsupportedModel(
            "cropping leaves nothing but zeros of it, so its output is constant",
            node=(*layer.sources, layer.name)[0],
            op="Stretch",
            hint="less cropping.",
        )
    return front


def stretch_lanes(joint: Joint) -> int:
    """Return what the lanes of a `Stretch` have to divide."""
    layer = joint.layer
    assert isinstance(layer, ir.Stretch)
    return joint.out.channels if layer.fill == "blocks" else 0
