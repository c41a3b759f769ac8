"""Devices and their published figures: FPGAs and GPUs, each figure with its source.

Imports only `xnorflow.errors`.
"""
