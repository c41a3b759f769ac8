"""Read ONNX files: nodes become an imported network, a `xnorflow.graph.ops.Graph`.

1. `model_file` parses and checks the file, and sorts its nodes.
2. `importer` walks over the nodes. `constants` evaluates those that depend on constants alone,
   `rearrange` follows those that only move features, and a handler imports each other node.
3. `heads` collects what makes the outputs, and `ordering` puts it into an order of execution.
4. `input_samples` decides the kind of samples, `input_frame` the order in which users hold them.

A handler is a function marked with `@handles` in a module of `operators`; all of those are imported
here, which registers their handlers. `values` has the tensors that handlers take and return, each
with the `steps` that make it; `arrangement` has the layers that move features. May import `graph`
and `ir`.
"""

from importlib import import_module
from pkgutil import walk_packages

from xnorflow.frontend import operators
from xnorflow.frontend.read import read

for _module in walk_packages(operators.__path__, f"{operators.__name__}."):
    import_module(_module.name)

__all__ = ["read"]
