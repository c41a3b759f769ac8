"""Choose the storage of a memory from its depth and width: blocks of RAM, and how cut, or LUTs.

May import `devices` and `xnorflow_hw.spec`.
"""
