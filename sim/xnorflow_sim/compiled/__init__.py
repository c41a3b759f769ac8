"""The golden model's fast twin: layers on packed bits, in C++ that is compiled once per machine.

`golden` stays the specification; it chooses this room, and holds its first frames to NumPy.
`step_table` turns parts of a network into tables of steps, `kernels.cpp` executes any such table,
and `kernel_library` compiles and loads it. May import `xnorflow.ir`, `xnorflow.errors`
and, for the compiler and its cache, `xnorflow_sim.verilator`.
"""
