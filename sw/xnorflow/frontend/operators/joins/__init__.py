"""Import of nodes that bring branches together: sums, products, maxima, selections, concatenations.

May import what `operators` may.
"""
