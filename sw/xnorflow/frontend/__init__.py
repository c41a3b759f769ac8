"""Read ONNX files: nodes become an imported network, a `xnorflow.graph.ops.Graph`.

An operator is one function marked with `@handles`, in any module of this room: all of them are
imported here, which registers their handlers. May import `graph` and `ir`.
"""

from importlib import import_module
from pkgutil import iter_modules

from xnorflow.frontend.read import read

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["read"]
