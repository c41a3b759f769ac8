"""What both feature buffers share: checks of their geometry, their memory and their arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.utils import bits_for

from xnorflow_hw.base.loop import Nest
from xnorflow_hw.spec import geometry

RAM_KINDS = ("auto", "block", "distributed")


def check_window(
    *,
    word_bits: int,
    words: int,
    height: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    repeat: int,
    groups: int,
    ram: str,
    pad_words: Sequence[int | None],
) -> None:
    """Check the geometry of a feature buffer.

    The parameters are those of a `FeatureBuffer`; `pad_words` are `pad_word` and `pad_word_last`.

    Raises
    ------
    ValueError
        If a parameter is out of its range, no window fits into the padded frame, or no window has a
        tap inside the frame.
    """
    positive = {
        "word_bits": (word_bits,),
        "words": (words,),
        "height": (height,),
        "width": (width,),
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "repeat": (repeat,),
        "groups": (groups,),
    }
    for name, values in positive.items():
        if min(values) < 1:
            numbers = ", ".join(map(str, values))
            raise ValueError(f"{name} is {numbers}; it has to be 1 or more")
    if words % groups or repeat % groups:
        raise ValueError(
            f"groups is {groups}; it has to divide words, which is {words}, and repeat, which is"
            f" {repeat}"
        )
    if len(pads) != 4 or min(pads) < 0:
        raise ValueError(
            f"pads are {pads}; they have to be four numbers (top, left, bottom, right), each 0 or"
            " more"
        )
    if ram not in RAM_KINDS:
        raise ValueError(f"ram is {ram!r}; known are {', '.join(RAM_KINDS)}")
    for word in pad_words:
        if word is not None and (word < 0 or word.bit_length() > word_bits):
            raise ValueError(
                f"pad_word is {word:#x}, which does not fit a word of {word_bits} bits"
            )
    axes = zip((height, width), kernel, stride, dilation, pads[:2], pads[2:], strict=True)
    if min(geometry.output_size(*axis) for axis in axes) < 1:
        raise ValueError(
            f"kernel {kernel} with dilation {dilation} does not fit the padded frame"
            f" of {height} x {width} pixels"
        )
    if not geometry.minimum_depth(height, width, words, kernel, stride, dilation, pads):
        raise ValueError(
            f"with stride {stride} and pads {pads} no window has a tap inside the frame of"
            f" {height} x {width} pixels"
        )


def pass_loops(words: int, repeat: int, groups: int) -> list[tuple[str, int, int]]:
    """Return name, passes and words skipped of the loops of `geometry.passes`, innermost first."""
    names = ("rep", "word_group")
    found = geometry.passes(words, repeat, groups)
    return [(name, *loop) for name, loop in zip(names, found, strict=False)]


def number_of_pass(nest: Nest, at: int, loops: Sequence[tuple[str, int, int]], width: int) -> Value:
    """Return the number of the current pass, from 0 to `repeat` - 1.

    Parameters
    ----------
    nest : Nest
        Nest that holds `loops` from index `at` on.
    at : int
        Index of the innermost of them.
    loops : sequence
        As `pass_loops` returns them.
    width : int
        Width of a number of two loops in bits.
    """
    if len(loops) == 1:
        return nest.loops[at].index
    (_, count, _), (_, groups, _) = loops
    before = [group * count for group in range(groups)]
    return nest.loops[at + 1].follow(before, width, "group_rep") + nest.loops[at].index


def pixel_end(nest: Nest, at: int, loops: Sequence[tuple[str, int, int]]) -> Value:
    """Return whether the current word is the last one of its pixel.

    The parameters are those of `number_of_pass`; the innermost loop of the nest is that over words.
    """
    moving = [nest.loops[at + k] for k, (_, _, skipped) in enumerate(loops) if skipped]
    ends = [loop.last for loop in (nest.loops[0], *moving) if loop.count > 1]
    if len(ends) < 2:
        return ends[0] if ends else Const(1, 1)
    return Cat(ends).all()


def word_memory(bits: int, depth: int, ram: str) -> Memory:
    """Build a memory for `depth` words of `bits` bits.

    It has at least two words, so that its address has a bit.

    Parameters
    ----------
    bits : int
        Width of a word in bits.
    depth : int
        Number of words.
    ram : {"auto", "block", "distributed"}
        What the memory is built of.
    """
    # A place is never read while it is written, so Yosys may leave out the logic that would deliver
    # the old word in that case.
    attributes: dict[str, Any] = {"no_rw_check": 1}
    if ram != "auto":
        attributes["ram_style"] = ram
    return Memory(shape=bits, depth=max(2, depth), init=[], attrs=attributes)


def outside(
    m: Module, nest: Nest, steps: Sequence[int], size: int, before: int, issue: Value, name: str
) -> Value:
    """Build a register that tells whether the current tap is outside the frame along one axis.

    Parameters
    ----------
    m : Module
        The module that gets the logic.
    nest : Nest
        The loops whose steps move the tap.
    steps : sequence of int
        What each loop of the nest adds to the tap's position; see `Nest.step`.
    size : int
        Number of positions inside the frame.
    before : int
        Number of padded positions before the frame.
    issue : Value
        Whether the nest advances in this cycle.
    name : str
        Prefix of the signals' names.

    Returns
    -------
    Value
        The register, or a constant if the tap never moves along this axis.
    """
    if not any(steps):
        return Const(before > 0, 1)
    highest = -before - steps[-1]
    width = bits_for(max(size, highest, before)) + 1
    position = Signal(width, init=-before % (1 << width), name=name)
    result = Signal(init=before > 0, name=f"{name}_outside")
    after = Signal(width, name=f"{name}_next")
    m.d.comb += after.eq(position + nest.step(m, steps, width, f"{name}_step"))
    with m.If(issue):
        # The comparison is unsigned, so that a negative position also counts as large.
        m.d.sync += [position.eq(after), result.eq(after >= size)]
    return result


def add(a: Value, b: Value, carry: Value) -> Value:
    """Return the sum of two equally wide numbers and a carry, of the same width, in one adder."""
    return (Cat(Const(1, 1), a) + Cat(carry, b))[1 : len(a) + 1]
