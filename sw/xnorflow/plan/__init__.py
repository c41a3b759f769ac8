"""Plan the hardware: an integer network and its folding become an `AcceleratorSpec`.

May import `ir`, `devices`, `storage`, `schedule` and the specifications of `xnorflow_hw`.
"""
