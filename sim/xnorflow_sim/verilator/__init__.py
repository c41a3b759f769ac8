"""Compile Verilog with Verilator and run frames through it: text becomes scores and cycles.

May import `xnorflow_sim.interface` and `xnorflow_sim.simulation`.
"""
