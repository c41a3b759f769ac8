"""xnorflow turns trained binary neural networks into FPGA accelerators, proved equal bit by bit.

>>> import xnorflow as xf
>>> net = xf.load("model.onnx", input_scale=1 / 255)    # doctest: +SKIP
>>> design = xf.compile(net, board="ulx3s-85f", fps=5000)    # doctest: +SKIP
>>> design.write("build/model")    # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xnorflow.version import __version__

if TYPE_CHECKING:
    from xnorflow.api import compare, load
    from xnorflow.compiler import compile_network as compile
    from xnorflow.design.design import Design
    from xnorflow.errors import BadInput, CheckFailed, ToolMissing, UnsupportedModel, XnorflowError
    from xnorflow.evidence.proof import check
    from xnorflow.ir import IntegerNetwork
    from xnorflow.sweeps.folding_sweep import sweep

_HOMES = {
    "load": "api",
    "compare": "api",
    "check": "evidence.proof",
    "compile": "compiler:compile_network",
    "sweep": "sweeps.folding_sweep",
    "Design": "design.design",
    "IntegerNetwork": "ir",
    "BadInput": "errors",
    "CheckFailed": "errors",
    "ToolMissing": "errors",
    "UnsupportedModel": "errors",
    "XnorflowError": "errors",
}
__all__ = [
    "BadInput",
    "CheckFailed",
    "Design",
    "IntegerNetwork",
    "ToolMissing",
    "UnsupportedModel",
    "XnorflowError",
    "__version__",
    "check",
    "compare",
    "compile",
    "load",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that light parts stay light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'xnorflow' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(f"xnorflow.{module}"), attribute or name)


def __dir__() -> list[str]:
    """List the public names, imported or not, for help and completion."""
    return list(__all__)
