"""Devices and their published figures: FPGAs and GPUs, each figure with its source.

The files of the shipped boards are in ``boards``; users write such files for their own.

May import the names of device families from the specifications of `xnorflow_hw`, and
`xnorflow.inputs`.
"""
