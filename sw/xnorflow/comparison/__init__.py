"""Compare devices: designs and GPUs become rows of figures, each with its kind and source.

May import `resources` and `devices`.
"""
