"""The first difference between a design and the golden model: layer, frame, pixel, channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow_sim.interface import Tap


@dataclass(frozen=True)
class Mismatch:
    """The first wrong feature.

    Parameters
    ----------
    layer : str
        Name of the layer.
    frame, row, column, channel : int
        Place of the feature, counted from 0; row and column are 0 in layers without pixels.
    expected, got : int
        Codes of the feature; of a negative score the low bits.
    """

    layer: str
    frame: int
    row: int
    column: int
    channel: int
    expected: int
    got: int

    def __str__(self) -> str:
        """Return the mismatch as one line of text."""
        return (
            f"layer {self.layer}, frame {self.frame}, row {self.row}, column {self.column},"
            f" channel {self.channel}: expected {self.expected}, got {self.got}"
        )


def locate(
    expected: Mapping[str, NDArray[Any]],
    tapped: Mapping[str, NDArray[np.uint64]],
    taps: Sequence[Tap],
) -> Mismatch | None:
    """Find the first wrong feature of the first layer that has one, in the order of the taps.

    Parameters
    ----------
    expected : dict
        Codes of the golden model by layer: integers ``[N, H, W, C]``, ``[N, H, W]`` or ``[N, C]``.
        Layers without a tap are ignored.
    tapped : dict
        Features that passed each probe, ``uint64 [N, beats, lanes]``, as in :attr:`Run.taps`.
    taps : sequence of Tap
        Probes in the order of their layers.

    Returns
    -------
    Mismatch or None
        The first difference; None if everything is equal.

    Raises
    ------
    ValueError
        If a layer's features do not fit its tap's beats.
    """
    for tap in taps:
        if tap.name not in expected:
            continue
        want = _pixels(np.asarray(expected[tap.name]), tap)
        got = features(tapped[tap.name], want.shape[1:3], want.shape[3], tap)
        want = want.astype(np.int64).astype(np.uint64) & np.uint64(2**tap.bits - 1)
        wrong = np.argwhere(want != got)
        if wrong.size:
            frame, row, column, channel = (int(i) for i in wrong[0])
            at = (frame, row, column, channel)
            return Mismatch(tap.name, *at, int(want[at]), int(got[at]))
    return None


def features(
    beats: NDArray[np.uint64], pixels: Sequence[int], channels: int, tap: Tap
) -> NDArray[np.uint64]:
    """Return the features ``[N, H, W, C]`` that beats ``[N, beats, lanes]`` carry.

    Features travel in groups of ``ceil(group / lanes)`` beats, whose lanes behind the group are
    unused. A group is a pixel's channels or, in front of a fully connected layer, the whole frame.
    """
    height, width = pixels
    for group in (channels, height * width * channels):
        words = -(-group // tap.lanes)
        if height * width * channels // group * words == tap.beats:
            grouped = beats.reshape(len(beats), -1, words * tap.lanes)[..., :group]
            return grouped.reshape(len(beats), height, width, channels)
    raise ValueError(
        f"tap {tap.name!r}: {height} x {width} pixels of {channels} channels do not fill"
        f" {tap.beats} beats of {tap.lanes} lanes"
    )


def _pixels(codes: NDArray[Any], tap: Tap) -> NDArray[Any]:
    """Return codes with all four axes, ``[N, H, W, C]``."""
    if codes.ndim == 2:
        return codes[:, None, None, :]
    if codes.ndim == 3:
        return codes[..., None]
    if codes.ndim == 4:
        return codes
    raise ValueError(
        f"tap {tap.name!r}: features of shape {list(codes.shape)} are not [N, H, W, C],"
        " [N, H, W] or [N, C]"
    )
