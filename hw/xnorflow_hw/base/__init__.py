"""Small parts for every room: counters of nested loops, delay lines, CRC, Verilog names.

Imports nothing of the project.
"""
