"""Plan the hardware: turn an integer network and its folding into an `AcceleratorSpec`.

May import `ir`, `devices`, `storage`, `schedule` and the specifications of `xnorflow_hw`.
"""
