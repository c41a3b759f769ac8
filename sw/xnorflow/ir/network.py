"""The integer network that users hold: it can be called on samples, and it has a digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import arguments
from xnorflow.cards import Card, Shown
from xnorflow.ir.alphabet import Ints
from xnorflow.ir.encoding import to_arrays
from xnorflow.ir.layer_graph import LayerGraph, Output
from xnorflow.ir.layers import Conv
from xnorflow.progress import Count, counted

SCORES = "scores"
"""Name of the output of a network whose scores are its file's only output, and a vector."""


def labels(scores: NDArray[Any], axis: int | None = 1) -> Ints:
    """Return the label of each frame, or of each pixel.

    It is the class with the greatest score, the first of these if several are equal. With a single
    class it is 1 if the score is above 0, else 0.

    Parameters
    ----------
    scores : int64 array [frames, classes], or with more axes
        Scores of a network.
    axis : int or None
        The axis of the classes; None if each score is the only one of its pixel.

    Returns
    -------
    int64 array [frames], or of the shape of `scores` without the axis of the classes
    """
    if axis is None:
        return np.asarray(scores > 0, np.int64)
    found = scores.take(0, axis) > 0 if scores.shape[axis] == 1 else scores.argmax(axis)
    return np.asarray(found, np.int64)


def result_arrays(
    outputs: Mapping[str, NDArray[Any]], found: Mapping[str, Ints]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a results file, by their names in it.

    Parameters
    ----------
    outputs : mapping of str to int64 array [frames, ...]
        Outputs by name, in the file's own shape.
    found : mapping of str to int64 array [frames, ...]
        Labels of each output, by the same names.

    Returns
    -------
    dict of str to array
        ``scores`` [frames, score_count], the elements of all outputs one after the other, and
        ``labels``, those of the first output. Unless `SCORES` is the only output: ``outputs``,
        their names, and for each ``output.NAME`` and ``labels.NAME``, where NAME has an underscore
        in place of all but letters, digits, ``-``, ``.`` and ``_``.
    """
    flat = [values.reshape(len(values), -1) for values in outputs.values()]
    arrays = {"scores": np.concatenate(flat, axis=1), "labels": next(iter(found.values()))}
    if [*outputs] == [SCORES] and next(iter(outputs.values())).ndim == 2:
        return arrays
    arrays["outputs"] = np.array([*outputs], np.str_)
    for number, (name, values) in enumerate(outputs.items()):
        plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
        if f"output.{plain}" in arrays:
            plain += f"_{number}"
        arrays[f"output.{plain}"], arrays[f"labels.{plain}"] = values, found[name]
    return arrays


@dataclass(frozen=True, eq=False, repr=False)
class IntegerNetwork(Shown, LayerGraph):
    """A trained network in integers only; calling it runs the golden model.

    It has the parameters of `LayerGraph`.
    """

    def card(self) -> Card:
        """Return what the prompt and a notebook show of the network."""
        weighted = [(x, out) for x, _, out in self if isinstance(x, Conv)]
        macs = sum(x.operations * out.height * out.width for x, out in weighted)
        bits = sum(x.weights.size * x.alphabet.bits for x, _ in weighted)
        outputs = ", ".join(f"{o.name} {list(o.shape)}" for o in self.outputs)
        facts = [
            ("size", f"{macs:,} multiply-accumulates a frame, {bits:,} weight bits"),
            ("x", f"{self.samples} {self.input_order.describe(self.shape)}"),
            ("scores", outputs or f"int64 [frames, {self.score_count}]"),
        ]
        if self.classes:
            facts.append(("classes", ", ".join(self.classes)))
        return Card(
            f"IntegerNetwork {self.name}: {len(self.layers)} layers",
            (*facts, *(("note", note) for note in self.notes)),
            ("layer", "kind", "output", "values", "weights"),
            tuple(
                (
                    layer.name,
                    layer.kind,
                    " x ".join(map(str, out.shape)),
                    str(out.alphabet),
                    f"{list(layer.weights.shape)} of {layer.alphabet}"
                    if isinstance(layer, Conv)
                    else "",
                )
                for layer, _, out in self
            ),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides a score, in hexadecimal."""
        h = hashlib.sha256()
        text, arrays = to_arrays(self)
        h.update(text.encode())
        for name in sorted(arrays):
            a = np.ascontiguousarray(arrays[name])
            h.update(f"{name} {a.dtype.str} {a.shape}".encode())
            h.update(a.tobytes())
        return h.hexdigest()

    @property
    def named(self) -> tuple[Output, ...]:
        """The outputs of the file; the scores as they are, under `SCORES`, if they are all."""
        whole = np.arange(self.score_count)
        return self.outputs or (Output(SCORES, (self.score_count,), whole),)

    def in_file_shape(self, scores: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the file's outputs, by name, of scores in the order of the golden model.

        Parameters
        ----------
        scores : array [frames, score_count]
            Scores of the golden model or of hardware.

        Returns
        -------
        dict of str to array [frames, ...]
            Each output in the file's own shape.
        """
        return {output.name: output.of(scores) for output in self.named}

    def class_axis(self, output: Output) -> int | None:
        """Return the axis of the classes of an output [frames, ...].

        It is the one along which the scores of a pixel are, wherever the file has them; the first
        behind the frames if no axis has them all. None if each pixel has one score, and no axis.

        Parameters
        ----------
        output : Output
            One of `named`.
        """
        first, channels = 0, 1
        for layer in self.score_layers:
            f = self.features[self.layers.index(layer) + 1]
            if first <= output.gather[0] < first + f.size:
                channels = f.channels
            first += f.size
        places = output.gather.reshape(output.shape)
        for axis, size in enumerate(output.shape):
            if size == channels and (np.diff(places, axis=axis) == 1).all():
                return axis + 1
        return 1 if channels > 1 else None

    def labels_of(self, scores: NDArray[Any]) -> dict[str, Ints]:
        """Return the labels of each output, by name, of scores in the order of the golden model.

        Parameters
        ----------
        scores : array [frames, score_count]
            Scores of the golden model or of hardware.

        Returns
        -------
        dict of str to int64 array
            As `labels` makes them of each output: [frames], or for a map [frames, rows, columns].
        """
        return {o.name: labels(o.of(scores), self.class_axis(o)) for o in self.named}

    @property
    def label_count(self) -> int:
        """Number of classes that labels of the file's first output can be."""
        first = self.named[0]
        axis = self.class_axis(first)
        return 2 if axis is None else first.shape[axis - 1]

    def accuracy(self, scores: NDArray[Any], y: NDArray[Any]) -> float | None:
        """Return the share of labels of the file's first output that are those of `y`.

        Parameters
        ----------
        scores : int64 array [frames, score_count]
            Scores of the golden model or of hardware.
        y : int array [frames]
            Labels.

        Returns
        -------
        float or None
            None if that output has a label for each pixel of a frame.
        """
        found = next(iter(self.labels_of(scores).values()))
        return float((found == y).mean()) if found.shape == y.shape else None

    def evaluate(
        self,
        x: NDArray[Any],
        *,
        edges: int | NDArray[Any] | None = None,
        progress: bool | Count | None = None,
    ) -> dict[str, Ints]:
        """Compute all of the file's outputs with the golden model, by name and in its own shape.

        Parameters and errors are those of calling the network.

        Returns
        -------
        dict of str to int64 array [frames, ...]
            The outputs; the only one of a network without names is `SCORES`.
        """
        # The one import of a higher room: users call a network, and the golden model computes it.
        from xnorflow_sim import golden

        x = arguments.samples(x, "a network")
        with counted(progress, f"golden model of {self.name}") as tick:
            return self.in_file_shape(golden.run(self, x, tick, edges))

    def __call__(
        self,
        x: NDArray[Any],
        *,
        edges: int | NDArray[Any] | None = None,
        progress: bool | Count | None = None,
    ) -> Ints:
        """Compute the golden model's scores, those of the file's first output if it has several.

        Parameters
        ----------
        x : array [frames, ...]
            Samples of the network's kind (`samples`; uint8 by default) in any shape that
            `input_order` can read, such as [frames, height, width, channels] or [frames, n].
        edges : int or int array [frames], optional
            Number of enabled edges of each layer that has several (`Conv.edges`), for all frames or
            for each; all by default.
        progress : bool or callable, optional
            True shows a progress bar; a callable receives the number of frames done and the number
            of all frames.

        Returns
        -------
        int64 array [frames, classes], or [frames, ...] in the file's own shape
            The scores.

        Raises
        ------
        xnorflow.errors.BadInput
            If the type, the shape or a value of `x` does not fit the network, or `edges` not its
            edges.
        """
        return self.evaluate(x, edges=edges, progress=progress)[self.named[0].name]
