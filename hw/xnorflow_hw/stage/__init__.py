"""Builds stages: a `StageSpec` becomes a buffer or a join, an array, tails and an output queue.

May import `array`, `memory`, `spec` and `base`.
"""
