"""Pictures of an engine: PE and SIMD, folding, and the line buffer."""

from __future__ import annotations

from canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, Canvas

import xnorflow as xf
from xnorflow import demo, ir

BOARD = "ulx3s-25f"
"""Board of the demo, so that its figures are those that the demo prints."""


def pe_simd() -> Canvas:
    """Draw which weights an engine of 2 PE and 4 SIMD reads in which cycle."""
    outputs, inputs, pe, simd = 6, 12, 2, 4
    down, across = -(-outputs // pe), -(-inputs // simd)
    c = Canvas(660, 300, f"A {outputs} x {inputs} layer takes {down * across} cycles")
    left, top, size = 150, 50, 34
    tints = ("#ffffff", PALE)
    for row in range(outputs):
        for column in range(inputs):
            tile = row // pe * across + column // simd
            fill = ORANGE if tile == 0 else tints[(row // pe + column // simd) % 2]
            c.rect(left + size * column, top + size * row, size, size, fill=fill, line=GREY)
    for tile in range(down * across):
        x = left + size * simd * (tile % across) + size * simd / 2
        y = top + size * pe * (tile // across) + size * pe / 2
        fill = ORANGE if tile == 0 else tints[(tile // across + tile % across) % 2]
        colour = "#fff" if tile == 0 else INK
        c.text(x, y + 5, f"cycle {tile}", bold=True, colour=colour, halo=fill)
    for row in range(down + 1):
        c.line(left, top + size * pe * row, left + size * inputs, top + size * pe * row, thick=2)
    for column in range(across + 1):
        x = left + size * simd * column
        c.line(x, top, x, top + size * outputs, thick=2)
    c.text(left + size * inputs / 2, 32, f"{inputs} inputs, SIMD = {simd} at a time")
    c.text(left - 12, top + size * outputs / 2 - 8, f"{outputs} outputs,", anchor="end")
    c.text(left - 12, top + size * outputs / 2 + 10, f"PE = {pe} at a time", anchor="end")
    said = f"{pe} x {simd} = {pe * simd} lanes work in each of {down} x {across} ="
    said += f" {down * across} cycles"
    c.text(left + size * inputs / 2, 286, said, size=12, colour=GREY)
    return c


def folding() -> Canvas:
    """Draw the cycles per layer of the demo's network in two foldings."""
    net = xf.load(demo.model_path())
    designs = [xf.compile(net, board=BOARD, cycles=cycles) for cycles in (9216, 1152)]
    c = Canvas(660, 330, "Cycles per frame of each layer in two foldings of the demo's network")
    left, width, most = 190, 380, max(d.ii for d in designs)
    y = 18
    for design, colour in zip(designs, (BLUE, GREEN), strict=True):
        arrays = [isinstance(part.layer, ir.Conv) for part in design.parts]
        lanes = sum(f.pe * f.simd for f, array in zip(design.folds, arrays, strict=True) if array)
        c.text(10, y + 8, f"II {design.ii:,} cycles, {lanes} lanes", anchor="start", bold=True)
        y += 18
        entries = zip(design.parts, design.folds, design.spec.stages, arrays, strict=True)
        for part, fold, stage, array in entries:
            long = width * stage.buffer.cycles / most
            width_of = f"{fold.pe} x {fold.simd}" if array else f"{fold.pe} at once"
            slowest = stage.buffer.cycles == design.ii
            c.text(left - 10, y + 15, f"{part.name}, {width_of}", anchor="end", size=12)
            c.rect(left, y + 2, long, 17, fill=colour if slowest else PALE, line=colour)
            c.text(left + long + 8, y + 15, f"{stage.buffer.cycles:,}", anchor="start", size=12)
            y += 23
        y += 18
    said = "PE x SIMD per layer; filled: the busiest, which set the interval"
    c.text(left, y, said, anchor="start", size=12, colour=GREY)
    return c


def line_buffer() -> Canvas:
    """Draw what a line buffer holds of a frame that comes pixel by pixel."""
    side, kernel, row, column = 8, 3, 4, 5
    newest = row * side + column
    oldest = (row - kernel + 1) * side + column - kernel + 1
    held = newest - oldest + 1
    c = Canvas(680, 330, f"A window of 3 x 3 in a row of 8 pixels: {held} pixels are held")
    left, top, size = 40, 24, 34
    for k in range(side * side):
        x, y = left + size * (k % side), top + size * (k // side)
        inside = row - kernel < k // side <= row and column - kernel < k % side <= column
        shown = oldest <= k <= newest
        fill = BLUE if shown else PALE if k < oldest else "#fff"
        c.rect(x, y, size, size, fill=ORANGE if inside else fill, line=GREY)
        c.text(x + size / 2, y + 22, k, size=11, colour="#fff" if shown else GREY)
    right = left + size * side + 40
    keys = [
        (ORANGE, "the window that the array reads"),
        (BLUE, "kept for windows to come"),
        (PALE, "no longer needed: its place is free"),
        ("#fff", "not there yet"),
    ]
    for k, (fill, words) in enumerate(keys):
        c.rect(right, top + 34 * k, 22, 22, fill=fill, line=GREY)
        c.text(right + 34, top + 34 * k + 16, words, anchor="start")
    said = f"{kernel - 1} rows and {kernel} pixels: {held} of {side * side} pixels"
    c.text(right, 200, said, anchor="start", bold=True)
    c.text(right, 222, "are enough, whatever the height of the frame.", anchor="start")
    said = f"Pixel {newest} has just come; {newest + 1} is next."
    c.text(right, 256, said, anchor="start", size=12, colour=GREY)
    return c
