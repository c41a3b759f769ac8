"""The hardware library: Amaranth components of the streaming XNOR-popcount accelerator.

Rooms, from the whole to its parts: `top` (the accelerator and its Verilog), `stage` (one layer),
`array` (its arithmetic), `stream` (what stands between stages), `memory`, `fabric` (arithmetic
placed for an FPGA family), `axi` and `link` (ways to a host), `spec` (plain descriptions that the
compiler fills in), `base` (small helpers). Nothing here imports another package of the project.
"""
