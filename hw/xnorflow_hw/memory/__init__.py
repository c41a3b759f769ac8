"""Build read-only memories: words become constants, LUTs, block RAM or SPRAM.

May import `fabric`, `spec` and `base`.
"""
