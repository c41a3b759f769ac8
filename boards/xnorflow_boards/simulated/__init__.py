"""Boards without a board: a design as a simulated one, and synthesised netlists in simulation.

May import every other room of `xnorflow_boards`, and `xnorflow_sim`.
"""
