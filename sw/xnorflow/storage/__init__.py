"""Choose what a memory is built of: depth and width become blocks of RAM, cut, or LUTs.

May import `devices` and `xnorflow_hw.spec`.
"""
