"""Import of nodes that make larger maps: nearest upsampling and transposed convolutions.

May import what `operators` may.
"""
