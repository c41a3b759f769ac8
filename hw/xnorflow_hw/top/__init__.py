"""Build the accelerator: an `AcceleratorSpec` becomes a chain of stages, and that becomes Verilog.

May import every room of `xnorflow_hw` but `axi` and `link`.
"""
