"""Estimate what a design takes of an FPGA: a spec becomes LUTs, flip-flops and block RAM.

LUTs and flip-flops are linear models fitted to synthesis (`coefficients`), block RAM is counted.
May import `plan`, `storage`, `devices` and `ir`.
"""
