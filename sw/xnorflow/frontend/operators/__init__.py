"""Turn the nodes of a file into operations: a module per subject, a function per operator.

A function is marked with `xnorflow.frontend.registry.handles`, gets the node and its inputs, and
returns the features that it makes with the operations that make them. `joins` brings branches
together, `stretches` makes larger maps. May import the modules of `frontend` that know nodes and
values, `graph` and `ir`.
"""
