"""Small parts that every room uses: counters of nested loops, delay lines, CRC, Verilog names.

Imports nothing of the project.
"""
