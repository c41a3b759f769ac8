"""Builds what stands on the stream between stages: the input stage and the gearboxes.

These know widths and groups, but no layers. May import `spec` and `base`.
"""
