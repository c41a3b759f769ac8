"""Builds stages: a `StageSpec` becomes a feature buffer, an array, tails and an output queue.

May import `array`, `memory`, `spec` and `base`.
"""
