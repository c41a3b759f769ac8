"""What surrounds an accelerator on a board: clock and reset, serial port and flash, or AXI ports.

May import `xnorflow.design`, `xnorflow_hw` and `xnorflow_boards.flows`, whose families have the
PLLs.
"""
