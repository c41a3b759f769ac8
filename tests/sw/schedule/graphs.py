"""Draw accelerators whose streams fork and join; what they compute does not matter here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from hypothesis import strategies as st

from xnorflow_hw import spec
from xnorflow_hw.spec.arrays import JoinedOp
from xnorflow_hw.spec.joining import Fill

FORKS = 4
"""Most readers of a part."""


@dataclass(frozen=True)
class Part:
    """What sends a map: its number among the sources, the map's shape, and lanes per beat."""

    source: int
    height: int
    width: int
    channels: int
    lanes: int


class Drawing:
    """An accelerator while its parts are drawn."""

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        """Draw the input; `integer` draws an integer between two, which are possible, too."""
        self.integer = integer
        height, width, channels = integer(1, 5), integer(1, 5), integer(1, 4)
        self.parts = [Part(0, height, width, channels, integer(1, channels))]
        self.stages: list[spec.StageSpec] = []
        self.streams: list[spec.StreamSpec] = []
        self.readers: Counter[int] = Counter()
        """How many streams have each source."""

    def one_of(self, among: Sequence[Any]) -> Any:
        """Draw an element."""
        return among[self.integer(0, len(among) - 1)]

    def several(self, count: int, low: int, high: int) -> tuple[int, ...]:
        """Draw so many integers."""
        return tuple(self.integer(low, high) for _ in range(count))

    def loose(self) -> list[Part]:
        """Return what nothing reads."""
        return [p for p in self.parts if p.source not in self.readers]

    def part(self, among: list[Part], also: Sequence[Part] = ()) -> Part | None:
        """Draw a part that can have another reader, often the last or a loose one.

        Those in `also` are about to be read.
        """
        count = self.readers + Counter(p.source for p in also)
        free = [p for p in among if count[p.source] < FORKS]
        if not free:
            return None
        loose = [p for p in free if p.source not in self.readers]
        kind = self.one_of(["last", "loose", "any", "any"])
        if kind == "last":
            return free[-1]
        return self.one_of(loose if loose and kind == "loose" else free)

    def reader(self, part: Part, port: int, lanes: int, *, flat: bool = False) -> None:
        """Add a stream to the next stage."""
        self.readers[part.source] += 1
        group = part.height * part.width * part.channels if flat else part.channels
        box = spec.GearboxSpec(1, part.channels, part.lanes, group, lanes)
        queue = self.one_of([0, 0, 1, 2, 3, 5, 9, 20, 50, 100])
        self.streams.append(spec.StreamSpec(part.source, len(self.stages), box, port, queue))

    def stage(
        self, front: spec.FrontSpec, array: spec.ArraySpec, shape: tuple[int, int, int]
    ) -> None:
        """Add a stage that makes a map of a shape."""
        name = f"part{len(self.stages)}"
        depth = self.integer(1, 6)
        rows = front.repeat if isinstance(front, spec.BufferSpec) else front.rows
        # Tables of one cycle each, so that ways differ in length.
        tail = spec.TableSpec(np.zeros((rows, array.lanes_out, 2), np.int64), 1)
        tails = (tail,) * self.one_of([0, 0, 0, 1, 2, 5, 9])
        self.stages.append(spec.StageSpec(name, front, array, tails, shape[2], depth))
        self.parts.append(Part(len(self.stages), *shape, array.lanes_out))

    def window(self, part: Part, kernel: tuple[int, int] | None = None) -> None:
        """Add a pool over windows, or over the whole map."""
        lanes = self.integer(1, part.channels)
        pads, stride, dilation = (0, 0, 0, 0), (1, 1), (1, 1)
        size = (part.height, part.width)
        if kernel is None:
            kernel, pads = self.one_of([((1, 1), (0, 0, 0, 0)), ((3, 3), (1, 1, 1, 1))])
            if self.integer(0, 3) == 0:
                stride = self.several(2, 1, 2)
                if min(size) >= 3:
                    dilation, kernel = self.several(2, 1, 2), self.several(2, 1, 2)
                    pads = self.several(4, 0, 1)
        words = ceil(part.channels / lanes)
        front = spec.BufferSpec(
            word_bits=lanes,
            words=words,
            height=part.height,
            width=part.width,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            pads=pads,
            pad_word=0,
            pad_word_last=0,
            repeat=words,
            groups=words,
            classes=False,
            depth=1,
        )
        depth = front.minimum_depth + self.integer(0, 12)
        front = spec.BufferSpec(**{**vars(front), "depth": depth})
        self.reader(part, 0, lanes)
        self.stage(front, spec.SumSpec(lanes, 1, 1), (*front.output, part.channels))

    def stretch(self, part: Part) -> None:
        """Add a stage that makes a larger or smaller map."""
        fill: Fill = self.one_of(["repeat", "zeros", "blocks"])
        factors, crop = self.several(2, 1, 2), self.several(4, 0, 1)
        channels, lanes = part.channels, self.integer(1, part.channels)
        cell = factors[0] * factors[1]
        if fill == "blocks":
            channels //= cell
            if not channels or part.channels % cell:
                return
            lanes = self.one_of(list(range(1, channels + 1)))
            lanes = lanes if channels % lanes == 0 else 1
        height, width = part.height * factors[0], part.width * factors[1]
        if height <= crop[0] + crop[2] or width <= crop[1] + crop[3]:
            return
        words = ceil(part.channels / lanes)
        front = spec.StretchSpec(
            lanes, words, part.height, part.width, factors, fill, crop, 0, 0, 1
        )
        if not (front.reads() >= 0).any():
            return
        depth = front.minimum_depth + self.integer(0, 5)
        front = spec.StretchSpec(**{**vars(front), "depth": depth})
        self.reader(part, 0, lanes)
        array = joined("copy", lanes, (False,))
        self.stage(front, array, (*front.output, channels))

    def join(self, parts: list[Part]) -> None:
        """Add a stage that takes the beats of several parts together."""
        most = max(parts, key=lambda p: (p.height * p.width, p.channels))
        lanes = self.integer(1, most.channels)
        words, ports = ceil(most.channels / lanes), []
        for part in parts:
            if (part.height, part.width, part.channels) == (
                most.height,
                most.width,
                most.channels,
            ):
                port = spec.PortSpec(1, lanes, words)
            elif (part.height, part.width) == (most.height, most.width) and part.channels == 1:
                port = spec.PortSpec(1, 1, 1, "pixel")
            elif (part.height, part.width) == (1, 1) and part.channels == most.channels:
                port = spec.PortSpec(1, lanes, words, "frame")
            elif (part.height, part.width, part.channels) == (1, 1, 1):
                port = spec.PortSpec(1, 1, 1, "frame")
            else:
                continue
            self.reader(part, len(ports), port.lanes)
            ports.append(port)
        front = spec.JoinSpec(tuple(ports), most.height, most.width, words)
        array = joined("sum", lanes, tuple(port.lanes != lanes for port in ports))
        self.stage(front, array, (most.height, most.width, most.channels))

    def concat(self, parts: list[Part], *, rows: bool = False) -> None:
        """Add a stage that takes the beats of several parts in turn, channels or rows."""
        if rows:
            parts = [
                p for p in parts if (p.width, p.channels) == (parts[0].width, parts[0].channels)
            ]
        else:
            parts = [p for p in parts if (p.height, p.width) == (parts[0].height, parts[0].width)]
        if rows:
            lanes = self.integer(1, parts[0].channels)
        else:
            lanes = int(np.gcd.reduce([p.channels for p in parts]))
        turns, ports = [], []
        for port, part in enumerate(parts):
            words = ceil(part.channels / lanes)
            self.reader(part, port, lanes)
            ports.append(spec.PortSpec(1, lanes, words))
            turns.append(words * (part.height * part.width if rows else 1))
        first = parts[0]
        channels = first.channels if rows else sum(p.channels for p in parts)
        height = sum(p.height for p in parts) if rows else first.height
        words = ceil(channels / lanes)
        front = spec.JoinSpec(tuple(ports), height, first.width, words, tuple(turns))
        array = joined("copy", lanes, (False,) * len(ports))
        self.stage(front, array, (height, first.width, channels))

    def finished(self) -> spec.AcceleratorSpec:
        """Reduce what nothing reads to a pixel, put it side by side, and send it."""
        while len(loose := self.loose()) > 1 or loose != self.parts[-1:]:
            larger = [p for p in loose if p.height * p.width > 1]
            if larger:
                self.window(larger[0], (larger[0].height, larger[0].width))
            else:
                self.concat(loose)
        (last,) = loose
        classes = last.height * last.width * last.channels
        out_lanes = self.integer(1, classes)
        box = spec.GearboxSpec(1, last.channels, last.lanes, classes, out_lanes)
        first = self.parts[0]
        frame = first.height * first.width * first.channels
        table = np.zeros((1, 256), np.int64)
        return spec.AcceleratorSpec(
            "drawn",
            spec.InputSpec(first.lanes, 1, table, first.channels, frame),
            tuple(self.stages),
            (*self.streams, spec.StreamSpec(last.source, len(self.stages), box)),
            classes,
            out_lanes,
            8,
            False,
        )


def joined(op: JoinedOp, lanes: int, held: tuple[bool, ...]) -> spec.JoinedSpec:
    """Return an array of joined lanes that makes codes of 0."""
    zeros = np.zeros((1, len(held), lanes), np.int64)
    return spec.JoinedSpec(op, (1,) * len(held), zeros, zeros, 1, held)


@st.composite
def accelerators(draw: st.DrawFn, *, most: int = 8) -> spec.AcceleratorSpec:
    """Draw an accelerator with Hypothesis; see `accelerator`."""
    return accelerator(lambda low, high: draw(st.integers(low, high)), most)


def accelerator(integer: Callable[[int, int], int], most: int) -> spec.AcceleratorSpec:
    """Draw an accelerator that may fork and join; its queues may be too short.

    Parameters
    ----------
    integer : callable
        Draws an integer between two, which are possible, too.
    most : int
        Largest number of stages.
    """
    drawing = Drawing(integer)
    wanted = integer(1, most)
    # Each loose end takes a stage at the end, and another one joins them.
    while not drawing.stages or len(drawing.stages) + len(drawing.loose()) + 1 < wanted:
        kind = drawing.one_of(["window", "window", "whole", "stretch", "join", "concat", "rows"])
        part = drawing.part(drawing.parts)
        assert part is not None
        size = (part.height, part.width)
        alike = [p for p in drawing.parts if (p.height, p.width) == size]
        read = [part]
        if kind in ("join", "concat", "rows"):
            for _ in range(integer(kind != "concat", 3)):
                other = drawing.part(alike if kind == "concat" else drawing.parts, read)
                read += [other] if other else []
        match kind:
            case "window":
                drawing.window(part)
            case "whole":
                drawing.window(part, size)
            case "stretch":
                drawing.stretch(part)
            case "join":
                drawing.join(read)
            case "concat" | "rows":
                drawing.concat(read, rows=kind == "rows")
    return drawing.finished()
