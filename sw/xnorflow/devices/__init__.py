"""Devices and their published figures: tables of FPGAs and GPUs become values with a source.

Imports only `xnorflow.errors`.
"""
