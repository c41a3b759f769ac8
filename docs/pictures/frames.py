"""Pictures of the whole: the way of a network, and frames in the pipeline cycle by cycle."""

from __future__ import annotations

from canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, Canvas
from engine import BOARD

import xnorflow as xf
from xnorflow import demo
from xnorflow.schedule.flow import Flow

FRAMES = 3


def way() -> Canvas:
    """Draw the way of a network, and what checks each step."""
    steps = [
        ("ONNX file", "trained network", "its own framework", "float32"),
        ("integer network", "thresholds, alphabets", "golden model", "every score equal"),
        ("design", "PE, SIMD, memories", "cycle model", "II, latency to the cycle"),
        ("Verilog", "one file, ROM images", "Verilator, cocotb", "0 mismatches"),
        ("bitstream", "placed and routed", "netlist, link", "clock met"),
    ]
    names = ("import", "fold", "emit", "build")
    c = Canvas(940, 190, "ONNX file, integer network, design, Verilog, bitstream: each is checked")
    width, gap, y = 140, 50, 30
    for k, (name, what, check, result) in enumerate(steps):
        x = 20 + k * (width + gap)
        c.rect(x, y, width, 56, fill=PALE, round=6)
        c.text(x + width / 2, y + 24, name, bold=True)
        c.text(x + width / 2, y + 43, what, size=11, colour=GREY)
        c.line(x + width / 2, y + 88, x + width / 2, y + 60, arrow=True, colour=GREEN)
        c.rect(x, y + 90, width, 50, line=GREEN, round=6)
        c.text(x + width / 2, y + 110, check, size=11, colour=GREEN, bold=True)
        c.text(x + width / 2, y + 128, result, size=11)
        if k:
            c.line(x - gap + 3, y + 28, x - 3, y + 28, arrow=True, thick=1.5)
            c.text(x - gap / 2, y + 18, names[k - 1], size=10)
    return c


def interval() -> Canvas:
    """Draw when the stages of the demo's design work on three frames, from the exact schedule."""
    design = xf.compile(xf.load(demo.model_path()), board=BOARD, cycles=1152)
    spec = design.spec
    flow = Flow(spec, FRAMES)
    flow.solve()
    # When each stage takes the first beat of a frame, and when its last result is taken.
    begins, ends = [], []
    for k in range(len(spec.stages)):
        into = flow.taken(k).reshape(FRAMES, -1)
        out = (flow.taken(k + 1) if k + 1 < len(spec.stages) else flow.sent).reshape(FRAMES, -1)
        begins.append(into[:, 0])
        ends.append(out[:, -1])
    last = int(flow.sent[-1])
    c = Canvas(760, 300, f"Frames enter every {design.ii} cycles and take {design.latency}")
    left, width, top, high = 80, 640, 34, 34

    def x(cycle: float) -> float:
        return left + width * cycle / last

    tints = (ORANGE, BLUE, GREEN)
    for k, part in enumerate(design.parts):
        y = top + high * k
        c.text(left - 10, y + 19, part.name, anchor="end")
        for frame in range(FRAMES):
            start, end = x(int(begins[k][frame])), x(int(ends[k][frame]))
            tall = (high - 8) / FRAMES
            c.rect(start, y + tall * frame, end - start, tall, fill=tints[frame], line="#fff")
    bottom = top + high * len(design.parts) + 6
    for frame in range(FRAMES):
        end = x(int(ends[-1][frame]))
        c.line(end, top - 8, end, bottom + 24, colour=tints[frame], dashed=True)
        c.text(end, top - 14, f"frame {frame} is done", size=11, colour=tints[frame], anchor="end")
    a, b = (x(int(ends[-1][frame])) for frame in (1, 2))
    c.line(a, bottom + 16, b, bottom + 16, thick=2, arrow=True)
    c.text((a + b) / 2, bottom + 36, f"II {design.ii:,} cycles", bold=True)
    c.line(x(0), bottom + 16, x(design.latency), bottom + 16, thick=2, arrow=True)
    c.text(x(design.latency / 2), bottom + 36, f"latency {design.latency:,} cycles", bold=True)
    said = "The demo's network, from the exact cycle model; simulation gives the same cycles."
    c.text(left, bottom + 66, said, anchor="start", size=12, colour=INK)
    return c
