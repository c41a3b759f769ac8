"""Verilog, compiled with Verilator, and frames sent through it: text becomes scores and cycles.

May import `xnorflow_sim.interface` and `xnorflow_sim.simulation`.
"""
