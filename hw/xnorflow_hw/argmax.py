"""Arg-max: the class with the highest score, for designs that need no scores."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray


class ArgMax(wiring.Component):
    """Give the number of the highest score of each frame, the lowest number among equals.

    Parameters
    ----------
    classes : int
        Scores per frame, at least 1.
    lanes, bits : int
        Scores per beat, and bits of a score. Lanes past the last class are not looked at.
    is_signed : bool
        Whether scores are two's complement.

    Members
    -------
    i : In(stream)
        Scores, lane 0 lowest; a frame takes ``ceil(classes / lanes)`` beats.
    o : Out(stream)
        The class, one beat per frame, one cycle after the frame's last score was accepted.

    Attributes
    ----------
    latency : int
        1.
    """

    latency = 1

    def __init__(self, *, classes: int, lanes: int, bits: int, is_signed: bool = True) -> None:
        for name, value in {"classes": classes, "lanes": lanes, "bits": bits}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}; it has to be positive")
        self.classes, self.lanes, self.bits, self.is_signed = classes, lanes, bits, is_signed
        self.beats = ceil(classes / lanes)
        super().__init__({
            "i": In(stream.Signature(lanes * bits)),
            "o": Out(stream.Signature(max(1, (classes - 1).bit_length()))),
        })

    def model(self, scores: NDArray[Any]) -> NDArray[np.int64]:
        """Give the classes, int64 [frames], of scores [frames, classes]."""
        return np.asarray(scores).argmax(axis=1).astype(np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Compare the lanes of a beat in turn with the best so far."""
        m = Module()
        shape = signed(self.bits) if self.is_signed else unsigned(self.bits)
        beat = Signal(range(max(2, self.beats)))
        best, number = Signal(shape), Signal(len(self.o.payload))
        score, winner = best, number
        for lane in range(self.lanes):
            new = Signal(shape, name=f"score_{lane}")
            m.d.comb += new.eq(self.i.payload.word_select(lane, self.bits))
            better, present = Signal(name=f"better_{lane}"), Signal(name=f"present_{lane}")
            index = Signal(range(self.beats * self.lanes + 1), name=f"class_{lane}")
            m.d.comb += [
                index.eq(beat * self.lanes + lane), present.eq(index < self.classes),
                better.eq(present & ((new > score) | ((beat == 0) if lane == 0 else 0))),
            ]
            after, winning = Signal(shape, name=f"best_{lane}"), Signal.like(
                number, name=f"winner_{lane}"
            )
            m.d.comb += [after.eq(Mux(better, new, score)), winning.eq(Mux(better, index, winner))]
            score, winner = after, winning
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [best.eq(score), number.eq(winner), beat.eq(beat + 1)]
            with m.If(beat == self.beats - 1):
                m.d.sync += [beat.eq(0), self.o.valid.eq(1), self.o.payload.eq(winner)]
        return m
