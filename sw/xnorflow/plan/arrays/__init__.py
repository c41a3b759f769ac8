"""Map reductions to arrays: pools, and weights that are sums of edges.

Those of planes and of multipliers are in `xnorflow.plan.layer_rules`. May import `ir`, the other
modules of `plan` that know no rules of layers, and the specifications.
"""
