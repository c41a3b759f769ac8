"""Testbenches in cocotb: an accelerator, or its AXI core, is driven and every beat is checked.

May import `verilator`, `xnorflow_sim.interface` and the register map of `xnorflow_hw.axi`.
"""
