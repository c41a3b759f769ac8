"""Devices and their published figures: FPGAs and GPUs, each figure with its source.

May import the names of device families from the specifications of `xnorflow_hw`.
"""
