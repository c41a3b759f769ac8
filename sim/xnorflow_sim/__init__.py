"""Simulation: the golden model, and everything that holds generated Verilog to it.

`golden` is the specification in NumPy. Rooms: `verilator` (compiled models and frames through
them), `bench` (cocotb testbenches), `board` (a simulated board behind a pseudo-terminal).
"""
