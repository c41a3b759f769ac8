"""Where a design first differs from the golden model: layer, frame, pixel, channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow_sim.interface import Tap


@dataclass(frozen=True)
class Mismatch:
    """The first feature that is wrong; layers without rows or columns have 0 there.

    ``expected`` and ``got`` are codes: the low bits of a negative score, say.
    """

    layer: str
    frame: int
    row: int
    column: int
    channel: int
    expected: int
    got: int

    def __str__(self) -> str:
        """Return one line for a person."""
        return (
            f"layer {self.layer}, frame {self.frame}, row {self.row}, column {self.column},"
            f" channel {self.channel}: expected {self.expected}, got {self.got}"
        )


def locate(
    expected: Mapping[str, NDArray[Any]],
    tapped: Mapping[str, NDArray[np.uint64]],
    taps: Sequence[Tap],
) -> Mismatch | None:
    """Find the first layer, in the order of the taps, that has a wrong feature, and its first one.

    Parameters
    ----------
    expected : dict
        The golden model's codes by layer: integers ``[N, H, W, C]``, ``[N, H, W]`` or ``[N, C]``.
        Layers that no tap shows are not looked at.
    tapped : dict
        What passed each probe, ``uint64 [N, beats, lanes]``, as in :attr:`Run.taps`.
    taps : sequence of Tap
        The probes, first layer first.

    Returns
    -------
    Mismatch or None
        None if everything is equal.

    Raises
    ------
    ValueError
        If a layer's features cannot lie in its tap's beats.
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
    """Take features ``[N, H, W, C]`` out of beats ``[N, beats, lanes]``.

    A group takes ``ceil(group / lanes)`` beats, whose lanes past the group hold nothing. The group
    is a pixel's channels or, in front of a fully connected layer, the whole frame.
    """
    height, width = pixels
    for group in (channels, height * width * channels):
        words = -(-group // tap.lanes)
        if height * width * channels // group * words == tap.beats:
            grouped = beats.reshape(len(beats), -1, words * tap.lanes)[..., :group]
            return grouped.reshape(len(beats), height, width, channels)
    raise ValueError(
        f"tap {tap.name!r}: {height} x {width} pixels of {channels} channels do not take"
        f" {tap.beats} beats of {tap.lanes} lanes"
    )


def _pixels(codes: NDArray[Any], tap: Tap) -> NDArray[Any]:
    """Give features their four axes."""
    if codes.ndim == 2:
        return codes[:, None, None, :]
    if codes.ndim == 3:
        return codes[..., None]
    if codes.ndim == 4:
        return codes
    raise ValueError(f"tap {tap.name!r}: features of shape {list(codes.shape)}")
