"""Build what streams pass between stages: the input stage and the gearboxes.

Knows widths and groups, but no layers. May import `spec` and `base`.
"""
