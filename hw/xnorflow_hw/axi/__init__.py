"""Build the AXI peripheral: an accelerator's streams are watched, its registers lie on AXI4-Lite.

`register_map` is plain data that host software and documentation read too. May import `base`.
"""
