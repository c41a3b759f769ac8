"""What feature buffers have in common: checks of their geometry, their memory, their arithmetic."""

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
    ram: str,
    pad_words: Sequence[int | None],
) -> None:
    """Raise ValueError, with the offending value, if there can be no such buffer."""
    positive = {
        "word_bits": (word_bits,),
        "words": (words,),
        "height": (height,),
        "width": (width,),
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "repeat": (repeat,),
    }
    for name, values in positive.items():
        if min(values) < 1:
            raise ValueError(f"{name} is {values}; it has to be positive")
    if len(pads) != 4 or min(pads) < 0:
        raise ValueError(f"pads are {pads}; four numbers of at least 0 are needed")
    if ram not in RAM_KINDS:
        raise ValueError(f"ram is {ram!r}; known are {', '.join(RAM_KINDS)}")
    for word in pad_words:
        if word is not None and (word < 0 or word.bit_length() > word_bits):
            raise ValueError(f"pad_word is {word:#x}; it does not fit {word_bits} bits")
    axes = zip((height, width), kernel, stride, dilation, pads[:2], pads[2:], strict=True)
    if min(geometry.output_size(*axis) for axis in axes) < 1:
        raise ValueError(
            f"kernel {kernel} with dilation {dilation} does not fit the padded frame"
            f" of {height} x {width} pixels"
        )
    if not geometry.minimum_depth(height, width, words, kernel, stride, dilation, pads):
        raise ValueError(
            f"stride {stride} and pads {pads} leave no tap inside the frame of"
            f" {height} x {width} pixels"
        )


def word_memory(bits: int, depth: int, ram: str) -> Memory:
    """Give a memory for words; an address has to have a bit, so it holds at least two."""
    # A word is never read while its place is written, so Yosys may leave out the logic that would
    # give the old word then.
    attributes: dict[str, Any] = {"no_rw_check": 1}
    if ram != "auto":
        attributes["ram_style"] = ram
    return Memory(shape=bits, depth=max(2, depth), init=[], attrs=attributes)


def outside(
    m: Module, nest: Nest, steps: Sequence[int], size: int, before: int, issue: Value, name: str
) -> Value:
    """Give a register that tells whether the tap is outside the frame along an axis.

    Parameters
    ----------
    steps : sequence of int
        What each loop of the nest adds to the tap's position; see `Nest.step`.
    size, before : int
        Positions inside the frame, and padded ones before them.
    issue : Value
        Whether the nest advances.
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
        # A negative position is a large one without its sign.
        m.d.sync += [position.eq(after), result.eq(after >= size)]
    return result


def add(a: Value, b: Value, carry: Value) -> Value:
    """Add two equally wide numbers and a carry, modulo their width, in one adder."""
    return (Cat(Const(1, 1), a) + Cat(carry, b))[1 : len(a) + 1]
