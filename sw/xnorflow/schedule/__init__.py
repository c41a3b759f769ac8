"""Predict every transfer of an accelerator to the cycle: a spec becomes interval and latency.

May import `ir` and `xnorflow_hw.spec`; it does not import Amaranth.
"""
