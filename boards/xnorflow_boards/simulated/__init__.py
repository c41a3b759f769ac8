"""Boards that exist only in simulation: a design with its link, and netlists of its gates.

May import every other room of `xnorflow_boards`, and `xnorflow_sim`.
"""
