"""Build the tables, plots and pages that a person reads; every figure shows its kind.

May import `comparison`, `resources` and `devices`.
"""
