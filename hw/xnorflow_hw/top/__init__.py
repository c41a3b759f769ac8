"""Builds an `AcceleratorSpec`: its stages with the streams between them, and the Verilog of that.

May import every room of `xnorflow_hw` but `axi` and `link`.
"""
