"""Builds arithmetic for an FPGA fabric: popcounts, sums and accumulators from its own primitives.

A fabric is the logic cells of a family: how many inputs its LUTs have and how its carries run. May
import `spec` and `base`.
"""
