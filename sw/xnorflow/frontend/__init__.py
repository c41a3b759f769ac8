"""ONNX files in, imported networks out."""

from xnorflow.frontend.read import read

__all__ = ["read"]
