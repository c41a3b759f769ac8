"""Builds an `AcceleratorSpec`: the chain of its stages, and the Verilog of that.

May import every room of `xnorflow_hw` but `axi` and `link`.
"""
