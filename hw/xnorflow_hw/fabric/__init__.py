"""Build arithmetic for an FPGA fabric: popcounts, sums and accumulators from its own primitives.

The word fabric stands for the logic cells of a family: the inputs of a LUT and how carries run.
May import `spec` and `base`.
"""
