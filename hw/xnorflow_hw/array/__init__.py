"""Builds a stage's arithmetic: sums, maxima or products of a window, then thresholds or scores.

`factory` turns an `ArraySpec` and its `TailSpec`s into components. May import `fabric`, `memory`,
`spec` and `base`.
"""
