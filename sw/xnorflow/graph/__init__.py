"""The network as it was imported: float32 operations in the file's own order.

`ops` has the operations, `quantisers` the quantisers' arithmetic as functions of arrays. May import
`ir`, for integer arrays and windows, and `xnorflow.errors`.
"""
