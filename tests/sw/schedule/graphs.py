"""Draw accelerators whose streams fork and join; what they compute does not matter here."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from hypothesis import strategies as st

from xnorflow_hw import spec
from xnorflow_hw.spec.arrays import JoinedOp
from xnorflow_hw.spec.joining import Fill


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

    def __init__(self, draw: st.DrawFn) -> None:
        """Draw the input."""
        self.draw = draw
        height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
        channels = draw(st.integers(1, 4))
        self.parts = [Part(0, height, width, channels, draw(st.integers(1, channels)))]
        self.stages: list[spec.StageSpec] = []
        self.streams: list[spec.StreamSpec] = []
        self.read: set[int] = set()

    def reader(self, part: Part, port: int, lanes: int, *, flat: bool = False) -> None:
        """Add a stream to the next stage."""
        self.read.add(part.source)
        group = part.height * part.width * part.channels if flat else part.channels
        box = spec.GearboxSpec(1, part.channels, part.lanes, group, lanes)
        queue = self.draw(st.sampled_from([0, 0, 1, 2, 3, 5, 9, 20, 50, 100]))
        self.streams.append(spec.StreamSpec(part.source, len(self.stages), box, port, queue))

    def stage(
        self, front: spec.FrontSpec, array: spec.ArraySpec, shape: tuple[int, int, int]
    ) -> None:
        """Add a stage that makes a map of a shape."""
        name = f"part{len(self.stages)}"
        depth = self.draw(st.integers(1, 6))
        self.stages.append(spec.StageSpec(name, front, array, (), shape[2], depth))
        self.parts.append(Part(len(self.stages), *shape, array.lanes_out))

    def window(self, part: Part, kernel: tuple[int, int] | None = None) -> None:
        """Add a pool: of the map's own size, or over the whole map."""
        lanes = self.draw(st.integers(1, part.channels))
        pads = (0, 0, 0, 0)
        if kernel is None:
            kernel, pads = self.draw(
                st.sampled_from([((1, 1), (0, 0, 0, 0)), ((3, 3), (1, 1, 1, 1))])
            )
        words = ceil(part.channels / lanes)
        front = spec.BufferSpec(
            word_bits=lanes,
            words=words,
            height=part.height,
            width=part.width,
            kernel=kernel,
            stride=(1, 1),
            dilation=(1, 1),
            pads=pads,
            pad_word=0,
            pad_word_last=0,
            repeat=words,
            groups=words,
            classes=False,
            depth=1,
        )
        depth = front.minimum_depth + self.draw(st.integers(0, 12))
        front = spec.BufferSpec(**{**vars(front), "depth": depth})
        self.reader(part, 0, lanes)
        self.stage(front, spec.SumSpec(lanes, 1, 1), (*front.output, part.channels))

    def stretch(self, part: Part) -> None:
        """Add a stage that makes a larger or smaller map."""
        small = st.integers(0, 1)
        fill: Fill = self.draw(st.sampled_from(["repeat", "zeros", "blocks"]))
        factors = self.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        crop = self.draw(st.tuples(small, small, small, small))
        channels, lanes = part.channels, self.draw(st.integers(1, part.channels))
        cell = factors[0] * factors[1]
        if fill == "blocks":
            channels //= cell
            if not channels or part.channels % cell:
                return
            lanes = self.draw(st.sampled_from(list(range(1, channels + 1))))
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
        depth = front.minimum_depth + self.draw(st.integers(0, 5))
        front = spec.StretchSpec(**{**vars(front), "depth": depth})
        self.reader(part, 0, lanes)
        array = joined("copy", lanes, (False,))
        self.stage(front, array, (*front.output, channels))

    def join(self, parts: list[Part]) -> None:
        """Add a stage that takes the beats of several parts together."""
        most = max(parts, key=lambda p: (p.height * p.width, p.channels))
        lanes = self.draw(st.integers(1, most.channels))
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
            lanes = self.draw(st.integers(1, parts[0].channels))
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
        while len(self.parts) - len(self.read) > 1 or self.parts[-1].source in self.read:
            loose = [p for p in self.parts if p.source not in self.read]
            larger = [p for p in loose if p.height * p.width > 1]
            if larger:
                self.window(larger[0], (larger[0].height, larger[0].width))
            else:
                self.concat(loose)
        (last,) = [p for p in self.parts if p.source not in self.read]
        assert last is self.parts[-1]
        classes = last.height * last.width * last.channels
        out_lanes = self.draw(st.integers(1, classes))
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
def accelerators(draw: st.DrawFn) -> spec.AcceleratorSpec:
    """Draw an accelerator with 1 to 5 stages before its end; its queues may be too short."""
    drawing = Drawing(draw)
    for _ in range(draw(st.integers(1, 5))):
        part = draw(st.sampled_from(drawing.parts))
        size = (part.height, part.width)
        alike = [p for p in drawing.parts if (p.height, p.width) == size]
        kind = draw(st.sampled_from(["window", "whole", "stretch", "join", "concat", "rows"]))
        several = st.lists(st.sampled_from(drawing.parts), min_size=1, max_size=2)
        match kind:
            case "window":
                drawing.window(part)
            case "whole":
                drawing.window(part, size)
            case "stretch":
                drawing.stretch(part)
            case "join":
                drawing.join([part, *draw(several)])
            case "concat":
                drawing.concat([part, *draw(st.lists(st.sampled_from(alike), max_size=2))])
            case "rows":
                drawing.concat([part, *draw(several)], rows=True)
    return drawing.finished()
