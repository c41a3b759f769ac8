"""Plan the stages that reduce no window: joins, stretches, constant maps and copies.

May import `ir`, the other modules of `plan` that know nothing of joints, and the specifications.
"""
