"""Build the tables, plots and pages that a person reads; every figure shows its kind.

May import `comparison`, `resources`, `devices`; for the page of `page`, `design`, `schedule` and
`evidence`; and for the listings of the passes `graph`, `lower`, `ir` and the specifications of
`xnorflow_hw`.
"""
