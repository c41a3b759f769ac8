"""One module per method: what is special about it, and nothing else.

Each has a function ``start(task)`` that returns a `xnorflow.train.training.Training`. Modules that
use PyTorch import it at their top, so they are imported by `xnorflow.train.needs` alone.
"""
