"""Merge layers of an integer network that hardware need not have apart.

Each of the passes yields networks that compute the same scores with fewer layers, or with fewer
weights; `merging` lists them, and takes the networks that are worth it (`worth`). `rebuild` checks
what they made. `parallel_chains` finds `chains` and builds a `bundle` of them.

May import `ir`, and for the estimate `plan`, `folding`, `resources`, `storage` and `devices`.
"""
