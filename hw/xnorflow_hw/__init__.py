"""Amaranth components of the streaming XNOR-popcount engine."""
