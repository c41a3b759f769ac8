"""Builds the link to a host over a serial port: bytes become frames, scores become bytes.

It also loads SPRAM from a board's flash. May import `memory` and `base`.
"""
