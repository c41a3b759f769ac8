"""Read ONNX files: nodes become an imported network, a `xnorflow.graph.ops.Graph`.

An operator is one function marked with `@handles`. May import `graph` and `ir`.
"""

from xnorflow.frontend.read import read

__all__ = ["read"]
