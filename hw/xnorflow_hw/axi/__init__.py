"""Builds the AXI peripheral: an accelerator whose streams are watched, with registers on AXI4-Lite.

`register_map` is plain data that host software and documentation read too. May import `base`.
"""
