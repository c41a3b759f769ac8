"""Pictures of the arithmetic: popcount of XNOR, and the threshold that a batch-norm becomes."""

from __future__ import annotations

import numpy as np
from canvas import BLUE, GREEN, GREY, INK, PALE, RED, Canvas


def popcount() -> Canvas:
    """Draw a dot product of eight signs as XNOR and popcount."""
    activations = np.array([1, -1, -1, 1, 1, 1, 1, 1])
    weights = np.array([1, 1, -1, -1, 1, 1, 1, -1])
    agree = (activations == weights).astype(int)
    count = int(agree.sum())
    dot = int(activations @ weights)
    assert dot == 2 * count - len(weights)
    c = Canvas(660, 250, f"Eight signs times eight signs: {count} agree, so the sum is {dot}")
    rows = [
        ("activations", activations, (activations > 0).astype(int)),
        ("weights", weights, (weights > 0).astype(int)),
    ]
    left, size = 120, 48
    for r, (name, signs, bits) in enumerate(rows):
        y = 30 + 60 * r
        c.text(left - 14, y + 26, name, anchor="end")
        for k, (sign, bit) in enumerate(zip(signs, bits, strict=True)):
            c.rect(left + size * k, y, size - 6, 42, fill=PALE if bit else "#fff")
            c.text(left + size * k + 21, y + 19, f"{sign:+d}", size=14, bold=True)
            c.text(left + size * k + 21, y + 36, f"bit {bit}", size=10, colour=GREY)
    c.text(left - 14, 176, "XNOR", anchor="end")
    for k, same in enumerate(agree):
        c.rect(left + size * k, 150, size - 6, 42, fill=GREEN if same else "#fff")
        c.text(left + size * k + 21, 177, same, size=16, bold=True, colour="#fff" if same else INK)
    c.line(left + size * 8, 171, left + size * 8 + 34, 171, arrow=True)
    c.text(left + size * 8 + 88, 166, f"popcount = {count}", bold=True, colour=GREEN)
    c.text(left + size * 8 + 88, 186, f"sum = 2 x {count} - 8 = {dot:+d}", size=12)
    said = "Products of signs need no multiplier: equal bits give +1, others -1."
    c.text(left, 228, said, anchor="start", size=12, colour=GREY)
    return c


def thresholds() -> Canvas:
    """Draw how batch-norm and sign become one comparison with an integer."""
    gamma, beta, mean, deviation = np.float32([0.8, -0.2, 1.7, 4.0])
    sums = np.arange(-8, 9, 2)
    values = gamma * (sums.astype(np.float32) - mean) / deviation + beta
    least = int(sums[values >= 0][0])
    c = Canvas(660, 300, f"The batch-norm's value is at least 0 from a sum of {least} on")
    left, top, step, scale = 70, 130, 32, 34

    def x(s: float) -> float:
        return left + step * (s + 8)

    c.line(x(-8.5), top, x(9.2), top, arrow=True)
    c.text(x(9.2), top + 34, "sum", anchor="end")
    c.text(left - 40, 24, "batch-norm of the sum, in float32", anchor="start", colour=BLUE)
    for s, v in zip(sums, values, strict=True):
        up = v >= 0
        c.line(x(s), top, x(s), top - scale * float(round(float(v), 3)), colour=BLUE, thick=3)
        c.text(x(s), top + 18 if up else top - 8, s, size=12)
        c.rect(x(s) - 14, 210, 28, 28, fill=GREEN if up else "#fff")
        c.text(x(s), 229, "+1" if up else "-1", colour="#fff" if up else INK, size=12)
    c.text(x(9.4), 229, "sign", anchor="start")
    cut = x(least) - step
    c.line(cut, 40, cut, 255, colour=RED, thick=2, dashed=True)
    c.text(cut, 275, f"one comparison: sum >= {least}", colour=RED, bold=True)
    said = f"gamma {gamma:g}, beta {beta:g}, mean {mean:g}, deviation {deviation:g};"
    c.text(left - 40, 44, said, anchor="start", size=12, colour=GREY)
    said = "evaluated at every sum that can occur"
    c.text(left - 40, 62, said, anchor="start", size=12, colour=GREY)
    return c
