"""Testbenches in cocotb, which drive an accelerator or its AXI core and check every beat.

May import `verilator`, `xnorflow_sim.interface` and the register map of `xnorflow_hw.axi`.
"""
