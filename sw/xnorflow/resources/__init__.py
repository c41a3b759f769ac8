"""Estimate the LUTs, flip-flops and block RAM that a design takes of an FPGA.

LUTs and flip-flops come from linear models fitted to synthesis (`coefficients`); block RAM is
counted exactly.

May import `plan`, `storage`, `devices`, `ir`, and of `xnorflow_hw` the specifications and the
components that choose their own form.
"""
