"""What surrounds an accelerator on a board: clock and reset, the serial port, or AXI ports.

May import `xnorflow.design`, `xnorflow_hw` and `xnorflow_boards.weights_in_flash`.
"""
