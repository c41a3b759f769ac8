"""Simulation: the golden model, and everything that compares generated Verilog with it.

`golden` is the specification in NumPy; it imports `xnorflow.ir` and NumPy only. `interface`
describes the ports of a design, `simulation` what a run found, and `locate` finds the first wrong
feature. Rooms: `verilator` compiles a design and sends frames through it, `bench` has the cocotb
testbenches, and `board` is a simulated board behind a pseudo-terminal.
"""
