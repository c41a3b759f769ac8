"""A simulated board: the Verilog of link and accelerator behind a pseudo-terminal.

May import `verilator` and `xnorflow_sim.interface`.
"""
