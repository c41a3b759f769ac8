"""The result of a simulation: scores, and the cycles of all frames on the two streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.cards import Card, Shown

Integers = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """Scores and timing of a batch of N frames.

    Parameters
    ----------
    scores : int64 [N, classes]
        Score of each class, frame by frame, in the order of the stream. `Design.simulate` has those
        of the file's first output, in the file's own shape.
    first_in, last_in, first_out, last_out : int64 [N]
        Cycle of each frame's first and last beat on the two streams, counted from the first cycle
        after reset.
    cycles : int
        Simulated cycles until the last frame's last beat, summed over all shards.
    starts : int64 [S]
        Number of each shard's first frame; every shard began with a reset.
    taps : dict of str to uint64 [N, beats, lanes]
        Features that passed each probe, by the probe's name.
    outputs : dict of str to int64 [N, ...]
        The file's outputs in their own shapes, by name; empty if only the stream is known.
    output_labels : dict of str to int64 [N, ...]
        The labels of each output, by the same names.
    """

    scores: Integers
    first_in: Integers
    last_in: Integers
    first_out: Integers
    last_out: Integers
    cycles: int
    starts: Integers
    taps: dict[str, NDArray[np.uint64]] = field(default_factory=dict)
    outputs: dict[str, Integers] = field(default_factory=dict)
    output_labels: dict[str, Integers] = field(default_factory=dict)

    def card(self) -> Card:
        """Return what the prompt and a notebook show of the run."""
        interval = "unknown: that takes two frames" if self.ii is None else f"{self.ii:,} cycles"
        first = self.labels.reshape(len(self.labels), -1)[:16]
        facts = (
            ("initiation interval", interval),
            ("latency", f"{self.latency:,} cycles"),
            ("simulated", f"{self.cycles:,} cycles"),
            ("scores", f"int64 {list(self.scores.shape)}"),
            *(
                ("output", f"{name} {list(x.shape)}")
                for name, x in self.outputs.items()
                if len(self.outputs) > 1
            ),
        )
        labels = ("first labels", " ".join(map(str, first.ravel()[:16].tolist())))
        return Card(f"Run of {len(self.scores):,} frames", (*facts, labels))

    @cached_property
    def labels(self) -> Integers:
        """Label of each frame, ``int64 [N]``, or of each pixel of a map; see `xnorflow.ir.labels`.

        Of several outputs, these are the labels of the first.
        """
        for found in self.output_labels.values():
            return found
        return ir.labels(self.scores)

    @cached_property
    def ii_all(self) -> Integers:
        """Cycles between the last output beats of consecutive frames, ``int64 [N - S]``."""
        shards = np.split(self.last_out, self.starts[1:])
        return np.concatenate([np.diff(shard) for shard in shards])

    @cached_property
    def ii(self) -> int | float | None:
        """Initiation interval in steady state, in cycles.

        The cycles between consecutive frames in the second half of the longest shard: an int if
        they are always the same, otherwise their mean as a float. None if no shard has two
        frames.
        """
        longest = max(np.split(self.last_out, self.starts[1:]), key=len)
        steady = np.diff(longest)[(len(longest) - 1) // 2 :]
        if not steady.size:
            return None
        return int(steady[0]) if (steady == steady[0]).all() else float(steady.mean())

    @cached_property
    def latency(self) -> int:
        """Cycles from the first frame's first input beat to its last output beat."""
        return int(self.last_out[0] - self.first_in[0])

    def save(self, path: Path) -> None:
        """Write ``scores``, ``labels``, ``ii`` and ``latency`` to an ``.npz`` file.

        An ``ii`` that could not be measured is left out. Several outputs, or a map, are written by
        name too; see `xnorflow.ir.result_arrays`.

        Parameters
        ----------
        path : Path
            File to write.
        """
        outputs = self.outputs or {ir.SCORES: self.scores}
        arrays = ir.result_arrays(outputs, self.output_labels or {ir.SCORES: self.labels})
        arrays["latency"] = np.array(self.latency)
        if self.ii is not None:
            arrays["ii"] = np.array(self.ii)
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
