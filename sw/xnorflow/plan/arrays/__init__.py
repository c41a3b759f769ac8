"""Map convolutions to arrays other than those of weight planes and of multipliers.

May import `ir`, the other modules of `plan` that know no rules of layers, and the specifications.
"""
