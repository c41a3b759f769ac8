"""The kind of a network's samples: from the user's options, or as the file declares its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xnorflow.errors import BadInput
from xnorflow.frontend.model_file import ModelFile
from xnorflow.graph import ops
from xnorflow.graph.input_scale import InputScale
from xnorflow.graph.quantisers import integer_range
from xnorflow.ir import BIPOLAR, TERNARY, UINT8, UNIPOLAR, Alphabet, InputKind
from xnorflow.ir.input_kind import FILE, FLOAT, MAX_SAMPLE_BITS, alphabet_of

NAMED = {"BIPOLAR": BIPOLAR, "BINARY": UNIPOLAR, "TERNARY": TERNARY}
"""Alphabets of FINN's datatypes with special names."""


@dataclass(frozen=True)
class InputSamples:
    """The kind of samples, and their scaling to the network's input.

    Parameters
    ----------
    kind : InputKind
        Kind of the samples; lowering replaces it if they are floats.
    scale : InputScale
        Scaling of samples to the input.
    floats : bool
        Whether samples are floats, which the host quantises.
    notes : tuple of str
        Facts that a user should know, one sentence each.
    """

    kind: InputKind
    scale: InputScale
    floats: bool = False
    notes: tuple[str, ...] = ()


def declared_alphabet(name: str) -> Alphabet | None:
    """Return the integers of a FINN datatype; None if the name is unknown or the type too wide."""
    if name in NAMED:
        return NAMED[name]
    try:
        return alphabet_of(name.lower())
    except BadInput:
        return None


def input_samples(
    file: ModelFile, kind: str, scale: InputScale, walked: Sequence[ops.Op]
) -> InputSamples:
    """Choose the kind and the scaling of samples.

    Parameters
    ----------
    file : ModelFile
        The file, which may declare the integers of its input.
    kind : str
        Name of the kind that the user gave; see `xnorflow.ir.input_kind`.
    scale : InputScale
        Scaling that the user gave.
    walked : sequence of Op
        The network's operations; the first may quantise the input.

    Raises
    ------
    BadInput
        If the kind is unknown, or the kind or the scaling does not fit the file.
    """
    said, declared = alphabet_of(kind), declared_alphabet(file.declared)
    if file.input_is_integer and scale != InputScale():
        raise BadInput(
            f"the file takes {file.declared.lower()} samples themselves: the input scale must be 1,"
            f" not {scale}"
        )
    if kind == FLOAT:
        if file.input_is_integer:
            name = file.declared.lower()
            raise BadInput(f"the file takes {name} samples, not floats: say --input {name}")
        return InputSamples(InputKind(), scale, floats=True)
    if kind == FILE:
        return _of_file(declared, scale, walked)
    assert said is not None
    if file.input_is_integer and declared is not None and said != declared:
        name = file.declared.lower()
        raise BadInput(f"the file takes {name} samples, not {kind}: say --input {name}")
    notes: tuple[str, ...] = ()
    if declared is not None and scale == InputScale():
        notes = _differences(kind, said, file.declared, declared)
    return InputSamples(InputKind(said), scale, notes=notes)


def _of_file(
    declared: Alphabet | None, scale: InputScale, walked: Sequence[ops.Op]
) -> InputSamples:
    """Return the samples that the file declares, or else the integers of its first quantiser."""
    if declared is not None:
        return InputSamples(InputKind(declared), scale)
    if scale != InputScale():
        raise BadInput(
            "with --input file (input='file') samples are the integers of the file's own quantiser,"
            f" and the input scale must be 1, not {scale}"
        )
    first = walked[0] if walked else None
    if isinstance(first, ops.BipolarQuantOp) and first.scale.ndim == 0:
        return InputSamples(InputKind(BIPOLAR), InputScale(float(first.scale)))
    if isinstance(first, ops.QuantOp) and first.scale.ndim == first.zero_point.ndim == 0:
        low, high = integer_range(first.bits, first.signed, first.narrow)
        if first.bits <= MAX_SAMPLE_BITS:
            zero = int(first.zero_point)
            alphabet = Alphabet(low - zero, 1, high - low + 1)
            if first.signed and first.bits == 1:
                alphabet = BIPOLAR
            return InputSamples(InputKind(alphabet), InputScale(float(first.scale)))
    raise BadInput(
        "the file does not say what integers its input has: it has no datatype of FINN's at its"
        " input, and no quantiser with one scale of at most 16 bits comes first. Say which with"
        " --input uint8, int8, uintN, intN, bits or bipolar"
    )


def _differences(kind: str, said: Alphabet, name: str, declared: Alphabet) -> tuple[str, ...]:
    """Return notes on samples that the file does not declare, and on values out of their reach."""
    notes = []
    if said.lo > declared.lo or said.hi < declared.hi:
        notes.append(
            f"The file declares its input as {name}, {declared.lo} to {declared.hi}; samples of"
            f" {kind} reach only {max(said.lo, declared.lo)} to {min(said.hi, declared.hi)} of it:"
            f" --input file takes them as declared."
        )
    if said != UINT8 and (said.lo < declared.lo or said.hi > declared.hi):
        notes.append(f"Samples of {kind} may be beyond {name}, which the file declares.")
    return tuple(notes)
