"""Evaluate many points at once on Dask: foldings, frames of a simulation, seeds of a placement.

A sweep is a list of points. Each has a key, the digest of what decides its result, and becomes a
row of a Parquet file; points whose rows are there already are not evaluated again.
"""
