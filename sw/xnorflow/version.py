"""The version of xnorflow."""

__version__ = "0.1.0"
