"""The library of `kernels.cpp`: compiled once per machine, cached, and loaded."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import CheckFailed, XnorflowError
from xnorflow_sim import process_group
from xnorflow_sim.verilator import cache, toolchain

TARGETS = ("-march=native", "-march=x86-64-v3", "")
"""Processors to compile for: the first that the compiler accepts is taken."""
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-w")

Kernels = Callable[..., int]


def load(targets: tuple[str, ...] = TARGETS, root: Path | None = None) -> Kernels:
    """Return the function ``xf_run`` of the library, which is compiled if it is not in the cache.

    Parameters
    ----------
    targets : tuple of str
        Options of the compiler that name a processor, the preferred one first.
    root : Path, optional
        The cache, by default :func:`xnorflow_sim.verilator.cache.default`.

    Raises
    ------
    BadInput
        If the cache cannot be written.
    CheckFailed
        If the compiler refuses the file, or the library cannot be loaded.
    ToolMissing
        If there is no compiler.
    """
    source = (resources.files("xnorflow_sim") / "compiled/kernels.cpp").read_text()
    compiler = toolchain.compiler()

    def make(folder: Path) -> None:
        (folder / "kernels.cpp").write_text(source)
        why = ""
        for target in targets:
            options = [*_FLAGS, *([target] if target else [])]
            files = ["-o", str(folder / "kernels.so"), str(folder / "kernels.cpp")]
            done = process_group.run([str(compiler.path), *options, *files])
            if not done.returncode:
                return
            why = why or done.stderr[-300:]
        raise CheckFailed(f"the C++ compiler fails on the golden model's kernels: {why}")

    built_by = [str(compiler.path), compiler.version, *toolchain.processor()]
    inputs = [source, repr((_FLAGS, targets)), *built_by]
    folder = cache.entry(root or cache.default(), f"golden-{cache.digest(inputs)}", make)
    try:
        run = ctypes.CDLL(str(folder / "kernels.so")).xf_run
    except (OSError, AttributeError) as e:
        raise CheckFailed(f"the golden model's kernels cannot be loaded: {e}") from e
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    run.argtypes = [pointer, i64, pointer, i64, i64, i64, pointer, i64]
    run.restype = ctypes.c_int
    found: Kernels = run
    return found


@lru_cache(maxsize=1)
def _attempt() -> Kernels | Exception:
    try:
        return load()
    except (XnorflowError, OSError) as e:
        return e


def kernels() -> Kernels:
    """Return what `load` returns, or raise what it raises; it is called once in a process."""
    found = _attempt()
    if isinstance(found, Exception):
        raise found
    return found


def execute(
    run: Kernels, steps: NDArray[np.int64], x: NDArray[np.integer[Any]], size: int, most: int
) -> NDArray[np.int32]:
    """Send frames through a table of steps.

    Parameters
    ----------
    run : callable
        What `load` returned.
    steps : int64 array [steps, fields]
        Table that `step_table` made.
    x : uint8, uint16 or int32 array [N, height, width, channels]
        Codes of samples, or values of a map.
    size, most : int
        Values of a frame's result, and words of its largest map.

    Returns
    -------
    int32 array [N, size]
        The values of the last map.
    """
    x = np.ascontiguousarray(x)
    if x.dtype not in (np.uint8, np.uint16, np.int32):
        raise TypeError(f"the kernels read no {x.dtype}")
    out = np.empty((len(x), size), np.int32)
    if run(
        steps.ctypes.data,
        len(steps),
        x.ctypes.data,
        x.itemsize,
        len(x),
        most,
        out.ctypes.data,
        size,
    ):
        raise MemoryError("there is no memory for the golden model's feature maps")
    return out
