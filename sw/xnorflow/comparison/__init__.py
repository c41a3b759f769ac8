"""Compare a network on FPGAs and GPUs: rows of figures, each with its kind and source.

May import `resources` and `devices`.
"""
