"""The network as it was imported: float32 operations in the file's own order.

`ops` has the operations, `function_ops` the functions of one value, `quantisers` the arithmetic of
quantisers as functions of arrays, and `input_scale` the scaling of samples. May import `ir`, for
integer arrays and windows, and `xnorflow.errors`.
"""
