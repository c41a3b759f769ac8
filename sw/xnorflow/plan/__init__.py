"""Plan the hardware: turn an integer network and its folding into an `AcceleratorSpec`.

May import `ir`, `devices`, `storage`, `schedule`, and of `xnorflow_hw` the
specifications and the components that choose their own form.
"""
