"""Build a stage: a `StageSpec` becomes feature buffer, array, tails and output queue.

May import `array`, `memory`, `spec` and `base`.
"""
