"""Predict every transfer of an accelerator to the cycle, and so its interval and latency.

May import `ir` and `xnorflow_hw.spec`; it does not import Amaranth.
"""
