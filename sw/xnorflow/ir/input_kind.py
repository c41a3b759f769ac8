"""The kinds of samples: integers of an alphabet, or floats that the host quantises to such.

Users name a kind: ``uint8``, ``int8``, ``uintN`` or ``intN`` with N from 2 to 16, ``bits`` (0 and
1), ``bipolar`` (-1 and +1), ``file`` (integers as the model file declares them) or ``float``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput
from xnorflow.ir.alphabet import BIPOLAR, UINT8, UNIPOLAR, Alphabet, Ints

MAX_SAMPLE_BITS = 16
"""Widest code of a sample."""
FILE, FLOAT = "file", "float"
"""Kinds that the model file decides: integers that it declares, or floats that it quantises."""
KINDS = "uint8, int8, uintN and intN of 2 to 16 bits, bits, bipolar, file or float"


def alphabet_of(kind: str) -> Alphabet | None:
    """Return the integers of a kind of samples; None for `FILE` and `FLOAT`, which a file decides.

    Parameters
    ----------
    kind : str
        A name, such as ``"int4"``; see this module.

    Raises
    ------
    BadInput
        If there is no such kind.
    """
    if kind in (FILE, FLOAT):
        return None
    named = {"bits": UNIPOLAR, "bipolar": BIPOLAR}.get(kind)
    if named is not None:
        return named
    match = re.fullmatch(r"(u?)int([1-9][0-9]?)", kind, re.ASCII)
    bits = int(match[2]) if match else 0
    if match is None or not 2 <= bits <= MAX_SAMPLE_BITS:
        raise BadInput(f"samples of type {kind!r} are not supported; {KINDS} are")
    return Alphabet(0 if match[1] else -(1 << (bits - 1)), 1, 1 << bits)


@dataclass(frozen=True, eq=False)
class HostQuantiser:
    """A network's own quantiser of its input, which the host runs before it sends a frame.

    A sample of a channel becomes ``codes[channel, i]`` if exactly `i` of the channel's thresholds
    are less than or equal to it. A single row serves all channels.

    Parameters
    ----------
    thresholds : float32 array [1 or channels, n]
        In ascending order along the last axis.
    codes : int64 array [1 or channels, n + 1]
        Codes that are sent to the accelerator.
    """

    thresholds: NDArray[np.float32]
    codes: Ints

    def __call__(self, x: NDArray[Any]) -> Ints:
        """Compute int64 codes of float samples [..., channels]; BadInput if one is not finite."""
        x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise BadInput("a sample is not a finite number: remove NaN and infinity from the data")
        made = np.empty(x.shape, np.int64)
        for channel in range(x.shape[-1]):
            row = channel if len(self.thresholds) > 1 else 0
            reached = np.searchsorted(self.thresholds[row], x[..., channel], side="right")
            made[..., channel] = self.codes[row][reached]
        return made


@dataclass(frozen=True, eq=False)
class InputKind:
    """The kind of a network's samples.

    Parameters
    ----------
    alphabet : Alphabet
        Integers that the network takes; a sample is sent as its code.
    quantiser : HostQuantiser, optional
        Quantiser of float samples; without it samples are the alphabet's integers.
    """

    alphabet: Alphabet = UINT8
    quantiser: HostQuantiser | None = None

    def __str__(self) -> str:
        if self.quantiser is not None:
            return "float32"
        return "bits" if self.alphabet == UNIPOLAR else str(self.alphabet)

    @property
    def plain(self) -> bool:
        """Whether samples are uint8, which is the default."""
        return self.quantiser is None and self.alphabet == UINT8

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Narrowest of uint8 and uint16 that holds a code."""
        return np.uint8 if self.alphabet.bits <= 8 else np.uint16

    def fits(self, x: NDArray[Any]) -> str:
        """Return, for users, what would mend the type of samples; empty if it is right."""
        if self.quantiser is not None:
            return "" if x.dtype.kind in "fiub" else "floats are needed"
        if self.alphabet == UINT8:
            if x.dtype == np.uint8:
                return ""
        elif x.dtype.kind in "iub":
            return ""
        if x.dtype.kind == "f":
            return self._cure_of_floats(x)
        if x.dtype.kind in "iub" and x.size and x.min() >= 0 and x.max() <= self.alphabet.hi:
            return "x.astype(np.uint8) would fit"
        return f"integers from {self.alphabet.lo} to {self.alphabet.hi} are needed"

    def _cure_of_floats(self, x: NDArray[Any]) -> str:
        finite = x[np.isfinite(x)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        if self.alphabet != UINT8:
            return (
                "give them as integers, or let the host quantise floats with --input float"
                " (input='float')"
            )
        if low >= 0 and high <= 1:
            return (
                "samples from 0 to 1 are fractions of 255: (x * 255).round().astype(np.uint8), with"
                " --input-scale 1/255 (input_scale=1/255)"
            )
        if low >= 0 and high <= 255:
            return "x.round().astype(np.uint8) would fit"
        return (
            f"samples from {low:g} to {high:g} are no bytes: give the bytes that they were computed"
            " from, or let the host quantise them with --input float (input='float')"
        )

    def encode(self, x: NDArray[Any]) -> NDArray[Any]:
        """Compute the codes of samples [frames, height, width, channels], in uint8 or uint16.

        Raises
        ------
        BadInput
            If a sample is not one of the alphabet's integers, or a float is not finite.
        """
        if self.quantiser is not None:
            return self.quantiser(x).astype(self.dtype)
        a = self.alphabet
        if a == UINT8:
            return x
        codes, rest = np.divmod(x.astype(np.int64) - a.lo, a.step)
        if x.size and (rest.any() or codes.min() < 0 or codes.max() >= a.levels):
            raise BadInput(
                f"samples from {int(x.min())} to {int(x.max())} are not all {self}, which is"
                f" {a.lo} to {a.hi}"
                + (f" in steps of {a.step}" if a.step > 1 else "")
                + (": x * 2 - 1 makes bipolar of bits" if a == BIPOLAR else "")
            )
        return codes.astype(self.dtype)


UINT8_KIND = InputKind()
