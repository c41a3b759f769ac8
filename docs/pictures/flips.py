"""Plot of accuracy against flipped weight bits, from the figures that the benchmark has written."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, Canvas

FIGURES = Path(__file__).with_name("flipped_bits.json")
COLOURS = {
    "bnn": BLUE,
    "true-north-ensemble": ORANGE,
    "committee": GREEN,
    "committee-plain": RED,
}
WIDE, HIGH, LEFT, TOP = 520, 300, 60, 50
"""Size of the plotted area and its corner, pixels."""
STEP, APART = 16, 3
"""Least distance of two labels, and of the lines to the worst draws, pixels."""


def flipped_bits() -> Canvas:
    """Draw the mean accuracy of four networks, and the worst of the draws below each point."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    shares, networks = kept["shares"], kept["networks"]
    title = "Images right against the share of flipped weight bits"
    c = Canvas(LEFT + WIDE + 190, TOP + HIGH + 78, title)

    def x(share: float) -> float:
        return round(LEFT + WIDE * share / max(shares), 1)

    def y(percent: float) -> float:
        return round(TOP + HIGH * (1 - percent / 100), 1)

    c.text(LEFT, 24, f"{title}, percent of {kept['images']} digits", anchor="start", bold=True)
    for percent in range(0, 101, 20):
        c.line(LEFT, y(percent), LEFT + WIDE, y(percent), colour=PALE)
        c.text(LEFT - 8, y(percent) + 4, percent, size=11, anchor="end", colour=GREY)
    for share in shares:
        c.line(x(share), y(0), x(share), y(0) + 5, colour=GREY)
        c.text(x(share), y(0) + 20, f"{share:.0%}", size=11, colour=GREY)
    c.line(LEFT, y(0), LEFT + WIDE, y(0))
    c.line(LEFT, y(10), LEFT + WIDE, y(10), colour=GREY, dashed=True)
    c.text(LEFT + 6, y(10) - 5, "a guess among 10 classes", size=11, anchor="start", colour=GREY)
    for k, name in enumerate(COLOURS):
        colour, mean, worst = COLOURS[name], networks[name]["mean"], networks[name]["worst"]
        points = [(x(s), y(m)) for s, m in zip(shares, mean, strict=True)]
        for (x1, y1), (x2, y2) in pairwise(points):
            c.line(x1, y1, x2, y2, colour=colour, thick=2)
        side = APART * (k - (len(COLOURS) - 1) / 2)
        for (across, down), low in zip(points, worst, strict=True):
            c.line(across + side, down, across + side, y(low), colour=colour)
            c.rect(across - 2.5, down - 2.5, 5, 5, fill=colour, line=colour)
    below = -float(STEP)
    for name in sorted(COLOURS, key=lambda name: -networks[name]["mean"][-1]):
        below = max(y(networks[name]["mean"][-1]) + 4, below + STEP)
        words = f"{name} {networks[name]['mean'][-1]:.1f}"
        c.text(LEFT + WIDE + 14, below, words, size=12, anchor="start", colour=COLOURS[name])
    said = f"Mean of {kept['draws']} draws; a thin line goes down to the worst of them."
    c.text(LEFT, y(0) + 52, said, anchor="start", size=12, colour=INK)
    return c
