"""From a compiled design to its bitstream or Vivado project, and the bitstream into the board.

`bitstream.build` runs the steps of `open_build` or `vivado_build`, as the board's flow wants it;
`load_bitstream.program` loads the result.

May import `xnorflow` and the rooms `catalogue`, `flows` and `gateware`.
"""
