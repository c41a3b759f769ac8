"""Builds what stands on the streams between stages: input stage, forks, gearboxes and queues.

These know widths and groups, but no layers. May import `spec` and `base`.
"""
