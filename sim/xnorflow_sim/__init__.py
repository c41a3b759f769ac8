"""Golden model, Verilator runner and cocotb testbenches."""
